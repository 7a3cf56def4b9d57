//! When catalogues are learnt, and with whose credential.

use std::time::Duration;

use portcullis_wire::lease::{Caller, CredentialKind, CredentialLimits, Terms, WorkspaceRef};
use portcullis_wire::policy::Policy;

use super::learn::learn;
use super::upstream::Upstream;
use super::work::Wanted;
use crate::domain::connection::{Connection, ConnectionOwner};
use crate::domain::ids::{MemberId, ServerId};
use crate::domain::people::Member;
use crate::domain::resolve::{Grant, judges_by_catalogue};
use crate::domain::server::{Server, ServerAuth};
use crate::explain::Subject;
use crate::http::error::error_chain;
use crate::jobs::pause;
use crate::state::Service;
use crate::store::StoreError;

/// A catalogue older than this is learnt anew when a connected member comes by.
const FRESH: Duration = Duration::from_hours(1);

/// How late at most a catalogue is wanted that is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long learning may take altogether.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many members are looked at for one who may learn.
const MOST_LEARNERS: u32 = 20;

impl Service {
    /// To be called when a member has connected: what the server shows this member is what those see who have yet to
    /// connect.
    pub fn connected(&self, server: &Server, connection: &Connection) {
        if let ConnectionOwner::Member(member) = &connection.owner {
            let wanted = Wanted { member: Some(member.clone()), anyway: true };
            self.unconnected.want(&server.id, wanted, self.clock.now());
        }
    }

    /// To be called when a grant was used: its member's credential may renew what is known of the server. Of servers that
    /// have one credential for everybody something has to be known at once only where policy or the caller's credential
    /// judges by it.
    pub fn came_by(&self, grant: &Grant) {
        let is_judged_by = grant.limits.reading_tools.is_some() || judges_by_catalogue(&grant.policy);
        let member = match (&grant.member, &grant.server.settings.auth) {
            (Some(member), ServerAuth::OAuth(_)) => {
                self.unconnected.schedule.came_by(&grant.server.id, &member.id);
                Some(member.id.clone())
            }
            (_, ServerAuth::OAuth(_)) => return,
            _ if is_judged_by => None,
            _ => return,
        };
        let wanted = Wanted { member, anyway: false };
        self.unconnected.want(&grant.server.id, wanted, self.clock.now());
    }

    /// Learns catalogues until the service stops: four at a time, so that a slow server does not keep the others
    /// waiting.
    pub(crate) async fn learn_catalogues(&self) {
        tokio::join!(self.learn_in_turn(), self.learn_in_turn(), self.learn_in_turn(), self.learn_in_turn());
    }

    /// Wants the catalogues that are due, until the service stops.
    pub(crate) async fn keep_catalogues(&self) {
        while pause(self, LOOK_INTERVAL).await {
            if let Err(error) = self.want_due_catalogues().await {
                tracing::warn!(error = error_chain(&error), "cannot tell which catalogues are due");
            }
        }
    }

    async fn want_due_catalogues(&self) -> Result<(), StoreError> {
        let (now, every) = (self.clock.now(), self.settings.catalogue_every);
        let ages = self.store.catalogue_ages().await?;
        for id in self.unconnected.schedule.take_due(&ages, every, now) {
            let Some(server) = self.store.server(&id).await? else { continue };
            if server.quarantined {
                continue;
            }
            let member = match server.settings.auth {
                ServerAuth::OAuth(_) => {
                    let Some(member) = self.learner(&server).await? else { continue };
                    Some(member)
                }
                _ => None,
            };
            self.unconnected.want(&id, Wanted { member, anyway: true }, now);
        }
        Ok(())
    }

