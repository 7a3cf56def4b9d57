//! How often something may be called: limits as they are kept, and what of them a lease carries.
//!
//! Every limit that concerns a request has to admit it, so a further limit only takes away. The filters count; here is
//! only said what is counted together.

use std::collections::BTreeSet;
use std::fmt;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{Caller, Rate, Terms};
use portcullis_wire::policy::Pattern;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ids::{KeyId, MemberId, ServerId, WorkspaceId};
use super::policy::PolicyTarget;
use super::server::Server;
use super::{Origin, Revision};

/// More requests than that are no limit.
pub const MOST_REQUESTS: u32 = 1_000_000;
/// Leases carry all limits of a caller, so a level has few.
pub const MOST_LIMITS: usize = 50;
pub const MOST_PATTERNS: usize = 100;
/// More at once than that is no bound.
pub const MOST_AT_ONCE: u32 = 1_000_000;

/// One limit of a level's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub target: PolicyTarget,
    /// Unique for the target.
    pub name: LimitName,
    pub scope: LimitScope,
    pub rule: LimitRule,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
}

/// What of the target's requests is limited; the default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitScope {
    pub server: Option<ServerId>,
    /// Of one workspace only; for limits of the organization.
    pub workspace: Option<WorkspaceId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRule {
    /// Calls of these tools only; empty means every request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Pattern>,
    /// What is counted apart; empty means that everything is counted together.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub each: BTreeSet<Each>,
    /// 1 to [`MOST_REQUESTS`].
    pub requests: u32,
    pub per: Per,
}

/// What has a count of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// The level's object, which is what is counted anyway.
    Level,
    Server,
    Workspace,
    /// A member with all keys and clients; a service key counts as one.
    Member,
    /// An API key; whoever comes without one counts as a member.
    Key,
    /// A tool of a server. Only calls of tools are counted then.
    Tool,
}

impl Each {
    pub const ALL: [Self; 6] =
        [Self::Level, Self::Server, Self::Workspace, Self::Member, Self::Key, Self::Tool];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Server => "server",
            Self::Workspace => "workspace",
            Self::Member => "member",
            Self::Key => "key",
            Self::Tool => "tool",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    Second,
    Minute,
    Hour,
    Day,
}

impl Per {
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    fn window_ms(self) -> u64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }
}

/// 1 to 63 lower-case letters, digits, hyphens and underscores: part of a URL, and of log records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitName(String);

/// The text is not a [`LimitName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotALimitName;

impl fmt::Display for NotALimitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name has 1 to 63 lower-case letters, digits, hyphens and underscores")
    }
}

impl LimitName {
    pub fn parse(text: &str) -> Result<Self, NotALimitName> {
        let is_good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let holds = (1..=63).contains(&text.len()) && text.bytes().all(is_good);
        if holds { Ok(Self(text.to_owned())) } else { Err(NotALimitName) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Who asks for a lease, as far as limits tell callers apart.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    pub server: &'a Server,
    pub workspace: &'a WorkspaceId,
    /// Whose limits apply: the member's, or those of whoever made a service key.
    pub bounded_by: Option<&'a MemberId>,
    pub key: Option<&'a KeyId>,
    pub caller: &'a Caller,
}

impl Counted<'_> {
    /// What a lease says of the limits that concern this caller; others do no harm.
    pub fn terms(&self, limits: &[Limit]) -> Terms {
        let mut concerned: Vec<&Limit> = limits.iter().filter(|limit| self.is_concerned(limit)).collect();
        concerned.sort_by_key(|limit| (limit.target.level(), &limit.name));
        Terms {
            rates: concerned.into_iter().map(|limit| self.rate(limit)).collect(),
            concurrency: self.server.settings.concurrency,
            ..Terms::default()
        }
    }

    fn is_concerned(&self, limit: &Limit) -> bool {
        let by_target = match &limit.target {
            PolicyTarget::Organization => true,
            PolicyTarget::Workspace(id) => id == self.workspace,
            PolicyTarget::Member(id) => self.bounded_by == Some(id),
            PolicyTarget::Key(id) => self.key == Some(id),
        };
        let LimitScope { server, workspace } = &limit.scope;
        by_target
            && server.as_ref().is_none_or(|server| *server == self.server.id)
            && workspace.as_ref().is_none_or(|workspace| workspace == self.workspace)
    }

    fn rate(&self, limit: &Limit) -> Rate {
        let level = limit.target.level().as_str();
        Rate {
            counter: self.counter(limit),
            name: format!("{level}/limits:{}", limit.name),
            tools: limit.rule.tools.clone(),
            requests: limit.rule.requests,
            window_ms: limit.rule.per.window_ms(),
            by_tool: limit.rule.each.contains(&Each::Tool),
        }
    }

    /// The same for all that is counted together. With other numbers it begins anew, because what was counted by the old
    /// ones says little by the new. 128 bits of a digest, because filters keep it among the keys of a shared table.
    fn counter(&self, limit: &Limit) -> String {
        let requests = limit.rule.requests.to_string();
        let mut parts = vec![limit.target.level().as_str(), limit.target.id(), limit.name.as_str()];
        parts.extend([requests.as_str(), limit.rule.per.as_str()]);
        for each in &limit.rule.each {
            parts.push(each.as_str());
            parts.push(match each {
                Each::Level => "",
                // Tools of different servers may have the same name.
                Each::Server | Each::Tool => self.server.id.as_str(),
                Each::Workspace => self.workspace.as_str(),
                Each::Member => &self.caller.id,
                Each::Key => self.caller.key_id.as_deref().unwrap_or(&self.caller.id),
            });
        }
        let parts: Vec<&[u8]> = parts.into_iter().map(str::as_bytes).collect();
        Digest::of("limit", &parts).to_string().chars().take(32).collect()
    }
}

#[cfg(test)]
mod tests;
