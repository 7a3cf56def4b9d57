//! Every message of the internal API in all its forms, made from the types of this version.
//!
//! Structs are written out and enums are listed by a `match`, so that nothing can be added to a type and be left out here.

use std::collections::BTreeMap;

use portcullis_wire::api_key::ApiKey;
use portcullis_wire::catalogue::{LISTS_CHANGED_PATH, ListsChanged};
use portcullis_wire::decision::{DeniedRequest, Who};
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{
    Caller, CallerProof, ConnectRequired, CredentialHeader, CredentialKind, CredentialLimits, DenyReason,
    Lease, LeaseReply, LeaseRequest, Rate, Rejected, Terms, WorkspaceRef,
};
use portcullis_wire::names::Slug;
use portcullis_wire::payload::{Capture, Redaction};
use portcullis_wire::policy::{
    ArgumentRule, Condition, Kind, KnownTools, Level, LevelRules, NameRules, NewTools, Pattern, Policy,
    Scalar,
};
use portcullis_wire::secret::SecretText;
use portcullis_wire::unconnected::{
    self, OpenState, OpenedState, SessionReply, SessionRequest, request_digest,
};
use portcullis_wire::watch::{
    Algorithm, Invalidation, IssuerEntry, PayloadPolicy, Registry, ServerEntry, Upstream, VerificationKey,
    WatchQuery, WatchReply,
};
use portcullis_wire::{CONTRACT_VERSION, LEASES_PATH, MARKER_HEADER, WATCH_PATH, session};
use serde::Serialize;
use serde_json::{Value, json};

/// The forms of each message, by its name.
pub(crate) fn all() -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    BTreeMap::from([
        ("lease_request", forms(lease_requests())),
        ("lease_reply", forms(lease_replies())),
        ("watch_query", forms(watch_queries())),
        ("watch_reply", forms(watch_replies())),
        ("open_state", forms(open_states())),
        ("opened_state", forms(opened_states())),
        ("session_request", forms(session_requests())),
        ("session_reply", forms(session_replies())),
        ("lists_changed", forms([("told", ListsChanged { server: "srv_1".into() })])),
        ("spellings", spellings()),
    ])
}

