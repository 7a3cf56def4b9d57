//! Policy as it is kept: one entry per level's object and server. What applies to a caller is put together in
//! [`super::resolve`].

pub mod faults;
pub mod toggle;

use portcullis_wire::policy::{ArgumentRule, Level, LevelRules, NameRules, NewTools, Pattern};
use serde::{Deserialize, Serialize};

use super::ids::{KeyId, MemberId, ServerId, WorkspaceId};
use super::{Origin, Revision};

/// Whose policy it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyTarget {
    Organization,
    Workspace(WorkspaceId),
    Member(MemberId),
    Key(KeyId),
}

impl PolicyTarget {
    pub fn level(&self) -> Level {
        match self {
            Self::Organization => Level::Organization,
            Self::Workspace(_) => Level::Workspace,
            Self::Member(_) => Level::Member,
            Self::Key(_) => Level::Key,
        }
    }

    /// Of the level's object; empty for the organization.
    pub fn id(&self) -> &str {
        match self {
            Self::Organization => "",
            Self::Workspace(id) => id.as_str(),
            Self::Member(id) => id.as_str(),
            Self::Key(id) => id.as_str(),
        }
    }
}

/// What one level takes away on one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyEntry {
    pub target: PolicyTarget,
    pub server: ServerId,
    pub rules: ServerRules,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
}

/// The rules of a [`PolicyEntry`]. The default takes nothing away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerRules {
    /// `false` takes the whole server away. `true` says no more than absent: a level cannot add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub tools: NameRules,
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub prompts: NameRules,
    /// Judged by URI; templates by their URI template.
    #[serde(default, skip_serializing_if = "NameRules::is_empty")]
    pub resources: NameRules,
    /// `true` leaves the tools that are known to read only. `false` says no more than absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// What becomes of tools whose definition nobody has approved.
    #[serde(default, skip_serializing_if = "NewTools::is_allow")]
    pub new_tools: NewTools,
    /// Tools that are refused while nobody knows whether the caller still may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<Pattern>,
    /// What the arguments of calls have to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<ArgumentRule>,
}

impl ServerRules {
    pub fn removes_server(&self) -> bool {
        self.enabled == Some(false)
    }

    /// As the filter gets them.
    pub fn at(&self, level: Level) -> LevelRules {
        LevelRules {
            level,
            tools: self.tools.clone(),
            prompts: self.prompts.clone(),
            resources: self.resources.clone(),
            read_only: self.read_only,
            new_tools: self.new_tools,
            sensitive: self.sensitive.clone(),
            arguments: self.arguments.clone(),
        }
    }

    /// Whether it matters which tools are known to read only.
    pub fn needs_reading(&self) -> bool {
        self.read_only || self.new_tools == NewTools::AllowIfReadOnly
    }

    /// Whether it matters which tools stand as approved.
    pub fn needs_approved(&self) -> bool {
        self.new_tools != NewTools::Allow
    }
}
