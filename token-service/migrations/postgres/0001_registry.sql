-- Ids and revisions are explained in src/domain/; what each statement must keep true in src/store/mod.rs.
-- Times are milliseconds since the Unix epoch. Texts are compared by their bytes, as SQLite does, whatever the locale of the
-- database is.

-- Functions of SQLite's that the statements of the store use.
CREATE FUNCTION unixepoch(modifier TEXT) RETURNS DOUBLE PRECISION LANGUAGE sql VOLATILE STRICT
    RETURN extract(epoch FROM clock_timestamp())::double precision;
CREATE FUNCTION json_each(list TEXT) RETURNS TABLE (value TEXT) LANGUAGE sql IMMUTABLE ROWS 10
    AS 'SELECT jsonb_array_elements_text(list::jsonb)';
CREATE FUNCTION instr(whole TEXT, part TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE STRICT
    RETURN strpos(whole, part);
CREATE FUNCTION max(one BIGINT, other BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE STRICT
    RETURN greatest(one, other);
CREATE FUNCTION min(one BIGINT, other BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE STRICT
    RETURN least(one, other);

-- The newest commit, and the newest one whose changes were forgotten. One row; every writing transaction updates it
-- first, so that revisions are handed out in commit order.
CREATE TABLE revisions (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    current BIGINT NOT NULL CHECK (current >= 0),
    pruned BIGINT NOT NULL CHECK (pruned BETWEEN 0 AND current)
);
INSERT INTO revisions (only_row, current, pruned) VALUES (1, 0, 0);

-- What a commit changed, for watchers. A commit without rows changed nothing that a filter knows.
CREATE TABLE changes (
    revision BIGINT NOT NULL,
    position BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL
        CHECK (kind IN ('registry', 'member', 'key', 'workspace', 'server', 'connection', 'all')),
    subject TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (revision, position)
);

CREATE TABLE workspaces (
    id TEXT COLLATE "C" PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('config', 'api')),
    revision BIGINT NOT NULL
);

CREATE TABLE members (
    id TEXT COLLATE "C" PRIMARY KEY,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    issuer TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    disabled BIGINT NOT NULL CHECK (disabled IN (0, 1)),
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('config', 'api')),
    revision BIGINT NOT NULL,
    UNIQUE (issuer, subject, workspace_id),
    UNIQUE (workspace_id, id)
);

-- `member_id` is null for a service key. A member's key is in the member's own workspace.
CREATE TABLE api_keys (
    id TEXT COLLATE "C" PRIMARY KEY,
    digest TEXT COLLATE "C" NOT NULL,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    member_id TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT,
    disabled BIGINT NOT NULL CHECK (disabled IN (0, 1)),
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    FOREIGN KEY (workspace_id, member_id) REFERENCES members (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id);
CREATE INDEX api_keys_by_member ON api_keys (workspace_id, member_id);

CREATE TABLE servers (
    id TEXT COLLATE "C" PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    url TEXT COLLATE "C" NOT NULL,
    auth TEXT COLLATE "C" NOT NULL CHECK (auth IN ('none', 'headers')),
    payload TEXT COLLATE "C" NOT NULL CHECK (payload IN ('off', 'digest', 'redacted', 'full')),
    provision_new_workspaces BIGINT NOT NULL CHECK (provision_new_workspaces IN (0, 1)),
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('config', 'api')),
    revision BIGINT NOT NULL
);

-- `value` is sealed to (server_id, name, the origin of the server's URL, generation).
CREATE TABLE server_headers (
    server_id TEXT COLLATE "C" NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (server_id, name)
);

CREATE TABLE provisions (
    server_id TEXT COLLATE "C" NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    PRIMARY KEY (server_id, workspace_id)
);
CREATE INDEX provisions_by_workspace ON provisions (workspace_id);

-- At most one of the three targets is set; none means the organization. `rules` is JSON.
CREATE TABLE policies (
    server_id TEXT COLLATE "C" NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    workspace_id TEXT COLLATE "C" REFERENCES workspaces (id) ON DELETE CASCADE,
    member_id TEXT COLLATE "C" REFERENCES members (id) ON DELETE CASCADE,
    key_id TEXT COLLATE "C" REFERENCES api_keys (id) ON DELETE CASCADE,
    rules TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('config', 'api')),
    revision BIGINT NOT NULL,
    CHECK (num_nonnulls(workspace_id, member_id, key_id) <= 1)
);
CREATE UNIQUE INDEX policies_by_target ON policies
    (server_id, coalesce(workspace_id, ''), coalesce(member_id, ''), coalesce(key_id, ''));
CREATE INDEX policies_by_workspace ON policies (workspace_id);
CREATE INDEX policies_by_member ON policies (member_id);
CREATE INDEX policies_by_key ON policies (key_id);

-- `audiences` and `keys` are JSON. `mapping_value` is a slug, a claim, or empty.
CREATE TABLE issuers (
    issuer TEXT COLLATE "C" PRIMARY KEY,
    audiences TEXT COLLATE "C" NOT NULL,
    require_at_jwt BIGINT NOT NULL CHECK (require_at_jwt IN (0, 1)),
    keys TEXT COLLATE "C" NOT NULL,
    mapping TEXT COLLATE "C" NOT NULL CHECK (mapping IN ('fixed', 'claim', 'membership')),
    mapping_value TEXT COLLATE "C" NOT NULL,
    auto_provision_members BIGINT NOT NULL CHECK (auto_provision_members IN (0, 1)),
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('config', 'api')),
    revision BIGINT NOT NULL
);

CREATE TABLE data_keys (
    id BIGINT PRIMARY KEY CHECK (id > 0),
    wrapped BYTEA NOT NULL,
    check_value BYTEA NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('published', 'active', 'retired'))
);

CREATE TABLE admin_token (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    digest TEXT COLLATE "C" NOT NULL
);