fn forms<T: Serialize>(all: impl IntoIterator<Item = (impl Into<String>, T)>) -> BTreeMap<String, Value> {
    let spelt = |message: T| serde_json::to_value(message).expect("JSON");
    all.into_iter().map(|(name, message)| (name.into(), spelt(message))).collect()
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

fn secret(text: &str) -> SecretText {
    SecretText::new(text.into())
}

fn texts<const N: usize>(all: [&str; N]) -> Vec<String> {
    all.map(str::to_owned).into()
}

fn patterns<const N: usize>(all: [&str; N]) -> Vec<Pattern> {
    all.map(|text| Pattern(text.into())).into()
}

fn api_key_proof() -> CallerProof {
    CallerProof::ApiKey { id: "0123456789".into(), digest: Digest::of("sample", &[b"secret"]) }
}

fn proofs() -> [(&'static str, CallerProof); 5] {
    let name = |proof: &CallerProof| match proof {
        CallerProof::ApiKey { .. } => "api_key",
        CallerProof::Jwt { claims, .. } if claims.is_empty() => "jwt_least",
        CallerProof::Jwt { .. } => "jwt",
        CallerProof::AccessToken { .. } => "access_token",
        CallerProof::Opaque { .. } => "opaque",
    };
    let jwt = CallerProof::Jwt {
        issuer: "https://idp.example".into(),
        subject: "ada".into(),
        workspace_claim: Some("core".into()),
        audiences: texts(["https://gateway.example/linear/mcp", "gateway"]),
        issued_at: Some(1_800_000_000),
        claims: BTreeMap::from([("groups".into(), json!(["engineering"])), ("level".into(), json!(3))]),
        expires_at: 1_800_000_300,
    };
    let least = CallerProof::Jwt {
        issuer: "https://idp.example".into(),
        subject: "ada".into(),
        workspace_claim: None,
        audiences: Vec::new(),
        issued_at: None,
        claims: BTreeMap::new(),
        expires_at: 1_800_000_300,
    };
    let access_token = CallerProof::AccessToken {
        session: "ses_1".into(),
        scopes: texts(["mcp:read", "mcp:write"]),
        expires_at: 1_800_000_300,
    };
    [api_key_proof(), jwt, least, access_token, CallerProof::Opaque { token: secret("opaque-token") }]
        .map(|proof| (name(&proof), proof))
}

fn lease_requests() -> Vec<(String, LeaseRequest)> {
    let plain = |proof| LeaseRequest {
        server: slug("linear"),
        workspace: None,
        proof,
        rejected: None,
        wait_ms: None,
    };
    let mut all: Vec<_> =
        proofs().into_iter().map(|(name, proof)| (format!("by_{name}"), plain(proof))).collect();
    let rejected = |challenge: Option<&str>| Rejected {
        connection_id: "con_1".into(),
        generation: 3,
        status: 401,
        challenge: challenge.map(str::to_owned),
    };
    let whole = LeaseRequest {
        server: slug("linear"),
        workspace: Some(slug("core")),
        proof: api_key_proof(),
        rejected: Some(rejected(Some("Bearer error=\"invalid_token\""))),
        wait_ms: Some(4_700),
    };
    all.push(("rejected".into(), whole.clone()));
    all.push(("rejected_least".into(), LeaseRequest { rejected: Some(rejected(None)), ..whole }));
    all
}

fn lease_replies() -> Vec<(String, LeaseReply)> {
    let mut all = vec![
        ("granted".to_owned(), LeaseReply::Granted(Box::new(lease()))),
        ("granted_least".to_owned(), LeaseReply::Granted(Box::new(least_lease()))),
        ("connect_required".to_owned(), LeaseReply::ConnectRequired(Box::new(connect_required()))),
        ("renewing".to_owned(), LeaseReply::Renewing),
        ("unavailable".to_owned(), LeaseReply::Unavailable { retry_after_ms: 2_000 }),
        (
            "denied_least".to_owned(),
            LeaseReply::Denied { reason: DenyReason::UnknownServer, because: None, revision: None },
        ),
    ];
    for reason in reasons() {
        let because = Some("workspace/enabled".into());
        let denied = LeaseReply::Denied { reason, because, revision: Some(42) };
        all.push((format!("denied_{}", reason.as_str()), denied));
    }
    for credential in credentials() {
        let caller = Caller { credential, ..least_caller() };
        let lease = Lease { caller, ..least_lease() };
        all.push((format!("granted_by_{}", credential.as_str()), LeaseReply::Granted(Box::new(lease))));
    }
    all
}

/// All of them: a new one does not compile before it is here.
fn reasons() -> Vec<DenyReason> {
    use DenyReason as Reason;
    let next = |reason| match reason {
        Reason::UnknownCredential => Some(Reason::ExpiredCredential),
        Reason::ExpiredCredential => Some(Reason::DisabledCredential),
        Reason::DisabledCredential => Some(Reason::WrongAudience),
        Reason::WrongAudience => Some(Reason::NotForThisServer),
        Reason::NotForThisServer => Some(Reason::WrongWorkspace),
        Reason::WrongWorkspace => Some(Reason::UnknownServer),
        Reason::UnknownServer => Some(Reason::CredentialUnavailable),
        Reason::CredentialUnavailable => Some(Reason::MemberRequired),
        Reason::MemberRequired => Some(Reason::TooManyScopes),
        Reason::TooManyScopes => None,
    };
    std::iter::successors(Some(Reason::UnknownCredential), |reason| next(*reason)).collect()
}

fn credentials() -> Vec<CredentialKind> {
    use CredentialKind as Of;
    let next = |kind| match kind {
        Of::MemberKey => Some(Of::ServiceKey),
        Of::ServiceKey => Some(Of::Jwt),
        Of::Jwt => Some(Of::OpaqueToken),
        Of::OpaqueToken => Some(Of::AccessToken),
        Of::AccessToken => None,
    };
    std::iter::successors(Some(Of::MemberKey), |kind| next(*kind)).collect()
}

fn least_caller() -> Caller {
    Caller {
        id: "mem_1".into(),
        name: "Ada".into(),
        credential: CredentialKind::Jwt,
        key_id: None,
        session_id: None,
        client_id: None,
    }
}

fn workspace() -> WorkspaceRef {
    WorkspaceRef { id: "wsp_1".into(), slug: slug("core") }
}

fn lease() -> Lease {
    Lease {
        caller: Caller {
            credential: CredentialKind::AccessToken,
            key_id: Some("0123456789".into()),
            session_id: Some("ses_1".into()),
            client_id: Some("https://client.example/metadata".into()),
            ..least_caller()
        },
        workspace: workspace(),
        server_id: "srv_1".into(),
        connection_id: Some("con_1".into()),
        credential_generation: 3,
        policy: policy(),
        limits: limits(),
        terms: terms(),
        credential_headers: vec![CredentialHeader {
            name: "authorization".into(),
            value: secret("Bearer upstream-secret"),
        }],
        session_key: Some(secret("session-key")),
        ttl_ms: 60_000,
        revision: 42,
    }
}

fn least_lease() -> Lease {
    Lease {
        caller: least_caller(),
        workspace: workspace(),
        server_id: "srv_1".into(),
        connection_id: None,
        credential_generation: 0,
        policy: Policy::default(),
        limits: CredentialLimits::default(),
        terms: Terms::default(),
        credential_headers: Vec::new(),
        session_key: None,
        ttl_ms: 60_000,
        revision: 42,
    }
}

fn connect_required() -> ConnectRequired {
    ConnectRequired {
        caller: least_caller(),
        workspace: workspace(),
        server_id: "srv_1".into(),
        connection_id: "con_1".into(),
        policy: policy(),
        limits: limits(),
        terms: terms(),
        handle: secret("handle"),
        ttl_ms: 30_000,
        revision: 42,
    }
}

fn limits() -> CredentialLimits {
    CredentialLimits {
        sources: texts(["192.0.2.0/24", "2001:db8::/32"]),
        reading_tools: Some(texts(["get_issue"])),
    }
}

fn terms() -> Terms {
    let rate = |by_tool, tools| Rate {
        counter: "c1".into(),
        name: "workspace/limits:writes".into(),
        tools,
        requests: 60,
        window_ms: 60_000,
        by_tool,
    };
    Terms {
        rates: vec![rate(false, Vec::new()), rate(true, patterns(["create_*"]))],
        concurrency: Some(10),
        serve_stale_ms: Some(0),
    }
}

/// A level of each kind, and between them every rule that there is.
fn policy() -> Policy {
    let level = |level| LevelRules { level, ..LevelRules::default() };
    let whole = LevelRules {
        level: Level::Organization,
        tools: NameRules { allow: Some(patterns(["get_*", "search"])), deny: patterns(["delete_*"]) },
        prompts: NameRules { allow: None, deny: patterns(["secret"]) },
        resources: NameRules { allow: Some(Vec::new()), deny: Vec::new() },
        read_only: true,
        new_tools: NewTools::Hold,
        sensitive: patterns(["pay"]),
        arguments: argument_rules(),
    };
    let levels = vec![
        whole,
        LevelRules { new_tools: NewTools::AllowIfReadOnly, ..level(Level::Workspace) },
        level(Level::Member),
        level(Level::Key),
    ];
    for rules in &levels {
        // A new one does not compile before it is here.
        match rules.level {
            Level::Organization | Level::Workspace | Level::Member | Level::Key => {}
        }
        match rules.new_tools {
            NewTools::Allow | NewTools::AllowIfReadOnly | NewTools::Hold => {}
        }
    }
    let known = KnownTools { reading: texts(["get_issue"]), approved: texts(["get_issue", "search"]) };
    Policy { levels, known }
}

fn argument_rules() -> Vec<ArgumentRule> {
    let rule =
        |optional, is| ArgumentRule { tool: Pattern("t".into()), argument: "/a/0".into(), optional, is };
    let conditions = [
        Condition::Equals(Scalar::Text("main".into())),
        Condition::OneOf(vec![Scalar::Number(1.into()), Scalar::Bool(true), Scalar::Null]),
        Condition::Prefix("acme/".into()),
        Condition::Glob(Pattern("a*z".into())),
        Condition::Range { min: Some(1.into()), max: Some(9_007_199_254_740_993_u64.into()) },
        Condition::Range { min: None, max: None },
    ];
    for condition in &conditions {
        match condition {
            Condition::Equals(_)
            | Condition::OneOf(_)
            | Condition::Prefix(_)
            | Condition::Glob(_)
            | Condition::Range { .. } => {}
        }
    }
    conditions
        .into_iter()
        .zip([false, true].into_iter().cycle())
        .map(|(is, optional)| rule(optional, is))
        .collect()
}

fn watch_queries() -> [(&'static str, WatchQuery); 2] {
    let query = |cursor| WatchQuery { cursor, filter: "vm-1".into() };
    [("first", query(0)), ("next", query(1))]
}

fn watch_replies() -> Vec<(&'static str, WatchReply)> {
    let quiet = WatchReply {
        cursor: 42,
        reset: false,
        now_ms: 1_800_000_000_000,
        hold_ms: 1_000,
        registry: None,
        invalidations: Vec::new(),
    };
    let first = WatchReply { reset: true, registry: Some(registry()), ..quiet.clone() };
    let empty = WatchReply { registry: Some(Registry::default()), ..quiet.clone() };
    let changes = WatchReply { invalidations: invalidations(), ..quiet.clone() };
    let all =
        WatchReply { registry: Some(registry()), invalidations: vec![Invalidation::All], ..quiet.clone() };
    vec![("first", first), ("empty", empty), ("quiet", quiet), ("changes", changes), ("changes_of_all", all)]
}

fn invalidations() -> Vec<Invalidation> {
    let all = vec![
        Invalidation::Member("mem_1".into()),
        Invalidation::Key("0123456789".into()),
        Invalidation::Session("ses_1".into()),
        Invalidation::Workspace("wsp_1".into()),
        Invalidation::Server("srv_1".into()),
        Invalidation::Connection("con_1".into()),
        Invalidation::All,
    ];
    for invalidation in &all {
        match invalidation {
            Invalidation::Member(_)
            | Invalidation::Key(_)
            | Invalidation::Session(_)
            | Invalidation::Workspace(_)
            | Invalidation::Server(_)
            | Invalidation::Connection(_)
            | Invalidation::All => {}
        }
    }
    all
}

fn registry() -> Registry {
    let policies = [PayloadPolicy::Off, PayloadPolicy::Digest, PayloadPolicy::Redacted, PayloadPolicy::Full];
    let mut servers: Vec<ServerEntry> =
        policies.into_iter().enumerate().map(|(number, policy)| server(number, policy)).collect();
    servers.push(ServerEntry {
        capture: Some(Capture {
            policy: PayloadPolicy::Redacted,
            limit: 8_192,
            redact: Redaction { parameters: texts(["/arguments/*/email"]), response: texts(["/content"]) },
        }),
        tools: texts(["get_issue", "search"]),
        ..server(9, PayloadPolicy::Digest)
    });
    Registry { servers, issuers: issuers(), accepts_opaque_tokens: true, unread: Vec::new() }
}

fn server(number: usize, payload: PayloadPolicy) -> ServerEntry {
    ServerEntry {
        id: format!("srv_{number}"),
        slug: slug(&format!("server-{number}")),
        upstream: Upstream { tls: number > 0, authority: "mcp.example:8443".into(), path: "/mcp?a=b".into() },
        payload,
        capture: None,
        tools: Vec::new(),
    }
}

/// Keys that verify nothing and have the right form.
fn issuers() -> Vec<IssuerEntry> {
    let key = |key_id: Option<&str>, algorithm| {
        let spki = match algorithm {
            Algorithm::EdDsa => "MCowBQYDK2VwAyEAAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".to_owned(),
            Algorithm::Es256 => es256(),
            Algorithm::Rs256 => rs256(),
        };
        VerificationKey { key_id: key_id.map(str::to_owned), algorithm, spki }
    };
    let whole = IssuerEntry {
        issuer: "https://idp.example".into(),
        audiences: texts(["gateway"]),
        require_at_jwt: true,
        workspace_claim: Some("team".into()),
        claims: texts(["groups"]),
        accepts_resource: true,
        clock_tolerance: Some(5),
        introspected: true,
        gateway: true,
        keys: vec![
            key(Some("k1"), Algorithm::EdDsa),
            key(Some("k2"), Algorithm::Es256),
            key(Some("k3"), Algorithm::Rs256),
        ],
    };
    let least = IssuerEntry {
        issuer: "https://other.example".into(),
        audiences: Vec::new(),
        require_at_jwt: false,
        workspace_claim: None,
        claims: Vec::new(),
        accepts_resource: false,
        clock_tolerance: None,
        introspected: false,
        gateway: false,
        keys: vec![key(None, Algorithm::EdDsa)],
    };
    vec![whole, least]
}

fn es256() -> String {
    let start = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
    // 27 bytes of the frame, and a point of 64 bytes.
    start.to_owned() + &"AQEB".repeat(21) + "AQ=="
}

fn rs256() -> String {
    // 24 bytes of the frame, and 270 of the key.
    let start = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A";
    start.to_owned() + &"AQEB".repeat(90)
}

fn open_states() -> [(&'static str, OpenState); 2] {
    let request = |workspace| OpenState {
        server: slug("linear"),
        workspace,
        proof: api_key_proof(),
        state: "pcl-state.sealed".into(),
        request: request_digest("tools/call", "search", b"{}"),
    };
    [("by_server", request(None)), ("by_workspace", request(Some(slug("core"))))]
}

fn opened_states() -> Vec<(&'static str, OpenedState)> {
    vec![
        (
            "opened",
            OpenedState::Opened {
                request_state: Some("upstream-state".into()),
                input_responses: Some("{\"q\":{}}".into()),
            },
        ),
        ("opened_least", OpenedState::Opened { request_state: None, input_responses: None }),
        ("refused", OpenedState::Refused),
        ("unavailable", OpenedState::Unavailable { retry_after_ms: 2_000 }),
    ]
}

fn session_requests() -> [(&'static str, SessionRequest); 2] {
    let request = |workspace| SessionRequest {
        server: slug("linear"),
        workspace,
        proof: api_key_proof(),
        session: "pcl-session.sealed".into(),
    };
    [("by_server", request(None)), ("by_workspace", request(Some(slug("core"))))]
}

fn session_replies() -> Vec<(&'static str, SessionReply)> {
    let opened = |session_id: Option<&str>| SessionReply::Opened {
        session_id: session_id.map(str::to_owned),
        protocol_version: "2025-11-25".into(),
        ttl_ms: 60_000,
    };
    vec![
        ("opened", opened(Some("upstream-session"))),
        ("opened_least", opened(None)),
        ("unknown", SessionReply::Unknown),
        ("unavailable", SessionReply::Unavailable { retry_after_ms: 2_000 }),
    ]
}

/// Names and texts that either side has to spell as the other does.
fn spellings() -> BTreeMap<String, Value> {
    let denied = |who| DeniedRequest {
        at_ms: 1_800_000_000_000,
        status: 200,
        reason: "policy_denied".into(),
        rule: "workspace/tools.deny:delete_*".into(),
        who,
        workspace: Some("core".into()),
        server: Some("linear".into()),
        target: Some((Kind::Tool, "delete_issue".into())),
        revision: Some(42),
    };
    let who = [
        None,
        Some(Who::Member("mem_1".into())),
        Some(Who::Key("0123456789".into())),
        Some(Who::Session("ses_1".into())),
        Some(Who::Subject { issuer: "https://idp.example".into(), subject: "ada".into() }),
    ];
    let entropy: Vec<u8> = (0..128).collect();
    let (key, parsed) = ApiKey::spell("test", &entropy).expect("enough entropy");
    BTreeMap::from([
        (
            "paths".into(),
            json!([
                LEASES_PATH,
                WATCH_PATH,
                LISTS_CHANGED_PATH,
                unconnected::PATH,
                unconnected::STATES_PATH,
                unconnected::SESSIONS_PATH
            ]),
        ),
        ("headers".into(), json!([MARKER_HEADER, unconnected::HANDLE_HEADER])),
        ("contract_version".into(), json!(CONTRACT_VERSION)),
        (
            "prefixes".into(),
            json!([unconnected::STATE_PREFIX, unconnected::SESSION_PREFIX, session::BOUND_PREFIX]),
        ),
        ("input_key".into(), json!(unconnected::INPUT_KEY)),
        ("api_key".into(), json!({"text": key.expose(), "digest": parsed.digest})),
        ("bound_session".into(), json!(session::bind(&secret("session-key"), "upstream-session"))),
        ("decisions".into(), json!(who.map(|who| denied(who).spell()))),
    ])
}
