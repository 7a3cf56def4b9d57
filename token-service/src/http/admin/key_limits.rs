//! What a key leaves of its owner's rights, as requests and replies say it.

use std::collections::BTreeSet;

use ipnet::IpNet;
use portcullis_wire::policy::NameRules;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use super::policies::Names;
use crate::domain::access::Operation;
use crate::domain::auth_draft::Field;
use crate::domain::ids::ServerId;
use crate::domain::people::{KeyScope, KeySettings};
use crate::domain::policy::faults;
use crate::http::error::ApiError;

const MOST_SERVERS: usize = 1_000;
const MOST_SOURCES: usize = 100;

/// What a key takes away. Everything that is absent takes nothing away.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct KeyLimits {
    /// The ids of the only servers that it may be used at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<Vec<String>>,
    /// On every server; rules for one server are a policy of the key.
    #[serde(skip_serializing_if = "NameRules::is_empty")]
    #[schema(value_type = Names)]
    pub tools: NameRules,
    /// Only tools that say that they read only (`readOnlyHint`).
    pub read_only: bool,
    /// The networks that it may be used from, as CIDR.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

impl KeyLimits {
    /// Whether the key may do all that its owner may.
    pub(super) fn is_nothing(&self) -> bool {
        self.servers.is_none() && self.tools.is_empty() && !self.read_only && self.sources.is_empty()
    }
}

/// The limits of a new key, or what is to become of those of a key: absent stays, `null` lifts.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsBody {
    /// Ids or slugs of the only servers that it may be used at.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub servers: Change<Vec<String>>,
    /// On every server; rules for one server are a policy of the key.
    #[serde(default)]
    #[schema(value_type = Option<Names>)]
    pub tools: Change<NameRules>,
    /// Only tools that say that they read only (`readOnlyHint`).
    pub read_only: Option<bool>,
    /// The networks that it may be used from, as CIDR, such as `10.1.0.0/16`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub sources: Change<Vec<String>>,
}

/// What a change says about a value.
#[derive(Debug, Default)]
pub enum Change<T> {
    /// It was absent.
    #[default]
    Keep,
    /// It was `null`.
    Clear,
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl From<&KeySettings> for KeyLimits {
    fn from(settings: &KeySettings) -> Self {
        let KeyScope { servers, tools, read_only } = &settings.scope;
        Self {
            servers: servers.as_ref().map(|servers| servers.iter().map(ToString::to_string).collect()),
            tools: tools.clone(),
            read_only: *read_only,
            sources: settings.sources.iter().map(ToString::to_string).collect(),
        }
    }
}

impl LimitsBody {
    /// Applies it to the limits that there are. Faults are noted, and what they concern stays as it is.
    pub(super) async fn apply(
        self,
        app: &Acting,
        problems: &mut Problems,
        mut scope: KeyScope,
        mut sources: Vec<IpNet>,
    ) -> Result<(KeyScope, Vec<IpNet>), ApiError> {
        match self.servers {
            Change::Keep => {}
            Change::Clear => scope.servers = None,
            Change::Set(names) => scope.servers = Some(find_servers(app, problems, &names).await?),
        }
        match self.tools {
            Change::Keep => {}
            Change::Clear => scope.tools = NameRules::default(),
            Change::Set(rules) => {
                problems.extend(faults::of_names(&Field::of(&["limits", "tools"]), &rules));
                scope.tools = rules;
            }
        }
        scope.read_only = self.read_only.unwrap_or(scope.read_only);
        match self.sources {
            Change::Keep => {}
            Change::Clear => sources = Vec::new(),
            Change::Set(texts) => sources = networks(problems, &texts),
        }
        Ok((scope, sources))
    }
}

async fn find_servers(
    app: &Acting,
    problems: &mut Problems,
    names: &[String],
) -> Result<BTreeSet<ServerId>, ApiError> {
    if names.len() > MOST_SERVERS {
        problems.add("limits.servers", "has more than 1000 servers", "leave it out to allow all");
        return Ok(BTreeSet::new());
    }
    let mut servers = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        match app.find_server(name, Operation::See).await {
            Ok(server) => drop(servers.insert(server.id)),
            Err(ApiError::NotFound { .. }) => {
                let field = format!("limits.servers[{index}]");
                problems.add(field, "is no server", "GET /v1/servers lists those there are");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(servers)
}

fn networks(problems: &mut Problems, texts: &[String]) -> Vec<IpNet> {
    if texts.len() > MOST_SOURCES {
        problems.add("limits.sources", "has more than 100 networks", "join neighbouring networks");
        return Vec::new();
    }
    let read = |(index, text): (usize, &String)| {
        let problem = match text.parse::<IpNet>() {
            Ok(network) if network == network.trunc() => return Some(network),
            Ok(network) => format!("has bits beyond its prefix; write {}", network.trunc()),
            Err(_) => "is not a network".to_owned(),
        };
        let remedy = "write address and prefix length, such as 10.1.0.0/16 or 192.0.2.7/32";
        problems.add(format!("limits.sources[{index}]"), problem, remedy);
        None
    };
    texts.iter().enumerate().filter_map(read).collect()
}