    /// A member whose account may be used to learn the server's lists for all: one who could ask for them.
    async fn learner(&self, server: &Server) -> Result<Option<MemberId>, StoreError> {
        let last = self.unconnected.schedule.last_member(&server.id);
        for id in self.store.learners(&server.id, last.as_ref(), MOST_LEARNERS).await? {
            let Some(member) = self.store.member(&id).await? else { continue };
            let explanation = self.explain(&Subject::Member(member), &server.slug, None, false).await?;
            if explanation.is_allowed() {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// To be called when a server has told somebody that its lists changed.
    pub(crate) async fn lists_changed(&self, server: &ServerId) -> Result<(), StoreError> {
        // Nothing is remembered of what does not exist.
        if self.store.server(server).await?.is_some() {
            self.unconnected.schedule.lists_changed(server);
        }
        Ok(())
    }

    async fn learn_in_turn(&self) {
        loop {
            let learning = async {
                let (server, wanted) = self.unconnected.next_wanted().await;
                let outcome = tokio::time::timeout(PATIENCE, self.learn_one(&server, &wanted)).await;
                report(&server, outcome);
            };
            tokio::select! {
                () = learning => {}
                () = self.shutdown.requested() => return,
            }
        }
    }

    async fn learn_one(&self, id: &ServerId, wanted: &Wanted) -> Result<(), StoreError> {
        let now = self.clock.now();
        let known = self.store.catalogue(id).await?;
        if !wanted.anyway && known.is_some_and(|catalogue| catalogue.learnt_at.until(now) < FRESH) {
            return Ok(());
        }
        let Some(server) = self.store.server(id).await? else { return Ok(()) };
        let grant = match &wanted.member {
            Some(member) => self.grant_of(member, &server).await?,
            None => Some(grant_of_everybody(&server)),
        };
        let Some(grant) = grant else { return Ok(()) };
        let Ok(credential) = self.credential(&grant, None).await else { return Ok(()) };
        let learnt = match Upstream::new(&self.egress, &server, &credential) {
            Ok(upstream) => learn(&upstream, now).await,
            Err(error) => Err(error),
        };
        match learnt {
            Ok(catalogue) => {
                self.store.save_catalogue(id, &catalogue).await?;
                let lists = catalogue.results.len();
                tracing::info!(server = id.as_str(), lists, "the server's catalogue is learnt");
            }
            // The class of failure only; what the server said stays out of the log.
            Err(error) => {
                tracing::warn!(server = id.as_str(), %error, "the server's catalogue cannot be learnt");
            }
        }
        Ok(())
    }

    /// What a member is granted, for what the service does by itself. It says nothing about policy: that is for what
    /// the member asks for.
    pub(super) async fn grant_of(&self, id: &MemberId, server: &Server) -> Result<Option<Grant>, StoreError> {
        let Some(member) = self.store.member(id).await?.filter(Member::is_active) else {
            return Ok(None);
        };
        let Some(workspace) = self.store.workspace(&member.workspace).await? else { return Ok(None) };
        let caller = Caller {
            id: member.id.to_string(),
            name: member.name.clone(),
            credential: CredentialKind::Jwt,
            key_id: None,
            session_id: None,
            client_id: None,
        };
        Ok(Some(Grant {
            caller,
            member: Some(member),
            workspace: workspace.reference(),
            server: server.clone(),
            policy: Policy::default(),
            limits: CredentialLimits::default(),
            terms: Terms::default(),
            not_after: None,
            revision: server.revision,
        }))
    }
}

/// For a server whose credential is everybody's.
fn grant_of_everybody(server: &Server) -> Grant {
    let caller = Caller {
        id: String::new(),
        name: String::new(),
        credential: CredentialKind::ServiceKey,
        key_id: None,
        session_id: None,
        client_id: None,
    };
    Grant {
        caller,
        member: None,
        workspace: WorkspaceRef { id: String::new(), slug: server.slug.clone() },
        server: server.clone(),
        policy: Policy::default(),
        limits: CredentialLimits::default(),
        terms: Terms::default(),
        not_after: None,
        revision: server.revision,
    }
}

fn report(server: &ServerId, outcome: Result<Result<(), StoreError>, tokio::time::error::Elapsed>) {
    let server = server.as_str();
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(server, error = error_chain(&error), "a catalogue cannot be kept"),
        Err(_) => tracing::warn!(server, "the server takes too long to describe itself"),
    }
}
