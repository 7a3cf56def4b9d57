-- What servers have, definition by definition, and what was approved of it. Digests are of `domain::catalogue`; a
-- definition that is too large to be kept is empty.
CREATE TABLE catalogue_entries (
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('tool', 'prompt', 'resource', 'resource_template')),
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    digest TEXT NOT NULL,
    reads_only INTEGER NOT NULL CHECK (reads_only IN (0, 1)),
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- The last list did not have it.
    gone INTEGER NOT NULL CHECK (gone IN (0, 1)),
    approved_digest TEXT,
    approved_definition TEXT,
    approved_at INTEGER,
    approved_actor TEXT,
    approved_issuer TEXT,
    approved_subject TEXT,
    PRIMARY KEY (server_id, kind, name),
    CHECK ((approved_digest IS NULL) = (approved_definition IS NULL)),
    CHECK ((approved_digest IS NULL) = (approved_at IS NULL)),
    CHECK ((approved_digest IS NULL) = (approved_actor IS NULL))
) STRICT;

-- The lists, a JSON array of methods, of which only the beginning was kept.
ALTER TABLE catalogues ADD COLUMN cut TEXT NOT NULL DEFAULT '[]';
-- Entries come with the next learning.
DELETE FROM catalogues;
