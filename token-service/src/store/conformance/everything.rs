//! A database with something in every table, and all of it read back.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_wire::digest::Digest;

use super::authorization::{authorization, dynamic, key, signed_in};
use super::browsers::{NEVER, flow, session, ticket};
use super::catalogue::{approve, entries, learn, tool};
use super::fixtures::*;
use super::limits::set;
use super::start::data_key;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::catalogue::EntryKind;
use crate::domain::client_session::{Authorization, ClientSession, ShownCode};
use crate::domain::connecting::{BrowserSession, Flow, Ticket};
use crate::domain::connection::Connection;
use crate::domain::ids::WorkspaceId;
use crate::domain::issuer::WorkspaceMapping;
use crate::domain::limit::Limit;
use crate::domain::oauth_client::DynamicClient;
use crate::domain::people::{Administrator, ApiKeyRecord, KeyOwner, Member, OrganizationRole, Workspace};
use crate::domain::policy::{PolicyEntry, PolicyTarget};
use crate::domain::provisioning::{Admission, MemberAccess, Members};
use crate::domain::quarantine::{Quarantine, QuarantineTarget};
use crate::domain::server::Sealed;
use crate::store::authorization::SessionsOf;
use crate::store::catalogue::{CatalogueEntry, Definitions};
use crate::store::connections::{
    Catalogue, ConnectionFilter, RefreshStart, RegisteredClient, UpstreamSession,
};
use crate::store::{AuditEntry, DataKeyRow, Declaration, NewServer, RegistrySnapshot, Since, Store};

/// What there is of everything.
#[derive(Debug, PartialEq)]
pub(in crate::store) struct Everything {
    revision: Revision,
    changes: Since,
    registry: RegistrySnapshot,
    workspaces: Vec<Workspace>,
    members: Vec<Member>,
    administrators: Vec<Administrator>,
    keys: Vec<ApiKeyRecord>,
    provisions: Option<BTreeSet<WorkspaceId>>,
    admission: Option<Admission>,
    policies: Vec<Vec<PolicyEntry>>,
    limits: Vec<Vec<Limit>>,
    quarantines: Vec<Quarantine>,
    data_keys: Vec<DataKeyRow>,
    admin_token: Option<Digest>,
    audit: Vec<AuditEntry>,
    connections: Vec<Connection>,
    client: Option<RegisteredClient>,
    catalogue: Option<Catalogue>,
    entries: Vec<CatalogueEntry>,
    definitions: Option<(CatalogueEntry, Definitions)>,
    upstream_session: Option<UpstreamSession>,
    ticket: Option<Ticket>,
    tickets: u32,
    browser_session: Option<BrowserSession>,
    clients: Vec<DynamicClient>,
    agreed: Option<Authorization>,
    code: Option<ShownCode>,
    sessions: Vec<ClientSession>,
    session_of_token: Option<ClientSession>,
}

const NOW: Timestamp = Timestamp(200);

fn digest(name: &str) -> Digest {
    Digest::of("test", &[name.as_bytes()])
}

fn targets(small: &Small) -> [PolicyTarget; 4] {
    [
        PolicyTarget::Organization,
        PolicyTarget::Workspace(small.workspace.id.clone()),
        PolicyTarget::Member(small.member.id.clone()),
        PolicyTarget::Key("key0000001".into()),
    ]
}

/// Fills an empty database.
pub(in crate::store) async fn fill(store: &dyn Store) {
    let small = small(store).await;
    let Small { workspace, member, server } = &small;
    let oauth = NewServer { settings: oauth_settings("https://two.example/mcp"), ..new_server(2) };
    let oauth = store.create_server(&oauth).await.expect("makes");
    let owner = KeyOwner::Member(member.id.clone());
    store.create_key(&new_key(1, workspace, owner)).await.expect("makes");
    for target in targets(&small) {
        store.set_policy(&target, &server.id, &denying("x"), None).await.expect("sets");
        set(store, &target, "calls").await;
    }
    let declaration =
        Declaration { issuers: vec![issuer(WorkspaceMapping::Membership)], ..Declaration::default() };
    store.declare(&declaration, revision(store).await).await.expect("declares");
    store.create_administrator(&new_administrator(2, OrganizationRole::Owner)).await.expect("makes");
    assert!(store.add_first_data_key(&data_key(1)).await.expect("adds"));
    assert!(store.set_admin_token_digest(None, digest("token")).await.expect("sets"));
    let connection = connected(store, &small).await;
    let begun = store.begin_refresh(&connection.id, 1, "attempt", Duration::from_mins(1)).await;
    assert!(matches!(begun, Ok(RefreshStart::Begun { .. })));
    assert!(store.save_registered_client(&client(server, 1)).await.expect("saves"));
    learn(store, &server.id, 5, &[tool("b", "new"), tool("a", "approved")]).await;
    approve(store, &server.id, &["a"]).await;
    store.save_upstream_session(&digest("upstream"), &upstream_session(&small)).await.expect("saves");
    store.create_ticket(&ticket(&small, "ticket"), NEVER).await.expect("makes");
    store.create_session(&session("browser")).await.expect("makes");
    store.create_flow(&flow(&small, "flow")).await.expect("makes");
    assert!(store.publish_signing_key(&key("one"), None).await.expect("publishes"));
    assert!(store.register_client(&dynamic(1, NOW)).await.expect("registers"));
    assert!(store.agree(&authorization(&small, "agreed")).await.expect("agrees"));
    signed_in(store, &small, "shown").await;
    let target = QuarantineTarget::Server(oauth.id);
    store.set_quarantine(&target, "seen elsewhere", true).await.expect("sets");
    store.set_members(&server.id, &workspace.id, Members::Chosen).await.expect("sets");
    store.set_member_access(&server.id, &member.id, Some(MemberAccess::Allow)).await.expect("sets");
}

