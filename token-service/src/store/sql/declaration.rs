//! Making the objects of `portcullis.yaml` exactly those declared.

use std::collections::BTreeSet;

use super::connection::Write;
use super::{administrators, admissions, issuers, limits, members, policies, servers, workspaces};
use crate::domain::ids::{MemberId, ServerId, WorkspaceId};
use crate::domain::policy::{PolicyEntry, PolicyTarget};
use crate::domain::server::{Server, ServerSettings};
use crate::domain::{Origin, Revision};
use crate::store::declaration::{DeclaredPolicy, DeclaredServer, DeclaredWorkspaces};
use crate::store::{Declaration, MemberChange, NewMember, NewWorkspace, Result, StoreError, WorkspaceChange};

pub(super) async fn declare(write: &mut Write, declaration: &Declaration, expected: Revision) -> Result<()> {
    if write.previous() != expected {
        return Err(StoreError::Stale);
    }
    // What goes, goes first: its slugs and identities may be used again.
    remove_the_rest(write, declaration).await?;
    for declared in &declaration.workspaces {
        workspace(write, declared).await?;
    }
    for declared in &declaration.members {
        member(write, declared).await?;
    }
    administrators::declare(write, &declaration.administrators).await?;
    for declared in &declaration.issuers {
        issuers::declare(write, declared).await?;
    }
    for declared in &declaration.servers {
        server(write, declared).await?;
    }
    for DeclaredPolicy { target, server, rules } in &declaration.policies {
        let entry = PolicyEntry {
            target: target.clone(),
            server: server.clone(),
            rules: rules.clone(),
            origin: Origin::Config,
            revision: write.revision,
        };
        policies::declare(write, entry).await?;
    }
    limits::declare(write, &declaration.limits).await?;
    Ok(())
}

async fn remove_the_rest(write: &mut Write, declaration: &Declaration) -> Result<()> {
    limits::remove_undeclared(write, &declaration.limits).await?;
    let kept: BTreeSet<(&PolicyTarget, &ServerId)> =
        declaration.policies.iter().map(|policy| (&policy.target, &policy.server)).collect();
    for policy in policies::declared(write.connection()).await? {
        if !kept.contains(&(&policy.target, &policy.server)) {
            policies::remove(write, &policy.target, &policy.server).await?;
        }
    }
    let kept: BTreeSet<&ServerId> = declaration.servers.iter().map(|server| &server.id).collect();
    for server in servers::all(write.connection()).await? {
        if server.origin == Origin::Config && !kept.contains(&server.id) {
            servers::remove(write, &server.id).await?;
        }
    }
    let kept: BTreeSet<&str> = declaration.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    for issuer in issuers::all(write.connection()).await? {
        if issuer.origin == Origin::Config && !kept.contains(issuer.issuer.as_str()) {
            issuers::remove(write, &issuer.issuer).await?;
        }
    }
    let kept: BTreeSet<&MemberId> = declaration.members.iter().map(|member| &member.id).collect();
    for member in members::declared(write.connection()).await? {
        if !kept.contains(&member.id) {
            members::remove(write, &member).await?;
        }
    }
    let kept: BTreeSet<&WorkspaceId> = declaration.workspaces.iter().map(|workspace| &workspace.id).collect();
    for workspace in workspaces::all(write.connection()).await? {
        if workspace.origin == Origin::Config && !kept.contains(&workspace.id) {
            workspaces::remove(write, &workspace.id).await?;
        }
    }
    Ok(())
}

async fn workspace(write: &mut Write, declared: &NewWorkspace) -> Result<()> {
    match workspaces::by_id(write.connection(), &declared.id).await? {
        // An id stays with its slug; a declaration that mixes them up was worked out wrongly.
        Some(old) if old.slug != declared.slug => Err(taken("workspace", &declared.id)),
        Some(old) => {
            let change = WorkspaceChange { name: declared.name.clone(), staleness: declared.staleness };
            workspaces::replace(write, old, &change, Origin::Config).await.map(drop)
        }
        None => workspaces::create(write, declared, Origin::Config).await.map(drop),
    }
}

async fn member(write: &mut Write, declared: &NewMember) -> Result<()> {
    match members::by_id(write.connection(), &declared.id).await? {
        Some(old) if old.identity != declared.identity || old.workspace != declared.workspace => {
            Err(taken("member", &declared.id))
        }
        Some(old) => {
            // Whoever is declared may come in: a member is kept out by removing the declaration.
            let change = MemberChange { name: declared.name.clone(), role: declared.role, disabled: false };
            members::replace(write, old, &change, Origin::Config).await.map(drop)
        }
        None => members::create(write, declared, Origin::Config).await.map(drop),
    }
}

async fn server(write: &mut Write, declared: &DeclaredServer) -> Result<()> {
    let all = declared.workspaces == DeclaredWorkspaces::All;
    let settings = ServerSettings { provision_new_workspaces: all, ..declared.settings.clone() };
    match servers::by_id(write.connection(), &declared.id).await? {
        Some(old) if old.slug != declared.slug => return Err(taken("server", &declared.id)),
        Some(old) => drop(servers::replace(write, old, &settings, Origin::Config).await?),
        None => {
            let server = Server {
                id: declared.id.clone(),
                slug: declared.slug.clone(),
                settings,
                origin: Origin::Config,
                revision: write.revision,
                quarantined: false,
            };
            servers::insert(write, &server).await?;
        }
    }
    let wanted = match &declared.workspaces {
        DeclaredWorkspaces::All => workspaces::ids(write.connection()).await?,
        DeclaredWorkspaces::Only(only) => only.clone(),
    };
    let current = servers::provisions(write.connection(), &declared.id).await?;
    for workspace in wanted.difference(&current) {
        servers::add_provision(write, &declared.id, workspace).await?;
    }
    for workspace in current.difference(&wanted) {
        servers::remove_provision(write, &declared.id, workspace).await?;
    }
    admissions::declare(write, &declared.id, &declared.admission).await
}

fn taken(what: &'static str, id: &impl std::fmt::Display) -> StoreError {
    StoreError::Taken { what, value: id.to_string() }
}
