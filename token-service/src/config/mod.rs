//! `portcullis.yaml`: read strictly, checked whole, and turned into values that need no further checks.
//!
//! Every problem is reported at once, each with its place, what is wrong and what to do. A [`Config`] that was loaded
//! holds no dangling reference, no duplicate and no secret that cannot be sent.

mod admission;
mod auth;
mod catalogue;
mod egress;
mod issuers;
mod limits;
mod oauth;
mod policies;
mod problems;
mod reader;
mod records;
mod registry;
mod root_keys;
mod secret;
mod service;
mod sign_in;
mod store;
mod targets;
mod telemetry;
mod yaml;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_wire::names::Slug;
use portcullis_wire::secret::SecretText;
use secrecy::SecretString;

pub use self::issuers::IssuerConfig;
pub use self::problems::{Problem, Problems};
use self::reader::{At, Context};
use self::registry::Names;
use crate::authorization_server::AuthorizationSettings;
use crate::domain::auth_draft::{CheckedAuth, ClientMethod};
use crate::domain::header::HeaderName;
use crate::domain::limit::{LimitName, LimitRule};
use crate::domain::payload::PayloadSettings;
use crate::domain::people::{Identity, MemberRole, OrganizationRole};
use crate::domain::policy::ServerRules;
use crate::domain::provisioning::{MemberAccess, Members};
use crate::domain::sign_in::MappingRule;
use crate::domain::staleness::Staleness;
use crate::domain::url::ServerUrl;
use crate::egress::EgressPolicy;
use crate::records::retention::Keep;
use crate::store::{Location, PostgresUrl};
use crate::vault::transit::TransitSettings;

/// The whole of `portcullis.yaml`. Paths are resolved against the directory it is in.
#[derive(Clone, Debug)]
pub struct Config {
    pub service: ServiceConfig,
    pub declared: Declared,
}

/// How this process runs. Changing any of it needs a restart, but for the root keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// What clients call the gateway: scheme, host and port, nothing after; `https` unless the host is a loopback one.
    pub public_url: String,
    pub listeners: Listeners,
    pub store: StoreConfig,
    pub root_keys: RootKeysConfig,
    pub admin_token_file: PathBuf,
    /// The environment in the text of new API keys: 1 to 8 lower-case letters and digits.
    pub api_key_environment: String,
    /// How long a filter may use a lease without asking again.
    pub lease_ttl: Duration,
    /// How long a watch without news is held.
    pub watch_hold: Duration,
    /// How long a call is held while its member connects an account.
    pub connect_wait: Duration,
    /// What may be reached besides public addresses.
    pub egress: EgressPolicy,
    /// People sign in by choosing who they are. Only with a loopback `public_url`.
    pub development_sign_in: bool,
    /// People sign in at the company's provider; excludes the other.
    pub company_sign_in: Option<CompanySignIn>,
    /// Where browsers reach the admin listener; its own address if that is a loopback one.
    pub admin_url: Option<String>,
    /// The admin token is good also when there is an owner who can sign in.
    pub admin_token_always: bool,
    /// How MCP clients sign in.
    pub authorization: AuthorizationSettings,
    /// How often what servers have is learnt anew; `None`: only when there is a reason.
    pub catalogue_every: Option<Duration>,
    /// Which records of requests are kept; `None`: none.
    pub records: Option<Keep>,
    /// Where traces go, by OTLP over gRPC; `None` leaves it to the `OTEL_EXPORTER_OTLP_*` variables.
    pub otlp_endpoint: Option<String>,
}

/// The company's OpenID Connect provider, and what its groups mean here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanySignIn {
    /// Byte for byte.
    pub issuer: String,
    pub client_id: String,
    pub secret: Option<SecretText>,
    /// None, basic or post.
    pub method: ClientMethod,
    /// Asked for besides `openid`.
    pub scopes: Vec<String>,
    pub name_claim: String,
    pub groups_claim: String,
    pub rules: Vec<MappingRule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// For filters.
    pub internal: InternalListener,
    /// For the admin API and the console.
    pub admin: SocketAddr,
    /// For people's browsers and MCP clients, through Envoy.
    pub public: SocketAddr,
    /// For Prometheus, if it cannot come to the internal one.
    pub metrics: Option<SocketAddr>,
}

