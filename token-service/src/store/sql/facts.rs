//! The facts about a lease request, from one snapshot.

use std::collections::BTreeSet;

use portcullis_wire::lease::{CallerProof, LeaseRequest};
use portcullis_wire::scopes::WRITE;
use sqlx::AnyConnection;

use super::connection::current_revision;
use super::convert::{RowName, to_json};
use super::{
    administrators, admissions, catalogue, client_sessions, issuers, keys, limits, members, policies,
    servers, workspaces,
};
use crate::domain::ids::{ClientSessionId, KeyId, WorkspaceId};
use crate::domain::people::{Identity, KeyOwner, Workspace};
use crate::domain::policy::{PolicyEntry, ServerRules};
use crate::domain::resolve::{
    CallerFacts, KeyFacts, LeaseFacts, MakerFacts, Membership, ServerFacts, SessionFacts, TokenFacts,
};
use crate::domain::server::Server;
use crate::store::Result;

pub(super) async fn lease_facts(
    connection: &mut AnyConnection,
    request: &LeaseRequest,
) -> Result<LeaseFacts> {
    let revision = current_revision(connection).await?;
    let caller = match &request.proof {
        CallerProof::ApiKey { id, .. } => CallerFacts::ApiKey(key(connection, &id.as_str().into()).await?),
        CallerProof::Jwt { issuer, subject, workspace_claim, .. } => {
            let identity = Identity { issuer: issuer.clone(), subject: subject.clone() };
            CallerFacts::Token(token(connection, &identity, workspace_claim.as_deref()).await?)
        }
        CallerProof::AccessToken { session: id, .. } => {
            CallerFacts::Session(session(connection, &id.as_str().into()).await?.map(Box::new))
        }
        // Nobody is known by these yet, so nobody is behind them.
        CallerProof::Opaque { .. } => CallerFacts::ApiKey(None),
    };
    let server = server(connection, request, &caller).await?;
    Ok(LeaseFacts { revision, caller, server })
}

async fn key(connection: &mut AnyConnection, id: &KeyId) -> Result<Option<KeyFacts>> {
    let Some(key) = keys::by_id(connection, id).await? else { return Ok(None) };
    let member = match &key.owner {
        KeyOwner::Member(member) => members::by_id(connection, member).await?,
        KeyOwner::Service => None,
    };
    let workspace = existing_workspace(connection, &key.workspace).await?;
    let maker = match &key.made_by {
        Some(identity) => Some(MakerFacts {
            administers: administrators::by_identity(connection, identity).await?.is_some(),
            membership: members::by_identity(connection, &key.workspace, identity).await?,
        }),
        None => None,
    };
    Ok(Some(KeyFacts { key, workspace, member, maker }))
}

async fn session(connection: &mut AnyConnection, id: &ClientSessionId) -> Result<Option<SessionFacts>> {
    let Some(session) = client_sessions::by_id(connection, id).await? else { return Ok(None) };
    let Some(member) = members::by_id(connection, &session.member).await? else { return Ok(None) };
    let workspace = existing_workspace(connection, &member.workspace).await?;
    Ok(Some(SessionFacts { session, workspace, member }))
}

async fn token(
    connection: &mut AnyConnection,
    identity: &Identity,
    claim: Option<&str>,
) -> Result<TokenFacts> {
    let issuer = issuers::find(connection, &identity.issuer).await?;
    let mut memberships = Vec::new();
    for member in members::of_identity(connection, identity).await? {
        let workspace = existing_workspace(connection, &member.workspace).await?;
        memberships.push(Membership { workspace, member });
    }
    let mapped = match issuer.as_ref().and_then(|issuer| issuer.mapped_workspace(claim)) {
        Some(slug) => workspaces::by_slug(connection, &slug).await?,
        None => None,
    };
    Ok(TokenFacts { issuer, memberships, mapped })
}

