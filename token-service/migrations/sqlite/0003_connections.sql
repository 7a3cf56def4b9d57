-- Upstream credentials that come and go, and the browsers that bring them.

-- SQLite cannot change a CHECK, and a table that others refer to cannot be rebuilt inside a transaction: dropping it
-- deletes what refers to it. So the column is made anew and takes the place of the old one.
ALTER TABLE servers ADD COLUMN new_auth TEXT NOT NULL DEFAULT 'none'
    CHECK (new_auth IN ('none', 'headers', 'oauth', 'client_credentials'));
UPDATE servers SET new_auth = auth;
ALTER TABLE servers DROP COLUMN auth;
ALTER TABLE servers RENAME COLUMN new_auth TO auth;
-- JSON without secrets, for `oauth` and `client_credentials`.
ALTER TABLE servers ADD COLUMN auth_settings TEXT;

-- The same for the author of a change. The table only grows, so its trigger steps aside meanwhile.
DROP TRIGGER audit_is_not_changed;
ALTER TABLE audit ADD COLUMN new_actor TEXT NOT NULL DEFAULT 'system'
    CHECK (new_actor IN ('admin_token', 'configuration', 'sign_in', 'member', 'system'));
UPDATE audit SET new_actor = actor;
ALTER TABLE audit DROP COLUMN actor;
ALTER TABLE audit RENAME COLUMN new_actor TO actor;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log only grows'); END;

-- The secret of a server's OAuth client; `value` is sealed to (server_id, where it is sent, generation).
CREATE TABLE server_secrets (
    server_id TEXT PRIMARY KEY REFERENCES servers (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- `member_id` is null for a connection that everybody shares. `scopes` and `step_up_wanted` are JSON. Tokens are sealed
-- to (id, server_id, member_id, origin, issuer, client_id, generation).
--
-- `attempt` renews the connection; `attempt_sent` says that its request is on its way or was. Nobody may begin another
-- before `busy_until`, by the database's clock, which is also set while nobody renews it after a failure. `unanswered`
-- is the last attempt that was sent, brought no answer and was taken over; it stays until an answer settles the matter.
CREATE TABLE connections (
    id TEXT PRIMARY KEY,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    member_id TEXT REFERENCES members (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('active', 'needs_reauth', 'quarantined', 'disconnected')),
    reason TEXT,
    origin TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation > 0),
    access_token BLOB,
    refresh_token BLOB,
    expires_at INTEGER,
    refresh_at INTEGER,
    scopes TEXT NOT NULL,
    account TEXT,
    attempt TEXT,
    attempt_sent INTEGER NOT NULL CHECK (attempt_sent IN (0, 1)),
    busy_until INTEGER,
    unanswered TEXT,
    unanswered_until INTEGER,
    step_up_wanted TEXT NOT NULL,
    step_up_count INTEGER NOT NULL CHECK (step_up_count >= 0),
    step_up_since INTEGER NOT NULL,
    connected_at INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    CHECK ((state = 'needs_reauth') = (reason IS NOT NULL)),
    CHECK ((state = 'disconnected') = (access_token IS NULL)),
    CHECK (access_token IS NOT NULL OR (refresh_token IS NULL AND attempt IS NULL)),
    CHECK (attempt IS NULL OR busy_until IS NOT NULL),
    CHECK (attempt IS NOT NULL OR attempt_sent = 0),
    CHECK ((unanswered IS NULL) = (unanswered_until IS NULL))
) STRICT;
CREATE INDEX connections_by_server ON connections (server_id, id);
CREATE INDEX connections_by_member ON connections (member_id, id);
CREATE INDEX connections_by_renewal ON connections (refresh_at, id) WHERE state = 'active';

-- Clients that the gateway registered. `sealed` is the client's secret, sealed to (server_id, issuer, generation).
CREATE TABLE oauth_clients (
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('pre_registered', 'metadata_document', 'dynamic')),
    authentication TEXT NOT NULL,
    sealed BLOB,
    secret_expires_at INTEGER,
    redirect_uri TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation > 0),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (server_id, issuer)
) STRICT, WITHOUT ROWID;

-- What servers say about themselves. `results` is a JSON object of JSON texts, by method.
CREATE TABLE catalogues (
    server_id TEXT PRIMARY KEY REFERENCES servers (id) ON DELETE CASCADE,
    learnt_at INTEGER NOT NULL,
    results TEXT NOT NULL
) STRICT;

-- `digest` is that of the session id that the client has.
CREATE TABLE upstream_sessions (
    digest TEXT PRIMARY KEY,
    member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    session_id BLOB,
    protocol_version TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upstream_sessions_by_member ON upstream_sessions (member_id, server_id);
CREATE INDEX upstream_sessions_by_server ON upstream_sessions (server_id);
CREATE INDEX upstream_sessions_by_age ON upstream_sessions (created_at);

-- `live` ends with use, or when newer ones take its place. The row stays for a while, to be counted.
CREATE TABLE connect_tickets (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL UNIQUE,
    member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    client_name TEXT,
    live INTEGER NOT NULL CHECK (live IN (0, 1)),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX connect_tickets_by_member ON connect_tickets (member_id, server_id, created_at);
CREATE INDEX connect_tickets_by_server ON connect_tickets (server_id);
CREATE INDEX connect_tickets_by_end ON connect_tickets (expires_at);

CREATE TABLE browser_sessions (
    digest TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    csrf TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_sessions_by_end ON browser_sessions (expires_at);

-- `sealed` is sealed to (state, member_id, server_id).
CREATE TABLE oauth_flows (
    state TEXT PRIMARY KEY,
    cookie TEXT NOT NULL,
    session TEXT NOT NULL,
    member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    origin TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_flows_by_member ON oauth_flows (member_id);
CREATE INDEX oauth_flows_by_server ON oauth_flows (server_id);
CREATE INDEX oauth_flows_by_end ON oauth_flows (expires_at);
