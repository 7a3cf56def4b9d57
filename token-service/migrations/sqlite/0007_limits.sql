-- How often something may be called. At most one of the first three is set, the level's object; none means the
-- organization. `server_id` and `only_workspace_id` narrow down what is limited. `rule` is JSON.
CREATE TABLE limits (
    workspace_id TEXT REFERENCES workspaces (id) ON DELETE CASCADE,
    member_id TEXT REFERENCES members (id) ON DELETE CASCADE,
    key_id TEXT REFERENCES api_keys (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    server_id TEXT REFERENCES servers (id) ON DELETE CASCADE,
    only_workspace_id TEXT REFERENCES workspaces (id) ON DELETE CASCADE,
    rule TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')),
    revision INTEGER NOT NULL,
    CHECK ((workspace_id IS NOT NULL) + (member_id IS NOT NULL) + (key_id IS NOT NULL) <= 1)
) STRICT;
CREATE UNIQUE INDEX limits_by_target ON limits
    (coalesce(workspace_id, ''), coalesce(member_id, ''), coalesce(key_id, ''), name);
CREATE INDEX limits_by_workspace ON limits (workspace_id);
CREATE INDEX limits_by_member ON limits (member_id);
CREATE INDEX limits_by_key ON limits (key_id);
CREATE INDEX limits_by_server ON limits (server_id);
CREATE INDEX limits_by_only_workspace ON limits (only_workspace_id);

-- How many requests may be under way to a server at once through one Envoy.
ALTER TABLE servers ADD COLUMN concurrency INTEGER CHECK (concurrency > 0);
