-- Ids and revisions are explained in src/domain/; what each statement must keep true in src/store/mod.rs.
-- Times are milliseconds since the Unix epoch.

-- The newest commit, and the newest one whose changes were forgotten. One row; every writing transaction updates it
-- first, so that revisions are handed out in commit order.
CREATE TABLE revisions (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    current INTEGER NOT NULL CHECK (current >= 0),
    pruned INTEGER NOT NULL CHECK (pruned BETWEEN 0 AND current)
) STRICT;
INSERT INTO revisions (only_row, current, pruned) VALUES (1, 0, 0);

-- What a commit changed, for watchers. A commit without rows changed nothing that a filter knows.
CREATE TABLE changes (
    revision INTEGER NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL
        CHECK (kind IN ('registry', 'member', 'key', 'workspace', 'server', 'connection', 'all')),
    subject TEXT NOT NULL,
    PRIMARY KEY (revision, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')),
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')),
    revision INTEGER NOT NULL,
    UNIQUE (issuer, subject, workspace_id),
    UNIQUE (workspace_id, id)
) STRICT;

-- `member_id` is null for a service key. A member's key is in the member's own workspace.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    member_id TEXT,
    name TEXT NOT NULL,
    expires_at INTEGER,
    disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    FOREIGN KEY (workspace_id, member_id) REFERENCES members (workspace_id, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id);
CREATE INDEX api_keys_by_member ON api_keys (workspace_id, member_id);

CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    auth TEXT NOT NULL CHECK (auth IN ('none', 'headers')),
    payload TEXT NOT NULL CHECK (payload IN ('off', 'digest', 'redacted', 'full')),
    provision_new_workspaces INTEGER NOT NULL CHECK (provision_new_workspaces IN (0, 1)),
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')),
    revision INTEGER NOT NULL
) STRICT;

-- `value` is sealed to (server_id, name, the origin of the server's URL, generation).
CREATE TABLE server_headers (
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (server_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE provisions (
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    PRIMARY KEY (server_id, workspace_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX provisions_by_workspace ON provisions (workspace_id);

-- At most one of the three targets is set; none means the organization. `rules` is JSON.
CREATE TABLE policies (
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    workspace_id TEXT REFERENCES workspaces (id) ON DELETE CASCADE,
    member_id TEXT REFERENCES members (id) ON DELETE CASCADE,
    key_id TEXT REFERENCES api_keys (id) ON DELETE CASCADE,
    rules TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')),
    revision INTEGER NOT NULL,
    CHECK ((workspace_id IS NOT NULL) + (member_id IS NOT NULL) + (key_id IS NOT NULL) <= 1)
) STRICT;
CREATE UNIQUE INDEX policies_by_target ON policies
    (server_id, coalesce(workspace_id, ''), coalesce(member_id, ''), coalesce(key_id, ''));
CREATE INDEX policies_by_workspace ON policies (workspace_id);
CREATE INDEX policies_by_member ON policies (member_id);
CREATE INDEX policies_by_key ON policies (key_id);

-- `audiences` and `keys` are JSON. `mapping_value` is a slug, a claim, or empty.
CREATE TABLE issuers (
    issuer TEXT PRIMARY KEY,
    audiences TEXT NOT NULL,
    require_at_jwt INTEGER NOT NULL CHECK (require_at_jwt IN (0, 1)),
    keys TEXT NOT NULL,
    mapping TEXT NOT NULL CHECK (mapping IN ('fixed', 'claim', 'membership')),
    mapping_value TEXT NOT NULL,
    auto_provision_members INTEGER NOT NULL CHECK (auto_provision_members IN (0, 1)),
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')),
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE data_keys (
    id INTEGER PRIMARY KEY CHECK (id > 0),
    wrapped BLOB NOT NULL,
    check_value BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('published', 'active', 'retired'))
) STRICT;

CREATE TABLE admin_token (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    digest TEXT NOT NULL
) STRICT;