/// A workspace that a foreign key vouches for.
async fn existing_workspace(connection: &mut AnyConnection, id: &WorkspaceId) -> Result<Workspace> {
    let found = workspaces::by_id(connection, id).await?;
    found.ok_or_else(|| {
        RowName { table: "workspaces", row: id.as_str() }.corrupt("it is referred to and missing")
    })
}

/// Whether the credential is good for reading only.
fn reads_only(request: &LeaseRequest, caller: &CallerFacts) -> bool {
    match (&request.proof, caller) {
        (CallerProof::AccessToken { scopes, .. }, _) => !scopes.iter().any(|scope| scope == WRITE),
        (_, CallerFacts::ApiKey(Some(facts))) => facts.key.settings.scope.read_only,
        _ => false,
    }
}

async fn server(
    connection: &mut AnyConnection,
    request: &LeaseRequest,
    caller: &CallerFacts,
) -> Result<Option<ServerFacts>> {
    let Some(server) = servers::by_slug(connection, &request.server).await? else { return Ok(None) };
    let mut workspaces: Vec<&str> = Vec::new();
    let mut members: Vec<&str> = Vec::new();
    let mut key = None;
    match caller {
        CallerFacts::ApiKey(facts) => {
            if let Some(facts) = facts {
                workspaces.push(facts.workspace.id.as_str());
                let maker = facts.maker.iter().filter_map(|maker| maker.membership.as_ref());
                members.extend(facts.member.iter().chain(maker).map(|member| member.id.as_str()));
                key = Some(facts.key.id.as_str());
            }
        }
        CallerFacts::Session(facts) => {
            workspaces.extend(facts.iter().map(|facts| facts.workspace.id.as_str()));
            members.extend(facts.iter().map(|facts| facts.member.id.as_str()));
        }
        CallerFacts::Token(facts) => {
            workspaces.extend(facts.mapped.iter().map(|workspace| workspace.id.as_str()));
            workspaces.extend(facts.memberships.iter().map(|membership| membership.workspace.id.as_str()));
            members.extend(facts.memberships.iter().map(|membership| membership.member.id.as_str()));
        }
    }
    let provisioned: Vec<String> = sqlx::query_scalar(
        "SELECT workspace_id FROM provisions
         WHERE server_id = $1 AND workspace_id IN (SELECT value FROM json_each($2))",
    )
    .bind(server.id.as_str())
    .bind(to_json(&workspaces))
    .fetch_all(&mut *connection)
    .await?;
    let provisioned: BTreeSet<WorkspaceId> = provisioned.into_iter().map(WorkspaceId::from).collect();
    let policies = policies::on_server(connection, &server.id, &workspaces, &members, key).await?;
    let (reading_tools, approved_tools) =
        known_tools(connection, &server, &policies, request, caller).await?;
    let limits = limits::concerning(connection, &server.id, &workspaces, &members, key).await?;
    let admission = admissions::concerning(connection, &server.id, &workspaces, &members).await?;
    Ok(Some(ServerFacts { server, provisioned, policies, reading_tools, limits, approved_tools, admission }))
}

/// The tools that only read, and those that stand as approved, each where somebody judges by it.
async fn known_tools(
    connection: &mut AnyConnection,
    server: &Server,
    policies: &[PolicyEntry],
    request: &LeaseRequest,
    caller: &CallerFacts,
) -> Result<(Vec<String>, Vec<String>)> {
    let judged_by = |needs: fn(&ServerRules) -> bool| policies.iter().any(|entry| needs(&entry.rules));
    let reading = reads_only(request, caller) || judged_by(ServerRules::needs_reading);
    let approved = judged_by(ServerRules::needs_approved);
    if !reading && !approved {
        return Ok((Vec::new(), Vec::new()));
    }
    let known = catalogue::known(connection, &server.id).await?;
    let if_needed = |needed: bool, tools| if needed { tools } else { Vec::new() };
    Ok((if_needed(reading, known.reading), if_needed(approved, known.approved)))
}
