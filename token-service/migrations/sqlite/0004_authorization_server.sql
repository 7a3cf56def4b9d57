-- The gateway's own authorization server: signing keys, clients, and what members have allowed them.

-- A CHECK cannot be changed in place, see 0003.
ALTER TABLE changes ADD COLUMN new_kind TEXT NOT NULL DEFAULT 'all'
    CHECK (new_kind IN ('registry', 'member', 'key', 'session', 'workspace', 'server', 'connection', 'all'));
UPDATE changes SET new_kind = kind;
ALTER TABLE changes DROP COLUMN kind;
ALTER TABLE changes RENAME COLUMN new_kind TO kind;

-- `private_key` is sealed to (id, algorithm). What a key does when follows from the times of all of them.
CREATE TABLE signing_keys (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    algorithm TEXT NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA')),
    private_key BLOB NOT NULL,
    published_at INTEGER NOT NULL,
    active_from INTEGER NOT NULL
) STRICT;

-- Clients that registered themselves. `redirect_uris` is a JSON array. Those that nobody has used end after a day.
CREATE TABLE dynamic_clients (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    redirect_uris TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX dynamic_clients_by_time ON dynamic_clients (created_at);

-- What a member has agreed to. `code` is a digest, and null until the code is shown; `session` is what it was redeemed
-- for. The row stays for a while after that, so that a code which is shown again ends what came of it.
CREATE TABLE authorizations (
    request TEXT PRIMARY KEY,
    member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    resource TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_name TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    writes INTEGER NOT NULL CHECK (writes IN (0, 1)),
    code TEXT UNIQUE,
    code_expires_at INTEGER,
    used_at INTEGER,
    session TEXT,
    created_at INTEGER NOT NULL,
    CHECK ((code IS NULL) = (code_expires_at IS NULL)),
    CHECK (used_at IS NULL OR code IS NOT NULL),
    CHECK (session IS NULL OR used_at IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX authorizations_by_member ON authorizations (member_id);
CREATE INDEX authorizations_by_server ON authorizations (server_id);
CREATE INDEX authorizations_by_time ON authorizations (created_at);

-- A client that is signed in as a member, for one server.
CREATE TABLE client_sessions (
    id TEXT PRIMARY KEY,
    member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    resource TEXT NOT NULL,
    client_id TEXT NOT NULL,
    client_name TEXT NOT NULL,
    writes INTEGER NOT NULL CHECK (writes IN (0, 1)),
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX client_sessions_by_member ON client_sessions (member_id, id);
CREATE INDEX client_sessions_by_server ON client_sessions (server_id);
CREATE INDEX client_sessions_by_client ON client_sessions (client_id);
CREATE INDEX client_sessions_by_end ON client_sessions (expires_at);

-- The family of a session. A token is used once: `successor` is the digest of the one that took its place, `sealed` is
-- that one itself, sealed to (digest, session_id).
CREATE TABLE refresh_tokens (
    digest TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES client_sessions (id) ON DELETE CASCADE,
    used_at INTEGER,
    successor TEXT,
    sealed BLOB,
    CHECK ((used_at IS NULL) = (successor IS NULL)),
    CHECK ((used_at IS NULL) = (sealed IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id, used_at);
