//! What the store has of that which is declared.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::names::Slug;

use crate::config::Declared;
use crate::domain::Origin;
use crate::domain::ids::{MemberId, ServerId};
use crate::domain::limit::LimitName;
use crate::domain::people::{Identity, Workspace};
use crate::domain::policy::PolicyTarget;
use crate::domain::server::Server;
use crate::store::{Result, Store};

#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) workspaces: BTreeMap<Slug, Workspace>,
    pub(super) members: BTreeMap<(Slug, Identity), MemberId>,
    pub(super) servers: BTreeMap<Slug, Server>,
    /// The policies that the admin API has set for anybody who is declared.
    pub(super) api_policies: BTreeSet<(PolicyTarget, ServerId)>,
    /// The same of limits.
    pub(super) api_limits: BTreeSet<(PolicyTarget, LimitName)>,
}

impl Present {
    /// Not one snapshot; the caller notices commits in between by the revision.
    pub(super) async fn read(store: &dyn Store, declared: &Declared) -> Result<Self> {
        let mut present = Self::default();
        for server in store.servers().await? {
            present.servers.insert(server.slug.clone(), server);
        }
        for workspace in store.workspaces().await? {
            present.workspaces.insert(workspace.slug.clone(), workspace);
        }
        let mut targets = vec![PolicyTarget::Organization];
        for declared in &declared.workspaces {
            let Some(workspace) = present.workspaces.get(&declared.slug) else { continue };
            targets.push(PolicyTarget::Workspace(workspace.id.clone()));
            for member in &declared.members {
                let found = store.member_by_identity(&workspace.id, &member.identity).await?;
                let Some(found) = found else { continue };
                targets.push(PolicyTarget::Member(found.id.clone()));
                present.members.insert((declared.slug.clone(), member.identity.clone()), found.id);
            }
        }
        for target in targets {
            let entries = store.policies(&target).await?.into_iter();
            let by_api = entries.filter(|entry| entry.origin == Origin::Api);
            present.api_policies.extend(by_api.map(|entry| (entry.target, entry.server)));
            let limits = store.limits(&target).await?.into_iter();
            let by_api = limits.filter(|limit| limit.origin == Origin::Api);
            present.api_limits.extend(by_api.map(|limit| (limit.target, limit.name)));
        }
        Ok(present)
    }
}
