-- What is switched off in an emergency, whoever declared it. Exactly one of the three targets is set.
CREATE TABLE quarantines (
    member_id TEXT COLLATE "C" UNIQUE REFERENCES members (id) ON DELETE CASCADE,
    key_id TEXT COLLATE "C" UNIQUE REFERENCES api_keys (id) ON DELETE CASCADE,
    server_id TEXT COLLATE "C" UNIQUE REFERENCES servers (id) ON DELETE CASCADE,
    reason TEXT COLLATE "C" NOT NULL,
    by_administrator BIGINT NOT NULL CHECK (by_administrator IN (0, 1)),
    at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    CHECK (num_nonnulls(member_id, key_id, server_id) = 1)
);

-- The workspaces in which members have to be chosen for a server. Apart from `provisions`, so that a workspace that loses
-- the server and gets it back has it for the same members.
CREATE TABLE chosen_members (
    server_id TEXT COLLATE "C" NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    workspace_id TEXT COLLATE "C" NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    PRIMARY KEY (server_id, workspace_id)
);
CREATE INDEX chosen_members_by_workspace ON chosen_members (workspace_id);

-- What is said of single members.
CREATE TABLE member_access (
    server_id TEXT COLLATE "C" NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
    member_id TEXT COLLATE "C" NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    access TEXT COLLATE "C" NOT NULL CHECK (access IN ('allow', 'deny')),
    PRIMARY KEY (server_id, member_id)
);
CREATE INDEX member_access_by_member ON member_access (member_id);
