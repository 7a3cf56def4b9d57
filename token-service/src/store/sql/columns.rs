//! The columns that rows are read from, by table.
//!
//! Statements name them instead of `*`: a statement that PostgreSQL has prepared fails once it would answer with more columns,
//! and a later version may add some while this one runs.

macro_rules! columns {
    (administrators) => {
        "id, issuer, subject, name, role, origin, revision"
    };
    (api_keys) => {
        "id, digest, workspace_id, member_id, made_by_issuer, made_by_subject, name, expires_at, disabled,
             created_at, last_used_at, scope, sources, replaces, revision"
    };
    (audit) => {
        "sequence, at, actor, actor_issuer, actor_subject, action, object, revision"
    };
    (authorizations) => {
        "request, member_id, server_id, resource, client_id, client_name, redirect_uri, challenge, writes,
             code_expires_at, used_at, created_at"
    };
    (browser_sessions) => {
        "digest, issuer, subject, name, csrf, created_at, last_seen_at, expires_at"
    };
    (catalogues) => {
        "learnt_at, results, cut"
    };
    (client_sessions) => {
        "id, member_id, server_id, resource, client_id, client_name, writes, created_at, last_used_at,
             expires_at"
    };
    (connect_tickets) => {
        "digest, member_id, server_id, client_name, sealed, created_at, expires_at"
    };
    (connections) => {
        "id, server_id, member_id, state, reason, origin, issuer, client_id, generation, access_token,
             refresh_token, expires_at, refresh_at, scopes, account, attempt, attempt_sent, busy_until,
             unanswered, unanswered_until, step_up_wanted, step_up_count, step_up_since, connected_at,
             refreshed_at, revision"
    };
    (data_keys) => {
        "id, wrapped, check_value, state, published_at, active_from, resealed_at"
    };
    (dynamic_clients) => {
        "id, name, redirect_uris, created_at, used_at"
    };
    (issuers) => {
        "issuer, audiences, require_at_jwt, keys, keys_fetched_at, source, settings, rules, mapping,
             mapping_value, auto_provision_members, origin, revision"
    };
    (limits) => {
        "workspace_id, member_id, key_id, name, server_id, only_workspace_id, rule, origin, revision"
    };
    (members) => {
        "id, workspace_id, issuer, subject, name, role, disabled, lapsed, origin, revision"
    };
    (oauth_clients) => {
        "server_id, issuer, client_id, kind, authentication, sealed, secret_expires_at, redirect_uri,
             generation, created_at"
    };
    (oauth_flows) => {
        "state, cookie, session, member_id, server_id, origin, issuer, client_id, sealed, expires_at"
    };
    (policies) => {
        "server_id, workspace_id, member_id, key_id, rules, origin, revision"
    };
    (quarantines) => {
        "member_id, key_id, server_id, reason, by_administrator, at, revision"
    };
    (replicas) => {
        "id, seen_at, asked_until, published_at, watchers"
    };
    (server_headers) => {
        "server_id, name, generation, value"
    };
    (server_secrets) => {
        "server_id, generation, value"
    };
    (servers) => {
        "id, slug, name, url, auth, auth_settings, payload, payload_limit, redact, provision_new_workspaces,
             concurrency, origin, revision"
    };
    (upstream_sessions) => {
        "member_id, server_id, session_id, protocol_version, created_at"
    };
    (workspaces) => {
        "id, slug, name, origin, revision, staleness"
    };
}
pub(super) use columns;