/// Whoever reaches the internal listener can ask for credentials, so it is never both remote and open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalListener {
    Unix(PathBuf),
    /// A loopback address.
    Loopback(SocketAddr),
    /// Any address, with mutual TLS.
    MutualTls(SocketAddr, InternalTls),
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Filters must show a certificate that this authority has signed.
    pub client_ca: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    Sqlite(PathBuf),
    Postgres {
        url: PostgresUrl,
        /// For what this process keeps on its own disk.
        directory: PathBuf,
    },
}

impl StoreConfig {
    pub fn location(&self) -> Location {
        match self {
            Self::Sqlite(path) => Location::Sqlite(path.clone()),
            Self::Postgres { url, .. } => Location::Postgres(url.clone()),
        }
    }

    /// Where records of requests are kept: in a file beside the database's, or in the database.
    pub fn location_of_records(&self) -> Location {
        match self {
            Self::Sqlite(path) => Location::Sqlite(path.with_extension("records.db")),
            Self::Postgres { url, .. } => Location::Postgres(url.clone()),
        }
    }

    /// After which the files beside the database are named.
    pub fn beside(&self) -> PathBuf {
        match self {
            Self::Sqlite(path) => path.clone(),
            Self::Postgres { directory, .. } => directory.join("portcullis"),
        }
    }
}

/// Which keys wrap the data keys. The one thing of a service that can be changed while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootKeysConfig {
    /// Wraps.
    pub present: RootKeyConfig,
    /// May have wrapped what is there, or will do so when it takes the place of the other.
    pub others: Vec<RootKeyConfig>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootKeyConfig {
    /// Made at the very first start.
    File(PathBuf),
    /// What the variable of that name held.
    Environment {
        name: String,
        key: SecretText,
    },
    Transit(TransitSettings),
}

/// What the file declares: applied at start and whenever the file changes.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    pub workspaces: Vec<WorkspaceConfig>,
    pub servers: Vec<ServerConfig>,
    pub administrators: Vec<AdministratorConfig>,
    pub issuers: Vec<IssuerConfig>,
    pub policies: Vec<PolicyConfig>,
    pub limits: Vec<LimitConfig>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceConfig {
    pub slug: Slug,
    pub name: String,
    pub members: Vec<MemberConfig>,
    pub staleness: Option<Staleness>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberConfig {
    pub identity: Identity,
    pub name: String,
    pub role: MemberRole,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdministratorConfig {
    pub identity: Identity,
    pub name: String,
    pub role: OrganizationRole,
}

#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub slug: Slug,
    pub name: String,
    pub url: ServerUrl,
    pub auth: AuthConfig,
    pub payload: PayloadSettings,
    pub workspaces: WorkspacesConfig,
    pub concurrency: Option<u32>,
    /// Of workspaces about whose members something is said.
    pub admission: Vec<AdmissionConfig>,
}

/// Which members of a workspace a server is for. They are declared in the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionConfig {
    pub workspace: Slug,
    pub members: Members,
    pub access: Vec<(Identity, MemberAccess)>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub slug: Slug,
    pub url: ServerUrl,
}

#[derive(Clone, Debug)]
pub enum AuthConfig {
    None,
    /// Names differ from each other; values can be sent as they are.
    Headers(Vec<HeaderConfig>),
    /// The types `oauth` and `client_credentials`.
    OAuth(Box<CheckedAuth<SecretString>>),
}

