-- The token-services on this database, all times by its own clock. `asked_until`: until when this one wants to know the
-- filters of the others. `watchers` (JSON) are its own, as of `published_at`.
CREATE TABLE replicas (
    id TEXT PRIMARY KEY,
    seen_at INTEGER NOT NULL,
    asked_until INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    watchers TEXT NOT NULL
) STRICT, WITHOUT ROWID;
