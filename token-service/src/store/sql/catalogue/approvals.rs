//! Approving the definitions of tools.

use std::collections::BTreeMap;

use portcullis_wire::digest::Digest;
use portcullis_wire::watch::Invalidation;

use crate::domain::Revision;
use crate::domain::ids::ServerId;
use crate::store::Result;
use crate::store::catalogue::{ApprovalOutcome, Unapprovable};
use crate::store::sql::connection::Write;
use crate::store::sql::convert::{Flag, to_database};

#[derive(sqlx::FromRow)]
struct Present {
    digest: String,
    approved_digest: Option<String>,
    is_kept: Flag,
}

impl Present {
    async fn of(write: &mut Write, server: &ServerId, tool: &str) -> Result<Option<Self>> {
        let row = sqlx::query_as(
            "SELECT digest, approved_digest, definition <> '' AS is_kept FROM catalogue_entries
             WHERE server_id = $1 AND kind = 'tool' AND name = $2",
        );
        Ok(row.bind(server.as_str()).bind(tool).fetch_optional(write.connection()).await?)
    }

    fn is_approved(&self) -> bool {
        self.approved_digest.as_ref() == Some(&self.digest)
    }
}

pub(super) async fn approve(
    write: &mut Write,
    server: &ServerId,
    approvals: &BTreeMap<String, Digest>,
) -> Result<ApprovalOutcome> {
    let (mut refused, mut approved) = (Vec::new(), Vec::new());
    for (tool, digest) in approvals {
        let why_not = match Present::of(write, server, tool).await? {
            None => Unapprovable::Missing,
            Some(present) if present.digest != digest.to_string() => Unapprovable::Stale,
            Some(present) if present.is_approved() => continue,
            Some(Present { is_kept: Flag(false), .. }) => Unapprovable::TooLarge,
            Some(_) => {
                approved.push((tool, digest));
                continue;
            }
        };
        refused.push((tool.clone(), why_not));
    }
    if !refused.is_empty() {
        return Ok(ApprovalOutcome::Refused(refused));
    }
    for (tool, digest) in approved {
        note(write, server, tool).await?;
        write.record("tool.approve", format_args!("{server} {digest} {tool}"));
        write.invalidate(Invalidation::Server(server.to_string()));
    }
    Ok(ApprovalOutcome::Approved(write.outcome()))
}

async fn note(write: &mut Write, server: &ServerId, tool: &str) -> Result<()> {
    let attribution = write.attribution().clone();
    let person = attribution.actor.person();
    sqlx::query(
        "UPDATE catalogue_entries
         SET approved_digest = digest, approved_definition = definition, approved_at = $1, approved_actor = $2,
             approved_issuer = $3, approved_subject = $4
         WHERE server_id = $5 AND kind = 'tool' AND name = $6",
    )
    .bind(to_database(attribution.at.0))
    .bind(attribution.actor.as_str())
    .bind(person.map(|person| person.issuer.as_str()))
    .bind(person.map(|person| person.subject.as_str()))
    .bind(server.as_str())
    .bind(tool)
    .execute(write.connection())
    .await?;
    Ok(())
}

pub(super) async fn withdraw(write: &mut Write, server: &ServerId, tool: &str) -> Result<Option<Revision>> {
    let present = Present::of(write, server, tool).await?;
    let Some(present) = present.filter(|present| present.approved_digest.is_some()) else { return Ok(None) };
    sqlx::query(
        "UPDATE catalogue_entries
         SET approved_digest = NULL, approved_definition = NULL, approved_at = NULL, approved_actor = NULL,
             approved_issuer = NULL, approved_subject = NULL
         WHERE server_id = $1 AND kind = 'tool' AND name = $2",
    )
    .bind(server.as_str())
    .bind(tool)
    .execute(write.connection())
    .await?;
    let digest = present.approved_digest.as_deref().unwrap_or_default();
    write.record("tool.withdraw_approval", format_args!("{server} {digest} {tool}"));
    if present.is_approved() {
        write.invalidate(Invalidation::Server(server.to_string()));
    }
    Ok(Some(write.outcome()))
}
