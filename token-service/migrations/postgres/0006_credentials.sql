-- Rules for tokens of identity providers, and where their keys come from. All three are JSON.
ALTER TABLE issuers ADD COLUMN rules TEXT COLLATE "C" NOT NULL DEFAULT '{}';
ALTER TABLE issuers ADD COLUMN settings TEXT COLLATE "C" NOT NULL DEFAULT '{}';
ALTER TABLE issuers ADD COLUMN source TEXT COLLATE "C" NOT NULL DEFAULT '"given"';
ALTER TABLE issuers ADD COLUMN keys_fetched_at BIGINT;

-- What a key leaves of its owner's rights, as JSON, and the networks that it may be used from. `replaces` is the key that
-- it took the place of.
ALTER TABLE api_keys ADD COLUMN scope TEXT COLLATE "C" NOT NULL DEFAULT '{}';
ALTER TABLE api_keys ADD COLUMN sources TEXT COLLATE "C" NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN replaces TEXT COLLATE "C";
