-- Records of requests. `id`: microseconds since the Unix epoch times 1024, and a slot. See src/record_store/mod.rs.
CREATE TABLE records (
    id             INTEGER PRIMARY KEY,
    arrival        INTEGER NOT NULL,
    uid            BLOB NOT NULL,
    outcome        TEXT NOT NULL,
    status_class   INTEGER NOT NULL,
    latency_bucket INTEGER NOT NULL,
    request_id     TEXT,
    trace_id       TEXT,
    source         TEXT,
    user_agent     TEXT,
    http_method    TEXT,
    server         TEXT,
    workspace      TEXT,
    workspace_id   TEXT,
    caller         TEXT,
    caller_name    TEXT,
    credential     TEXT,
    key            TEXT,
    session_id     TEXT,
    client_id      TEXT,
    version        TEXT,
    session        TEXT,
    client_name    TEXT,
    client_version TEXT,
    rpc_id         TEXT,
    method         TEXT,
    kind           TEXT,
    name           TEXT,
    decision       TEXT,
    rule           TEXT,
    decision_id    TEXT,
    revision       TEXT,
    error_code     TEXT,
    truncated      TEXT,
    tool_error     TEXT,
    cancels        TEXT,
    ended          TEXT,
    stale          TEXT,
    details        TEXT,
    flags          TEXT,
    upstream_host  TEXT,
    status         INTEGER,
    latency_ms     INTEGER,
    upstream_ms    INTEGER,
    parameters_bytes INTEGER,
    response_bytes INTEGER,
    events         INTEGER,
    bytes_in       INTEGER,
    bytes_out      INTEGER
);

-- Apart, so that counting and comparing reads narrow rows.
CREATE TABLE record_payloads (
    id         INTEGER PRIMARY KEY,
    parameters TEXT,
    response   TEXT,
    attributes TEXT
);

-- One row.
CREATE TABLE record_progress (
    arrival INTEGER NOT NULL,
    kept    INTEGER NOT NULL
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
