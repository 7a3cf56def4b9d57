-- The token-services on this database, all times by its own clock. `asked_until`: until when this one wants to know the
-- filters of the others. `watchers` (JSON) are its own, as of `published_at`.
CREATE TABLE replicas (
    id TEXT COLLATE "C" PRIMARY KEY,
    seen_at BIGINT NOT NULL,
    asked_until BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    watchers TEXT COLLATE "C" NOT NULL
);
