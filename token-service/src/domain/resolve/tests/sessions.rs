//! Access tokens of clients that have signed in.

use super::*;
use crate::domain::client_session::{ClientName, ClientSession, Extent};
use crate::domain::resource::ResourcePath;

fn session_request(scopes: &[&str], expires_at: u64) -> LeaseRequest {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let proof = CallerProof::AccessToken { session: "ses_1".into(), scopes, expires_at };
    LeaseRequest { server: slug("linear"), workspace: None, proof, rejected: None, wait_ms: None }
}

const BOTH: [&str; 2] = ["mcp:read", "mcp:write"];

fn of_session(change: impl FnOnce(&mut SessionFacts)) -> LeaseFacts {
    let session = ClientSession {
        id: "ses_1".into(),
        member: "ada".into(),
        server: "server".into(),
        resource: ResourcePath { workspace: None, server: slug("linear") },
        client: ClientName { id: "https://client.example/c".into(), name: "Client".into() },
        extent: Extent::Everything,
        created_at: Timestamp(0),
        last_used_at: Timestamp(0),
        expires_at: Timestamp(900_000),
    };
    let mut facts = SessionFacts { session, workspace: workspace("core"), member: member("ada", "core") };
    change(&mut facts);
    let mut server = server_facts(Vec::new());
    server.reading_tools = vec!["list_issues".into()];
    let caller = CallerFacts::Session(Some(Box::new(facts)));
    LeaseFacts { revision: Revision(7), caller, server: Some(server) }
}

#[test]
fn an_access_token_acts_as_the_member_who_allowed_it() {
    let grant = granted(&session_request(&BOTH, 101), &of_session(|_| {}));
    let caller = Caller {
        id: "ada".into(),
        name: "Ada".into(),
        credential: CredentialKind::AccessToken,
        key_id: None,
        session_id: Some("ses_1".into()),
        client_id: Some("https://client.example/c".into()),
    };
    assert_eq!((grant.caller, grant.workspace), (caller, workspace("core").reference()));
    assert_eq!((grant.limits, grant.not_after), (CredentialLimits::default(), Some(Timestamp(101_000))));
    let grant = granted(&session_request(&BOTH, 9_000), &of_session(|_| {}));
    assert_eq!(grant.not_after, Some(Timestamp(900_000)), "the sign-in ends before the token");
}

#[test]
fn reading_is_all_that_a_token_without_the_other_scope_is_good_for() {
    let reading = Some(vec!["list_issues".to_owned()]);
    let grant = granted(&session_request(&["mcp:read"], 101), &of_session(|_| {}));
    assert_eq!(grant.limits.reading_tools, reading);
    let narrowed = of_session(|facts| facts.session.extent = Extent::Reading);
    assert_eq!(granted(&session_request(&BOTH, 101), &narrowed).limits.reading_tools, reading);
    for scopes in [&["mcp:write"][..], &[], &["admin"]] {
        assert_eq!(denied(&session_request(scopes, 101), &of_session(|_| {})), DenyReason::UnknownCredential);
    }
}

#[test]
fn an_access_token_is_for_one_server_and_for_as_long_as_the_sign_in() {
    let request = session_request(&BOTH, 101);
    for (facts, reason) in [
        (of_session(|facts| facts.session.expires_at = NOW), DenyReason::ExpiredCredential),
        (of_session(|facts| facts.member.disabled = true), DenyReason::DisabledCredential),
        (of_session(|facts| facts.session.server = "another".into()), DenyReason::NotForThisServer),
        (of_session(|facts| facts.session.resource.server = slug("notion")), DenyReason::NotForThisServer),
        (
            of_session(|facts| facts.session.resource.workspace = Some(slug("core"))),
            DenyReason::NotForThisServer,
        ),
        (of_session(|facts| facts.workspace = workspace("sales")), DenyReason::UnknownServer),
        (
            LeaseFacts { caller: CallerFacts::Session(None), ..of_session(|_| {}) },
            DenyReason::UnknownCredential,
        ),
        (of_key(key_facts()), DenyReason::UnknownCredential),
    ] {
        assert_eq!(denied(&request, &facts), reason, "{facts:?}");
    }
    assert_eq!(denied(&session_request(&BOTH, 100), &of_session(|_| {})), DenyReason::ExpiredCredential);
    let named = LeaseRequest { workspace: Some(slug("core")), ..session_request(&BOTH, 101) };
    assert_eq!(denied(&named, &of_session(|_| {})), DenyReason::NotForThisServer);
    let there = of_session(|facts| facts.session.resource.workspace = Some(slug("core")));
    assert_eq!(granted(&named, &there).workspace.slug, slug("core"));
}
