-- How often something may be called. At most one of the first three is set, the level's object; none means the
-- organization. `server_id` and `only_workspace_id` narrow down what is limited. `rule` is JSON.
CREATE TABLE limits (
    workspace_id TEXT COLLATE "C" REFERENCES workspaces (id) ON DELETE CASCADE,
    member_id TEXT COLLATE "C" REFERENCES members (id) ON DELETE CASCADE,
    key_id TEXT COLLATE "C" REFERENCES api_keys (id) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    server_id TEXT COLLATE "C" REFERENCES servers (id) ON DELETE CASCADE,
    only_workspace_id TEXT COLLATE "C" REFERENCES workspaces (id) ON DELETE CASCADE,
    rule TEXT COLLATE "C" NOT NULL,
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('config', 'api')),
    revision BIGINT NOT NULL,
    CHECK (num_nonnulls(workspace_id, member_id, key_id) <= 1)
);
CREATE UNIQUE INDEX limits_by_target ON limits
    (coalesce(workspace_id, ''), coalesce(member_id, ''), coalesce(key_id, ''), name);
CREATE INDEX limits_by_workspace ON limits (workspace_id);
CREATE INDEX limits_by_member ON limits (member_id);
CREATE INDEX limits_by_key ON limits (key_id);
CREATE INDEX limits_by_server ON limits (server_id);
CREATE INDEX limits_by_only_workspace ON limits (only_workspace_id);

-- How many requests may be under way to a server at once through one Envoy.
ALTER TABLE servers ADD COLUMN concurrency BIGINT CHECK (concurrency > 0);
