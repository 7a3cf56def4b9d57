//! The facts about lease requests.

use std::collections::BTreeSet;

use std::collections::BTreeMap;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{CallerProof, LeaseRequest};

use super::Database;
use super::fixtures::*;
use crate::domain::Revision;
use crate::domain::issuer::WorkspaceMapping;
use crate::domain::people::KeyOwner;
use crate::domain::policy::PolicyTarget;
use crate::domain::provisioning::Admission;
use crate::domain::resolve::{CallerFacts, KeyFacts, LeaseFacts, MakerFacts, Membership, ServerFacts};
use crate::store::{Declaration, NewKey, NewMember};

pub(super) fn request(server: &str, proof: CallerProof) -> LeaseRequest {
    LeaseRequest { server: slug(server), workspace: None, proof, rejected: None, wait_ms: None }
}

pub(super) fn key_proof(id: &str) -> CallerProof {
    CallerProof::ApiKey { id: id.to_owned(), digest: Digest::from_bytes([0; 32]) }
}

/// Of a subject, without a workspace.
pub(super) fn of_subject(subject: u32) -> CallerProof {
    token_proof(subject, None)
}

fn token_proof(subject: u32, claim: Option<&str>) -> CallerProof {
    let identity = identity(subject);
    CallerProof::Jwt {
        issuer: identity.issuer,
        subject: identity.subject,
        workspace_claim: claim.map(str::to_owned),
        audiences: Vec::new(),
        issued_at: None,
        claims: BTreeMap::new(),
        expires_at: 10,
    }
}

pub(in crate::store) async fn a_key_brings_its_facts(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let Small { workspace, member, server } = small.clone();
    let key =
        store.create_key(&new_key(1, &workspace, KeyOwner::Member(member.id.clone()))).await.expect("makes");
    let service = store.create_key(&new_key(2, &workspace, KeyOwner::Service)).await.expect("makes");
    let revision = revision(store.as_ref()).await;
    let server = Some(ServerFacts {
        server,
        provisioned: BTreeSet::from([workspace.id.clone()]),
        policies: Vec::new(),
        reading_tools: Vec::new(),
        limits: Vec::new(),
        approved_tools: Vec::new(),
        admission: Admission::default(),
    });

    let facts = store.lease_facts(&request("server-1", key_proof(key.id.as_str()))).await.expect("reads");
    let of_key = KeyFacts { key, workspace: workspace.clone(), member: Some(member), maker: None };
    let expected = LeaseFacts { revision, caller: CallerFacts::ApiKey(Some(of_key)), server: server.clone() };
    assert_eq!(facts, expected);
    let facts = store.lease_facts(&request("server-1", key_proof(service.id.as_str()))).await.expect("reads");
    let of_key = KeyFacts { key: service, workspace, member: None, maker: None };
    assert_eq!(facts, LeaseFacts { revision, caller: CallerFacts::ApiKey(Some(of_key)), server });

    let maker = small.member.identity.clone();
    let made = NewKey { made_by: Some(maker), ..new_key(3, &small.workspace, KeyOwner::Service) };
    store.create_key(&made).await.expect("makes");
    let target = PolicyTarget::Member(small.member.id.clone());
    let entry = store.set_policy(&target, &small.server.id, &denying("x"), None).await.expect("sets");
    let facts = store.lease_facts(&request("server-1", key_proof(made.id.as_str()))).await.expect("reads");
    let CallerFacts::ApiKey(Some(of_key)) = facts.caller else { panic!("{:?}", facts.caller) };
    assert_eq!(of_key.maker, Some(MakerFacts { administers: false, membership: Some(small.member) }));
    assert_eq!(facts.server.expect("is there").policies, [entry]);

    let revision = super::fixtures::revision(store.as_ref()).await;
    let facts = store.lease_facts(&request("nothing", key_proof("nobody"))).await.expect("reads");
    assert_eq!(facts, LeaseFacts { revision, caller: CallerFacts::ApiKey(None), server: None });
}

pub(in crate::store) async fn a_token_brings_its_facts(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let other = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let again = NewMember { id: "mem_other".into(), ..new_member(1, &other) };
    let again = store.create_member(&again).await.expect("makes");
    store.create_member(&new_member(2, &other)).await.expect("makes");

    // An issuer that nobody has configured.
    let stranger = request("server-1", token_proof(1, None));
    let CallerFacts::Token(facts) = store.lease_facts(&stranger).await.expect("reads").caller else {
        panic!("token")
    };
    assert_eq!(facts.issuer, None);

    let issuers = vec![issuer(WorkspaceMapping::Claim("team".into()))];
    let declaration = Declaration { issuers, ..Declaration::default() };
    let declared = store.declare(&declaration, revision(store.as_ref()).await).await.expect("declares");
    let with_claim = request("server-1", token_proof(1, Some("team-2")));
    let facts = store.lease_facts(&with_claim).await.expect("reads");
    assert_eq!(facts.revision, declared);
    let of_server = facts.server.expect("the server is there");
    assert_eq!(
        (of_server.server.id, of_server.provisioned),
        (server.id, BTreeSet::from([workspace.id.clone()]))
    );
    let CallerFacts::Token(facts) = facts.caller else { panic!("token") };
    assert_eq!(facts.issuer.map(|issuer| issuer.revision), Some(declared));
    assert_eq!(facts.mapped.as_ref(), Some(&other));
    let memberships = [Membership { workspace, member }, Membership { workspace: other, member: again }];
    assert_eq!(facts.memberships, memberships);

    for claim in [None, Some("no-such-team"), Some("Not A Slug")] {
        let request = request("server-1", token_proof(1, claim));
        let CallerFacts::Token(facts) = store.lease_facts(&request).await.expect("reads").caller else {
            panic!("token")
        };
        assert_eq!(facts.mapped, None, "{claim:?}");
    }
}

pub(in crate::store) async fn facts_leave_out_other_peoples_policies(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, member, server } = small(store.as_ref()).await;
    let other_server = store.create_server(&new_server(2)).await.expect("makes").id;
    let other_workspace = store.create_workspace(&new_workspace(2)).await.expect("makes");
    let other_member = store.create_member(&new_member(2, &workspace)).await.expect("makes");
    let owner = KeyOwner::Member(member.id.clone());
    let key = store.create_key(&new_key(1, &workspace, owner.clone())).await.expect("makes");
    let other_key = store.create_key(&new_key(2, &workspace, owner)).await.expect("makes");
    let mine = [
        PolicyTarget::Organization,
        PolicyTarget::Workspace(workspace.id),
        PolicyTarget::Member(member.id),
        PolicyTarget::Key(key.id.clone()),
    ];
    let others = [
        PolicyTarget::Workspace(other_workspace.id),
        PolicyTarget::Member(other_member.id),
        PolicyTarget::Key(other_key.id),
    ];
    for target in mine.iter().chain(&others) {
        store.set_policy(target, &server.id, &denying("x"), None).await.expect("sets");
        store.set_policy(target, &other_server, &denying("x"), None).await.expect("sets");
    }
    let facts = store.lease_facts(&request("server-1", key_proof(key.id.as_str()))).await.expect("reads");
    let policies = facts.server.expect("is there").policies;
    assert!(policies.iter().all(|entry| entry.server == server.id && entry.revision > Revision(0)));
    let targets: BTreeSet<PolicyTarget> = policies.into_iter().map(|entry| entry.target).collect();
    assert_eq!(targets, BTreeSet::from(mine));
}
