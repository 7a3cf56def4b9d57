-- What servers have, definition by definition, and what was approved of it. Digests are of `domain::catalogue`; a
-- definition that is too large to be kept is empty.
CREATE TABLE catalogue_entries (
    server_id TEXT COLLATE "C" NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('tool', 'prompt', 'resource', 'resource_template')),
    name TEXT COLLATE "C" NOT NULL,
    definition TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    reads_only BIGINT NOT NULL CHECK (reads_only IN (0, 1)),
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- The last list did not have it.
    gone BIGINT NOT NULL CHECK (gone IN (0, 1)),
    approved_digest TEXT COLLATE "C",
    approved_definition TEXT COLLATE "C",
    approved_at BIGINT,
    approved_actor TEXT COLLATE "C",
    approved_issuer TEXT COLLATE "C",
    approved_subject TEXT COLLATE "C",
    PRIMARY KEY (server_id, kind, name),
    CHECK ((approved_digest IS NULL) = (approved_definition IS NULL)),
    CHECK ((approved_digest IS NULL) = (approved_at IS NULL)),
    CHECK ((approved_digest IS NULL) = (approved_actor IS NULL))
);

-- The lists, a JSON array of methods, of which only the beginning was kept.
ALTER TABLE catalogues ADD COLUMN cut TEXT COLLATE "C" NOT NULL DEFAULT '[]';
-- Entries come with the next learning.
DELETE FROM catalogues;
