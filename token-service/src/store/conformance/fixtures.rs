//! Objects to try things with. Every name is made unique by a number.

use std::collections::BTreeSet;

use portcullis_wire::digest::Digest;
use portcullis_wire::names::Slug;
use portcullis_wire::policy::{NameRules, Pattern};
use portcullis_wire::watch::{Algorithm, Invalidation, PayloadPolicy, VerificationKey};

use crate::clock::Timestamp;
use crate::domain::header::HeaderName;
use crate::domain::issuer::{Issuer, WorkspaceMapping};
use crate::domain::people::{Identity, KeyOwner, KeySettings, Member, Workspace};
use crate::domain::policy::ServerRules;
use crate::domain::server::{Sealed, SealedHeader, Server, ServerAuth, ServerSettings};
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::domain::{Origin, Revision};
use crate::store::{ChangeSet, InitialWorkspaces, NewKey, NewMember, NewServer, NewWorkspace, Since, Store};

pub(super) const ISSUER: &str = "https://idp.example";

pub(super) fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

pub(super) fn settings(name: &str) -> ServerSettings {
    ServerSettings {
        name: name.to_owned(),
        url: ServerUrl::parse("https://mcp.example/mcp?x=1", PlainHttp::Refused).expect("a URL"),
        auth: ServerAuth::Headers(vec![header("x-second", 7), header("authorization", 1)]),
        payload: PayloadPolicy::Digest,
        provision_new_workspaces: false,
    }
}

pub(super) fn header(name: &str, generation: u64) -> SealedHeader {
    SealedHeader {
        name: HeaderName::parse(name).expect("a name"),
        generation,
        value: Sealed::new(vec![0, 255, 3]),
    }
}

pub(super) fn new_server(number: u32) -> NewServer {
    NewServer {
        id: format!("srv_{number}").into(),
        slug: slug(&format!("server-{number}")),
        settings: settings(&format!("Server {number}")),
        workspaces: InitialWorkspaces::Only(BTreeSet::new()),
    }
}

pub(super) fn new_workspace(number: u32) -> NewWorkspace {
    NewWorkspace {
        id: format!("wsp_{number}").into(),
        slug: slug(&format!("team-{number}")),
        name: format!("Team {number}"),
    }
}

pub(super) fn new_member(number: u32, workspace: &Workspace) -> NewMember {
    NewMember {
        id: format!("mem_{number}").into(),
        workspace: workspace.id.clone(),
        identity: identity(number),
        name: format!("Member {number}"),
    }
}

pub(super) fn identity(number: u32) -> Identity {
    Identity { issuer: ISSUER.into(), subject: format!("subject-{number}") }
}

pub(super) fn new_key(number: u32, workspace: &Workspace, owner: KeyOwner) -> NewKey {
    NewKey {
        id: format!("key{number:07}").as_str().into(),
        digest: Digest::of("test", &[&number.to_be_bytes()]),
        workspace: workspace.id.clone(),
        owner,
        settings: key_settings(&format!("Key {number}")),
        created_at: Timestamp(1_000),
    }
}

pub(super) fn key_settings(name: &str) -> KeySettings {
    KeySettings { name: name.to_owned(), expires_at: Some(Timestamp(5_000)), disabled: false }
}

pub(super) fn denying(pattern: &str) -> ServerRules {
    let tools = NameRules { allow: None, deny: vec![Pattern(pattern.to_owned())] };
    ServerRules { tools, ..ServerRules::default() }
}

pub(super) fn issuer(workspaces: WorkspaceMapping) -> Issuer {
    Issuer {
        issuer: ISSUER.into(),
        audiences: vec!["gateway".into()],
        require_at_jwt: true,
        keys: vec![VerificationKey {
            key_id: Some("1".into()),
            algorithm: Algorithm::EdDsa,
            spki: "AAAA".into(),
        }],
        workspaces,
        auto_provision_members: true,
        origin: Origin::Config,
        revision: Revision(0),
    }
}

/// A workspace with a member, and a server that the workspace has.
pub(super) struct Small {
    pub(super) workspace: Workspace,
    pub(super) member: Member,
    pub(super) server: Server,
}

pub(super) async fn small(store: &dyn Store) -> Small {
    let workspace = store.create_workspace(&new_workspace(1)).await.expect("makes");
    let member = store.create_member(&new_member(1, &workspace)).await.expect("makes");
    let server = NewServer { workspaces: InitialWorkspaces::All, ..new_server(1) };
    let server = store.create_server(&server).await.expect("makes");
    Small { workspace, member, server }
}

pub(super) async fn revision(store: &dyn Store) -> Revision {
    store.current_revision().await.expect("reads")
}

/// What has changed since `cursor`, all of it.
pub(super) async fn changes(store: &dyn Store, cursor: Revision) -> ChangeSet {
    match store.changes_since(cursor, 10_000).await.expect("reads") {
        Since::Changes(changes) => changes,
        Since::Gap { .. } => panic!("no gap was expected"),
    }
}

pub(super) fn change_set(cursor: Revision, registry: bool, invalidations: &[Invalidation]) -> ChangeSet {
    ChangeSet { cursor, registry, invalidations: invalidations.to_vec() }
}
