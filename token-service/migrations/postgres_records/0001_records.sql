-- Records of requests. `id`: microseconds since the Unix epoch times 1024, and a slot. See src/record_store/mod.rs.
CREATE TABLE records (
    id             BIGINT PRIMARY KEY,
    arrival        BIGINT NOT NULL,
    uid            BYTEA NOT NULL,
    outcome        TEXT COLLATE "C" NOT NULL,
    status_class   BIGINT NOT NULL,
    latency_bucket BIGINT NOT NULL,
    request_id     TEXT COLLATE "C",
    trace_id       TEXT COLLATE "C",
    source         TEXT COLLATE "C",
    user_agent     TEXT COLLATE "C",
    http_method    TEXT COLLATE "C",
    server         TEXT COLLATE "C",
    workspace      TEXT COLLATE "C",
    workspace_id   TEXT COLLATE "C",
    caller         TEXT COLLATE "C",
    caller_name    TEXT COLLATE "C",
    credential     TEXT COLLATE "C",
    key            TEXT COLLATE "C",
    session_id     TEXT COLLATE "C",
    client_id      TEXT COLLATE "C",
    version        TEXT COLLATE "C",
    session        TEXT COLLATE "C",
    client_name    TEXT COLLATE "C",
    client_version TEXT COLLATE "C",
    rpc_id         TEXT COLLATE "C",
    method         TEXT COLLATE "C",
    kind           TEXT COLLATE "C",
    name           TEXT COLLATE "C",
    decision       TEXT COLLATE "C",
    rule           TEXT COLLATE "C",
    decision_id    TEXT COLLATE "C",
    revision       TEXT COLLATE "C",
    error_code     TEXT COLLATE "C",
    truncated      TEXT COLLATE "C",
    tool_error     TEXT COLLATE "C",
    cancels        TEXT COLLATE "C",
    ended          TEXT COLLATE "C",
    stale          TEXT COLLATE "C",
    details        TEXT COLLATE "C",
    flags          TEXT COLLATE "C",
    upstream_host  TEXT COLLATE "C",
    status         BIGINT,
    latency_ms     BIGINT,
    upstream_ms    BIGINT,
    parameters_bytes BIGINT,
    response_bytes BIGINT,
    events         BIGINT,
    bytes_in       BIGINT,
    bytes_out      BIGINT
);

-- Apart, so that counting and comparing reads narrow rows.
CREATE TABLE record_payloads (
    id         BIGINT PRIMARY KEY,
    parameters TEXT COLLATE "C",
    response   TEXT COLLATE "C",
    attributes TEXT COLLATE "C"
);

-- One row.
CREATE TABLE record_progress (
    arrival BIGINT NOT NULL,
    kept    BIGINT NOT NULL
);
INSERT INTO record_progress (arrival, kept) VALUES (0, 0);

CREATE UNIQUE INDEX records_arrival ON records (arrival);

-- One for each column that is searched by, in the order of the answers.
CREATE INDEX records_server ON records (server, id);
CREATE INDEX records_workspace ON records (workspace, id);
CREATE INDEX records_workspace_id ON records (workspace_id, id);
CREATE INDEX records_caller ON records (caller, id);
CREATE INDEX records_method ON records (method, id);
CREATE INDEX records_decision ON records (decision, id);
CREATE INDEX records_outcome ON records (outcome, id);
CREATE INDEX records_status_class ON records (status_class, id);
CREATE INDEX records_request_id ON records (request_id, id);
-- These are absent from most records.
CREATE INDEX records_key ON records (key, id) WHERE key IS NOT NULL;
CREATE INDEX records_name ON records (name, id) WHERE name IS NOT NULL;
CREATE INDEX records_rule ON records (rule, id) WHERE rule IS NOT NULL;
CREATE INDEX records_error_code ON records (error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX records_trace_id ON records (trace_id, id) WHERE trace_id IS NOT NULL;
CREATE INDEX records_decision_id ON records (decision_id, id) WHERE decision_id IS NOT NULL;
