//! Making the store say what `portcullis.yaml` says.
//!
//! Applying is idempotent: what is the same already takes no revision and disturbs no filter, sealed values included.
//! Objects that left the file are deleted. An object that the admin API made is never taken over in silence, but for
//! members: one who signed in before being declared is the same person afterwards.

mod limits;
mod present;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use portcullis_wire::names::Slug;
use secrecy::SecretString;

use self::present::Present;
use crate::clock::Entropy;
use crate::config::{
    AdministratorConfig, AuthConfig, Config, Declared, HeaderConfig, PolicyTargetConfig, Problem, Problems,
    ServerConfig, WorkspacesConfig,
};
use crate::credentials::{self, ClientPlace};
use crate::domain::auth_draft::CheckedAuth;
use crate::domain::ids::{AdministratorId, MemberId, ServerId, WorkspaceId};
use crate::domain::people::Identity;
use crate::domain::policy::PolicyTarget;
use crate::domain::provisioning::{Admission, Members};
use crate::domain::server::{ServerAuth, ServerSettings};
use crate::domain::{Origin, Revision};
use crate::state::Service;
use crate::store::{
    Actor, Declaration, DeclaredPolicy, DeclaredServer, DeclaredWorkspaces, NewAdministrator, NewMember,
    NewWorkspace, StoreError,
};
use crate::vault::Vault;

/// How often to start over when others commit at the same time.
const ATTEMPTS: usize = 10;

/// Finds the value of an environment variable.
pub type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where the configuration comes from.
pub struct ConfigSource {
    pub path: PathBuf,
    /// Looks up what the file refers to as `env`.
    pub environment: Box<Lookup>,
}

/// Why a configuration could not be applied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{0}")]
    Conflicts(Problems),
    #[error("the store did not take it")]
    Store(#[from] StoreError),
}

impl ConfigSource {
    pub fn load(&self) -> Result<Config, Problems> {
        Config::load(&self.path, &*self.environment)
    }
}

/// Applies what `file` declares. Answers the revision, which stays the same if nothing differed.
pub async fn apply(service: &Service, file: &Path, declared: &Declared) -> Result<Revision, ApplyError> {
    for _ in 0..ATTEMPTS {
        // Read before everything else: whatever is committed from here on makes the declaration stale.
        let expected = service.store.current_revision().await?;
        let present = Present::read(&*service.store, declared).await?;
        let declaration =
            Work { vault: &service.vault, entropy: &*service.entropy, declared, present: &present }
                .declaration()
                .map_err(|problems| ApplyError::Conflicts(Problems { file: file.to_owned(), problems }))?;
        let store = service.store.on_behalf_of(Actor::Configuration, service.clock.now());
        match store.declare(&declaration, expected).await {
            Err(StoreError::Stale) => {}
            outcome => {
                let revision = outcome?;
                service.identity_providers.configure(&declared.issuers);
                return Ok(revision);
            }
        }
    }
    Err(StoreError::Stale.into())
}

/// What a declaration is worked out from.
struct Work<'a> {
    vault: &'a Vault,
    entropy: &'a dyn Entropy,
    declared: &'a Declared,
    present: &'a Present,
}

/// The ids of what is declared: those it has, fresh ones otherwise.
#[derive(Default)]
struct Ids {
    workspaces: BTreeMap<Slug, WorkspaceId>,
    members: BTreeMap<(Slug, Identity), MemberId>,
    servers: BTreeMap<Slug, ServerId>,
}

impl Ids {
    fn target(&self, target: &PolicyTargetConfig) -> Option<PolicyTarget> {
        match target {
            PolicyTargetConfig::Organization => Some(PolicyTarget::Organization),
            PolicyTargetConfig::Workspace(slug) => {
                self.workspaces.get(slug).cloned().map(PolicyTarget::Workspace)
            }
            PolicyTargetConfig::Member(slug, identity) => {
                self.members.get(&(slug.clone(), identity.clone())).cloned().map(PolicyTarget::Member)
            }
        }
    }
}

/// Which members a server is for, by id.
fn admission(ids: &Ids, server: &ServerConfig) -> Admission {
    let mut admission = Admission::default();
    for config in &server.admission {
        if config.members == Members::Chosen {
            admission.chosen.extend(ids.workspaces.get(&config.workspace).cloned());
        }
        for (identity, access) in &config.access {
            let member = ids.members.get(&(config.workspace.clone(), identity.clone()));
            admission.members.extend(member.map(|member| (member.clone(), *access)));
        }
    }
    admission
}

