//! One caller and one server at a time; what is common to all kinds of callers is here.

mod keys;
mod policies;
mod sessions;
mod tokens;

use std::collections::BTreeMap;

use portcullis_wire::names::Slug;
use portcullis_wire::policy::{Kind, Level, NameRules, Pattern};

use super::*;
use crate::domain::Origin;
use crate::domain::issuer::{IssuerSettings, TokenSource, WorkspaceMapping};
use crate::domain::payload::PayloadSettings;
use crate::domain::people::{KeyScope, KeySettings};
use crate::domain::policy::ServerRules;
use crate::domain::server::{OAuthSettings, ServerSettings};
use crate::domain::token_rules::TokenRules;
use crate::domain::url::{PlainHttp, ServerUrl};

const NOW: Timestamp = Timestamp(100_000);
const ISSUER: &str = "https://idp.example";
const RESOURCE: &str = "https://gateway.example/linear/mcp";

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

fn workspace(name: &str) -> Workspace {
    Workspace {
        id: name.into(),
        slug: slug(name),
        name: name.to_uppercase(),
        origin: Origin::Api,
        revision: Revision(1),
        staleness: None,
    }
}

fn identity(subject: &str) -> Identity {
    Identity { issuer: ISSUER.into(), subject: subject.into() }
}

fn member(id: &str, workspace: &str) -> Member {
    Member {
        id: id.into(),
        workspace: workspace.into(),
        identity: identity("ada"),
        name: "Ada".into(),
        role: MemberRole::Member,
        disabled: false,
        lapsed: false,
        origin: Origin::Api,
        revision: Revision(1),
        quarantined: false,
    }
}

fn digest() -> Digest {
    Digest::of("test", &[b"key"])
}

fn key(owner: KeyOwner) -> ApiKeyRecord {
    ApiKeyRecord {
        id: "key".into(),
        digest: digest(),
        workspace: "core".into(),
        owner,
        made_by: None,
        settings: KeySettings {
            name: "CI".into(),
            expires_at: None,
            disabled: false,
            scope: KeyScope::default(),
            sources: Vec::new(),
        },
        replaces: None,
        created_at: Timestamp(0),
        revision: Revision(1),
        last_used_at: None,
        quarantined: false,
    }
}

fn server_facts(policies: Vec<PolicyEntry>) -> ServerFacts {
    let url = ServerUrl::parse("https://mcp.example/mcp", PlainHttp::Refused).expect("a URL");
    let settings = ServerSettings {
        name: "Linear".into(),
        url,
        auth: ServerAuth::None,
        payload: PayloadSettings::default(),
        provision_new_workspaces: false,
        concurrency: None,
    };
    let server = Server {
        id: "server".into(),
        slug: slug("linear"),
        settings,
        origin: Origin::Api,
        revision: Revision(1),
        quarantined: false,
    };
    ServerFacts {
        server,
        provisioned: BTreeSet::from(["core".into()]),
        policies,
        reading_tools: Vec::new(),
        limits: Vec::new(),
        approved_tools: Vec::new(),
        admission: Admission::default(),
    }
}

fn key_facts() -> KeyFacts {
    KeyFacts {
        key: key(KeyOwner::Member("ada".into())),
        workspace: workspace("core"),
        member: Some(member("ada", "core")),
        maker: None,
    }
}

fn of_key(facts: KeyFacts) -> LeaseFacts {
    LeaseFacts {
        revision: Revision(7),
        caller: CallerFacts::ApiKey(Some(facts)),
        server: Some(server_facts(Vec::new())),
    }
}

fn key_request() -> LeaseRequest {
    let proof = CallerProof::ApiKey { id: "key".into(), digest: digest() };
    LeaseRequest { server: slug("linear"), workspace: None, proof, rejected: None, wait_ms: None }
}

fn issuer(workspaces: WorkspaceMapping) -> Issuer {
    Issuer {
        issuer: ISSUER.into(),
        rules: TokenRules::default(),
        settings: IssuerSettings::default(),
        require_at_jwt: false,
        source: TokenSource::Given,
        keys_fetched_at: None,
        keys: Vec::new(),
        workspaces,
        auto_provision_members: false,
        origin: Origin::Config,
        revision: Revision(1),
    }
}

fn membership(workspace_name: &str) -> Membership {
    Membership { workspace: workspace(workspace_name), member: member("ada", workspace_name) }
}

fn of_token(mapping: WorkspaceMapping, memberships: Vec<Membership>) -> LeaseFacts {
    let token = TokenFacts { issuer: Some(issuer(mapping)), memberships, mapped: Some(workspace("core")) };
    LeaseFacts {
        revision: Revision(7),
        caller: CallerFacts::Token(token),
        server: Some(server_facts(Vec::new())),
    }
}

fn token_request(claim: Option<&str>, path: Option<&str>) -> LeaseRequest {
    let proof = CallerProof::Jwt {
        issuer: ISSUER.into(),
        subject: "ada".into(),
        workspace_claim: claim.map(str::to_owned),
        audiences: vec![RESOURCE.into()],
        issued_at: None,
        claims: BTreeMap::new(),
        expires_at: 101,
    };
    LeaseRequest { server: slug("linear"), workspace: path.map(slug), proof, rejected: None, wait_ms: None }
}

fn granted(request: &LeaseRequest, facts: &LeaseFacts) -> Grant {
    match resolve(request, facts, RESOURCE, NOW) {
        Resolution::Granted(grant) => *grant,
        other => panic!("granted, not {other:?}"),
    }
}

fn denied(request: &LeaseRequest, facts: &LeaseFacts) -> DenyReason {
    match resolve(request, facts, RESOURCE, NOW) {
        Resolution::Denied(reason) => reason,
        other => panic!("denied, not {other:?}"),
    }
}

fn entry(target: PolicyTarget, rules: ServerRules) -> PolicyEntry {
    PolicyEntry { target, server: "server".into(), rules, origin: Origin::Api, revision: Revision(1) }
}

#[test]
fn unknown_disabled_and_unprovisioned_servers_look_alike() {
    let request = key_request();
    let gone = LeaseFacts { server: None, ..of_key(key_facts()) };
    assert_eq!(denied(&request, &gone), DenyReason::UnknownServer);
    let elsewhere = ServerFacts { provisioned: BTreeSet::from(["sales".into()]), ..server_facts(Vec::new()) };
    let elsewhere = LeaseFacts { server: Some(elsewhere), ..of_key(key_facts()) };
    assert_eq!(denied(&request, &elsewhere), DenyReason::UnknownServer);
    // A stranger is told so, whatever the server.
    let stranger = LeaseFacts { caller: CallerFacts::ApiKey(None), ..gone };
    assert_eq!(denied(&request, &stranger), DenyReason::UnknownCredential);
}