fn upstream_session(small: &Small) -> UpstreamSession {
    UpstreamSession {
        member: small.member.id.clone(),
        server: small.server.id.clone(),
        session_id: Some(Sealed::new(vec![0, 255, 7])),
        protocol_version: "2025-11-25".into(),
        created_at: Timestamp(3),
    }
}

/// Reads all that [`fill`] has written, but for what can be taken only once.
pub(in crate::store) async fn everything(store: &dyn Store) -> Everything {
    let small = Small {
        workspace: store.workspace(&"wsp_1".into()).await.expect("reads").expect("is there"),
        member: store.member(&"mem_1".into()).await.expect("reads").expect("is there"),
        server: store.server(&"srv_1".into()).await.expect("reads").expect("is there"),
    };
    let Small { workspace, member, server } = &small;
    let (mut policies, mut limits) = (Vec::new(), Vec::new());
    for target in targets(&small) {
        policies.push(store.policies(&target).await.expect("reads"));
        limits.push(store.limits(&target).await.expect("reads"));
    }
    let filter = ConnectionFilter::default();
    let of = SessionsOf::Member(member.id.clone());
    Everything {
        revision: revision(store).await,
        changes: store.changes_since(Revision(0), 10_000).await.expect("reads"),
        registry: store.registry().await.expect("reads"),
        workspaces: store.workspaces().await.expect("reads"),
        members: store.members(&workspace.id, None, 100).await.expect("reads"),
        administrators: store.administrators().await.expect("reads"),
        keys: store.keys(&workspace.id, None, 100).await.expect("reads"),
        provisions: store.provisions(&server.id).await.expect("reads"),
        admission: store.admission(&server.id).await.expect("reads"),
        policies,
        limits,
        quarantines: store.quarantines().await.expect("reads"),
        data_keys: store.data_keys().await.expect("reads"),
        admin_token: store.admin_token_digest().await.expect("reads"),
        audit: store.audit(None, 1_000).await.expect("reads"),
        connections: store.connections(&filter, None, 100).await.expect("reads"),
        client: store.registered_client(&server.id, UPSTREAM_ISSUER).await.expect("reads"),
        catalogue: store.catalogue(&server.id).await.expect("reads"),
        entries: entries(store, &server.id, &EntryKind::ALL).await,
        definitions: store.catalogue_entry(&server.id, EntryKind::Tool, "a").await.expect("reads"),
        upstream_session: store.upstream_session(&digest("upstream")).await.expect("reads"),
        ticket: store.ticket(&digest("ticket"), NOW).await.expect("reads"),
        tickets: store.tickets_since(&member.id, &server.id, Timestamp(0)).await.expect("reads"),
        browser_session: store.session(&digest("browser"), NOW).await.expect("reads"),
        clients: store.dynamic_clients(None, 100).await.expect("reads"),
        agreed: store.agreed(&digest("agreed")).await.expect("reads"),
        code: store.code(&digest("code of shown")).await.expect("reads"),
        sessions: store.client_sessions(&of, None, 100).await.expect("reads"),
        session_of_token: store.session_of_refresh_token(&digest("shown")).await.expect("reads"),
    }
}

/// Takes what can be taken only once.
pub(in crate::store) async fn take_flow(store: &dyn Store) -> Option<Flow> {
    store.take_flow(&digest("flow"), NOW).await.expect("takes")
}