impl Work<'_> {
    fn declaration(&self) -> Result<Declaration, Vec<Problem>> {
        let ids = self.ids();
        let mut problems = self.taken();
        let mut declaration = Declaration {
            issuers: self.declared.issuers.iter().map(|config| config.issuer.clone()).collect(),
            administrators: self.administrators(),
            servers: self.servers(&ids),
            policies: self.policies(&ids, &mut problems),
            limits: self.limits(&ids, &mut problems),
            ..Declaration::default()
        };
        for workspace in &self.declared.workspaces {
            let Some(id) = ids.workspaces.get(&workspace.slug) else { continue };
            declaration.workspaces.push(NewWorkspace {
                id: id.clone(),
                slug: workspace.slug.clone(),
                name: workspace.name.clone(),
                staleness: workspace.staleness,
            });
            for member in &workspace.members {
                let key = (workspace.slug.clone(), member.identity.clone());
                let Some(member_id) = ids.members.get(&key) else { continue };
                declaration.members.push(NewMember {
                    id: member_id.clone(),
                    workspace: id.clone(),
                    identity: member.identity.clone(),
                    name: member.name.clone(),
                    role: member.role,
                });
            }
        }
        if problems.is_empty() { Ok(declaration) } else { Err(problems) }
    }

    fn administrators(&self) -> Vec<NewAdministrator> {
        let administrators = self.declared.administrators.iter();
        let new = |config: &AdministratorConfig| NewAdministrator {
            id: AdministratorId::new(self.entropy),
            identity: config.identity.clone(),
            name: config.name.clone(),
            role: config.role,
        };
        administrators.map(new).collect()
    }

    fn ids(&self) -> Ids {
        let mut ids = Ids::default();
        for workspace in &self.declared.workspaces {
            let slug = &workspace.slug;
            let id = self.present.workspaces.get(slug).map(|found| found.id.clone());
            ids.workspaces.insert(slug.clone(), id.unwrap_or_else(|| WorkspaceId::new(self.entropy)));
            for member in &workspace.members {
                let key = (slug.clone(), member.identity.clone());
                let id = self.present.members.get(&key).cloned();
                ids.members.insert(key, id.unwrap_or_else(|| MemberId::new(self.entropy)));
            }
        }
        for server in &self.declared.servers {
            let id = self.present.servers.get(&server.slug).map(|found| found.id.clone());
            ids.servers.insert(server.slug.clone(), id.unwrap_or_else(|| ServerId::new(self.entropy)));
        }
        ids
    }

    /// Slugs that objects of the admin API have.
    fn taken(&self) -> Vec<Problem> {
        let workspaces = self.declared.workspaces.iter().filter_map(|workspace| {
            let found = self.present.workspaces.get(&workspace.slug)?;
            Some(("workspaces", &workspace.slug, found.origin))
        });
        let servers = self.declared.servers.iter().filter_map(|server| {
            let found = self.present.servers.get(&server.slug)?;
            Some(("servers", &server.slug, found.origin))
        });
        workspaces
            .chain(servers)
            .filter(|(_, _, origin)| *origin == Origin::Api)
            .map(|(section, slug, _)| Problem {
                line: None,
                place: section.to_owned(),
                what: format!("the admin API has made one with the slug {:?}", slug.as_str()),
                remedy: format!("delete it with `DELETE /v1/{section}/{slug}`, or declare another slug"),
            })
            .collect()
    }

    fn servers(&self, ids: &Ids) -> Vec<DeclaredServer> {
        let servers = self.declared.servers.iter();
        servers.filter_map(|server| self.server(ids, server, ids.servers.get(&server.slug)?)).collect()
    }

    fn server(&self, ids: &Ids, server: &ServerConfig, id: &ServerId) -> Option<DeclaredServer> {
        let auth = match &server.auth {
            AuthConfig::None => ServerAuth::None,
            AuthConfig::Headers(headers) => {
                let present = self.present.servers.get(&server.slug);
                let seal = |header: &HeaderConfig| {
                    credentials::seal(self.vault, id, &server.url, &header.name, &header.value, present)
                };
                ServerAuth::Headers(headers.iter().map(seal).collect())
            }
            AuthConfig::OAuth(auth) => self.oauth(auth, id, server),
        };
        let workspaces = match &server.workspaces {
            WorkspacesConfig::All => DeclaredWorkspaces::All,
            WorkspacesConfig::Only(slugs) => DeclaredWorkspaces::Only(
                slugs
                    .iter()
                    .map(|slug| ids.workspaces.get(slug).cloned())
                    .collect::<Option<BTreeSet<_>>>()?,
            ),
        };
        let settings = ServerSettings {
            name: server.name.clone(),
            url: server.url.clone(),
            auth,
            payload: server.payload.clone(),
            provision_new_workspaces: workspaces == DeclaredWorkspaces::All,
            concurrency: server.concurrency,
        };
        let admission = admission(ids, server);
        Some(DeclaredServer { id: id.clone(), slug: server.slug.clone(), settings, workspaces, admission })
    }

    fn oauth(&self, auth: &CheckedAuth<SecretString>, id: &ServerId, server: &ServerConfig) -> ServerAuth {
        let present = self.present.servers.get(&server.slug);
        let sealed: Result<_, Infallible> =
            auth.clone().try_seal(|authorization_server, client_id, value| {
                let place = ClientPlace { server: id, url: &server.url, authorization_server, client_id };
                Ok(credentials::seal_client_secret(self.vault, place, &value, present))
            });
        match sealed {
            Ok(auth) => auth,
        }
    }

    fn policies(&self, ids: &Ids, problems: &mut Vec<Problem>) -> Vec<DeclaredPolicy> {
        let mut policies = Vec::new();
        for policy in &self.declared.policies {
            let target = ids.target(&policy.target);
            let (Some(target), Some(server)) = (target, ids.servers.get(&policy.server)) else { continue };
            if self.present.api_policies.contains(&(target.clone(), server.clone())) {
                problems.push(Problem {
                    line: None,
                    place: "policies".to_owned(),
                    what: format!(
                        "the admin API has set the {} policy on {:?} already",
                        target.level().as_str(),
                        policy.server.as_str()
                    ),
                    remedy: "delete that with `DELETE /v1/policies/{target}/{server}`, or leave this one out"
                        .to_owned(),
                });
            }
            policies.push(DeclaredPolicy { target, server: server.clone(), rules: policy.rules.clone() });
        }
        policies
    }
}
