//! What a sign-in at the company's provider says about somebody, and the trait's functions about people.

use async_trait::async_trait;

use super::connection::Write;
use super::{SqlStore, administrators, keys, members, workspaces, writing};
use crate::domain::ids::{AdministratorId, KeyId, MemberId};
use crate::domain::people::{Administrator, ApiKeyRecord, Identity, Member};
use crate::domain::{Origin, Revision};
use crate::store::{AdministratorChange, NewAdministrator, NewMember, PeopleStore, Result, SignInFacts};

#[async_trait]
impl PeopleStore for SqlStore {
    async fn memberships(&self, identity: &Identity) -> Result<Vec<Member>> {
        members::of_identity(&mut *self.read().await?, identity).await
    }

    async fn keys_of_member(
        &self,
        member: &MemberId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKeyRecord>> {
        keys::of_member(&mut *self.read().await?, member, after, limit).await
    }

    async fn administrators(&self) -> Result<Vec<Administrator>> {
        administrators::all(&mut *self.read().await?).await
    }

    async fn administrator(&self, id: &AdministratorId) -> Result<Option<Administrator>> {
        administrators::by_id(&mut *self.read().await?, id).await
    }

    async fn administrator_by_identity(&self, identity: &Identity) -> Result<Option<Administrator>> {
        administrators::by_identity(&mut *self.read().await?, identity).await
    }

    async fn has_owner(&self, issuer: &str) -> Result<bool> {
        administrators::has_owner(&mut *self.read().await?, issuer).await
    }

    async fn create_administrator(&self, administrator: &NewAdministrator) -> Result<Administrator> {
        writing!(self, administrators::create, administrator, Origin::Api)
    }

    async fn change_administrator(
        &self,
        id: &AdministratorId,
        change: &AdministratorChange,
        expected: Option<Revision>,
    ) -> Result<Option<Administrator>> {
        writing!(self, administrators::change, id, change, expected)
    }

    async fn delete_administrator(&self, id: &AdministratorId) -> Result<Option<Revision>> {
        writing!(self, administrators::delete, id)
    }

    async fn sign_in(&self, facts: &SignInFacts) -> Result<Revision> {
        writing!(self, sign_in, facts)
    }
}

async fn sign_in(write: &mut Write, facts: &SignInFacts) -> Result<Revision> {
    let present = members::of_identity(write.connection(), &facts.identity).await?;
    for member in &present {
        if member.origin == Origin::SignIn {
            update(write, facts, member).await?;
        }
    }
    for (workspace, (id, role)) in &facts.memberships {
        let is_there = present.iter().any(|member| member.workspace == *workspace);
        if is_there || workspaces::by_id(write.connection(), workspace).await?.is_none() {
            continue;
        }
        let new = NewMember {
            id: id.clone(),
            workspace: workspace.clone(),
            identity: facts.identity.clone(),
            name: facts.name.clone(),
            role: *role,
        };
        members::create(write, &new, Origin::SignIn).await?;
    }
    administration(write, facts).await?;
    Ok(write.outcome())
}

/// What an earlier sign-in has made follows this one. A member whom somebody disabled stays disabled.
async fn update(write: &mut Write, facts: &SignInFacts, member: &Member) -> Result<()> {
    let (action, changed) = match facts.memberships.get(&member.workspace) {
        Some((_, role)) => {
            let action = if member.lapsed { "member.return" } else { "member.change" };
            let name = facts.name.clone();
            (action, Member { name, role: *role, lapsed: false, ..member.clone() })
        }
        None => ("member.lapse", Member { lapsed: true, ..member.clone() }),
    };
    members::save(write, action, member, changed).await.map(drop)
}

async fn administration(write: &mut Write, facts: &SignInFacts) -> Result<()> {
    let present = administrators::by_identity(write.connection(), &facts.identity).await?;
    match (present, &facts.administrator) {
        (None, None) => {}
        (None, Some((id, role))) => {
            let (identity, name) = (facts.identity.clone(), facts.name.clone());
            let new = NewAdministrator { id: id.clone(), identity, name, role: *role };
            administrators::create(write, &new, Origin::SignIn).await?;
        }
        (Some(old), _) if old.origin != Origin::SignIn => {}
        (Some(old), Some((_, role))) => {
            let change = AdministratorChange { name: facts.name.clone(), role: *role };
            administrators::replace(write, &old, &change, Origin::SignIn).await?;
        }
        (Some(old), None) => administrators::remove(write, &old).await?,
    }
    Ok(())
}