#[derive(Clone, Debug)]
pub struct HeaderConfig {
    pub name: HeaderName,
    pub value: SecretString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkspacesConfig {
    /// All there are and all to come.
    All,
    /// These, which are declared in the same file.
    Only(Vec<Slug>),
}

/// One level's rules on one server. Targets and servers are declared in the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    pub target: PolicyTargetConfig,
    pub server: Slug,
    pub rules: ServerRules,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyTargetConfig {
    Organization,
    Workspace(Slug),
    Member(Slug, Identity),
}

/// One limit. Whatever it names is declared in the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitConfig {
    pub target: PolicyTargetConfig,
    pub name: LimitName,
    pub server: Option<Slug>,
    pub workspace: Option<Slug>,
    pub rule: LimitRule,
}

/// Looks a name up in the environment.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

impl Config {
    /// Reads the file at `path`, and the files of secrets and keys that it names.
    pub fn load(path: &Path, environment: &Environment<'_>) -> Result<Self, Problems> {
        Self::parse(path, &text_of(path)?, environment)
    }

    /// Where the servers are that the file at `path` declares. No other file is read, so that no secret has to be there.
    pub fn endpoints(path: &Path) -> Result<Vec<Endpoint>, Problems> {
        Self::parse_endpoints(path, &text_of(path)?)
    }

    /// As [`Config::endpoints`], with the text of the file given.
    pub fn parse_endpoints(path: &Path, text: &str) -> Result<Vec<Endpoint>, Problems> {
        let root = yaml::parse(text).map_err(|problem| Problems::one(path, problem))?;
        let nothing = |_: &str| None;
        let context = Context::new(Path::new(""), &nothing);
        let endpoints = context.root(&root).fields(&SECTIONS).map(|sections| registry::endpoints(&sections));
        match (endpoints, context.into_problems()) {
            (Some(endpoints), problems) if problems.is_empty() => Ok(endpoints),
            (_, problems) => Err(Problems { file: path.to_owned(), problems }),
        }
    }

    /// As [`Config::load`], with the text of the file given.
    pub fn parse(path: &Path, text: &str, environment: &Environment<'_>) -> Result<Self, Problems> {
        let root = yaml::parse(text).map_err(|problem| Problems::one(path, problem))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let context = Context::new(directory, environment);
        let config = read(&context.root(&root));
        match (config, context.into_problems()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(Problems { file: path.to_owned(), problems }),
        }
    }
}

fn text_of(path: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|error| {
        Problems::one(
            path,
            Problem {
                line: None,
                place: String::new(),
                what: format!("the file cannot be read: {error}"),
                remedy: "name a readable UTF-8 file".into(),
            },
        )
    })
}

const SECTIONS: [&str; 24] = [
    "public_url",
    "listeners",
    "store",
    "root_key",
    "other_root_keys",
    "admin_token_file",
    "admin_token",
    "admin_url",
    "api_key_environment",
    "lease_ttl",
    "watch_hold",
    "connect_wait",
    "catalogue",
    "records",
    "telemetry",
    "egress",
    "sign_in",
    "administrators",
    "oauth",
    "workspaces",
    "servers",
    "issuers",
    "policies",
    "limits",
];

/// `None` only where a problem was reported. What could be read is returned even if its neighbours could not, so that
/// a reference to a broken object is not reported as well.
fn read(root: &At<'_>) -> Option<Config> {
    let sections = root.fields(&SECTIONS)?;
    let mut names = Names::default();
    let workspaces = registry::workspaces(&sections, &mut names);
    let service = service::read(&sections, &names);
    let company = service.as_ref().and_then(|service| service.company_sign_in.as_ref());
    let company = company.map(|company| company.issuer.clone());
    let administrators = sign_in::administrators(&sections, company.as_deref());
    let servers = registry::servers(&sections, &mut names);
    let issuers = issuers::read(&sections, &names);
    let policies = policies::read(&sections, &names);
    let limits = limits::read(&sections, &names);
    let declared = Declared { workspaces, servers, administrators, issuers, policies, limits };
    Some(Config { service: service?, declared })
}

#[cfg(test)]
mod tests;
