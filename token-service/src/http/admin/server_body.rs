//! Reading what a request says about a server into what the store keeps: every fault is found.

use std::collections::BTreeSet;

use portcullis_wire::names::Slug;
use portcullis_wire::payload::Redaction;
use portcullis_wire::watch::PayloadPolicy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth_body::AuthBody;
use super::auth_reader::AuthReader;
use super::check::Problems;
use super::servers::{ChangeServer, CreateServer};
use crate::domain::ids::WorkspaceId;
use crate::domain::limit::MOST_AT_ONCE;
use crate::domain::payload::PayloadSettings;
use crate::domain::people::Workspace;
use crate::domain::server::{Server, ServerSettings};
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::http::error::ApiError;
use crate::store::{InitialWorkspaces, NewServer};

/// How much of a request's parameters and response its log record holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PayloadBody {
    Off,
    Digest,
    Redacted,
    Full,
}

/// Places in payloads that records under `redacted` never show, as JSON pointers (RFC 6901) in which the step `*` stands
/// for every element of an array and every member of an object.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedactBody {
    /// Into a request's `params`, such as `/arguments/customer/email`. At most 32.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// Into a response's `result`, such as `/structuredContent/rows/*/ssn`. At most 32.
    #[serde(default)]
    pub response: Vec<String>,
}

/// `"all"`, or the slugs or ids of workspaces.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "\"all\" or a list of workspaces")]
pub enum WorkspacesBody {
    All(All),
    Only(Vec<String>),
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum All {
    All,
}

impl PayloadBody {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Digest => "digest",
            Self::Redacted => "redacted",
            Self::Full => "full",
        }
    }
}

impl From<PayloadPolicy> for PayloadBody {
    fn from(policy: PayloadPolicy) -> Self {
        match policy {
            PayloadPolicy::Off => Self::Off,
            PayloadPolicy::Digest => Self::Digest,
            PayloadPolicy::Redacted => Self::Redacted,
            PayloadPolicy::Full => Self::Full,
        }
    }
}

impl From<PayloadBody> for PayloadPolicy {
    fn from(body: PayloadBody) -> Self {
        match body {
            PayloadBody::Off => Self::Off,
            PayloadBody::Digest => Self::Digest,
            PayloadBody::Redacted => Self::Redacted,
            PayloadBody::Full => Self::Full,
        }
    }
}

impl From<Redaction> for RedactBody {
    fn from(Redaction { parameters, response }: Redaction) -> Self {
        Self { parameters, response }
    }
}

impl From<RedactBody> for Redaction {
    fn from(RedactBody { parameters, response }: RedactBody) -> Self {
        Self { parameters, response }
    }
}

/// What is needed to read a body: who seals, for which server, and what is kept of it so far.
pub(super) type Body<'a> = AuthReader<'a>;

impl Body<'_> {
    pub(super) fn new_server(
        &self,
        body: CreateServer,
        workspaces: &[Workspace],
    ) -> Result<NewServer, ApiError> {
        let mut problems = Problems::default();
        let slug = problems.slug("slug", &body.slug);
        let name = problems.name("name", body.name.unwrap_or(body.slug));
        let names_preset = matches!(&body.auth, AuthBody::Oauth(auth) if auth.preset.is_some());
        let opened = self.open(&mut problems, body.auth);
        let (auth, preset_url) = opened.map_or((None, None), |(auth, url)| (Some(auth), url));
        let url = match body.url.as_deref().or(preset_url) {
            Some(text) => server_url(&mut problems, text, body.allow_http),
            // A preset that is not known, or lacks something, was noted already.
            None if names_preset => None,
            None => {
                problems.add("url", "is absent", URL_REMEDY);
                None
            }
        };
        let auth = auth.and_then(|auth| self.finish(&mut problems, url.as_ref(), auth));
        let initial = initial_workspaces(&mut problems, body.workspaces, workspaces);
        let concurrency = at_once(&mut problems, body.concurrency.unwrap_or_default());
        let payload = Payload { policy: body.payload, limit: body.payload_limit, redact: body.redact };
        let payload = payload.over(PayloadSettings::default(), &mut problems);
        let server = (|| {
            let workspaces = initial?;
            let provision_new_workspaces =
                body.provision_new_workspaces.unwrap_or(workspaces == InitialWorkspaces::All);
            let settings = ServerSettings {
                name: name?,
                url: url?,
                auth: auth?,
                payload,
                provision_new_workspaces,
                concurrency,
            };
            Some(NewServer { id: self.id.clone(), slug: slug?, settings, workspaces })
        })();
        problems.finish(server)
    }

    pub(super) fn changed_settings(
        &self,
        body: ChangeServer,
        present: &Server,
    ) -> Result<ServerSettings, ApiError> {
        let mut problems = Problems::default();
        let settings = present.settings.clone();
        let name = problems.name("name", body.name.unwrap_or(settings.name));
        let url = match body.url {
            Some(text) => server_url(&mut problems, &text, body.allow_http),
            None => Some(settings.url),
        };
        let auth = match body.auth {
            Some(auth) => self
                .open(&mut problems, auth)
                .and_then(|(auth, _)| self.finish(&mut problems, url.as_ref(), auth)),
            None => self.kept(&mut problems, url.as_ref(), settings.auth),
        };
        let kept = settings.concurrency.unwrap_or_default();
        let concurrency = at_once(&mut problems, body.concurrency.unwrap_or(kept));
        let payload = Payload { policy: body.payload, limit: body.payload_limit, redact: body.redact };
        let payload = payload.over(settings.payload, &mut problems);
        let settings = (|| {
            Some(ServerSettings {
                name: name?,
                url: url?,
                auth: auth?,
                payload,
                provision_new_workspaces: body
                    .provision_new_workspaces
                    .unwrap_or(settings.provision_new_workspaces),
                concurrency,
            })
        })();
        problems.finish(settings)
    }
}

/// What a request says about payloads.
struct Payload {
    policy: Option<PayloadBody>,
    limit: Option<u32>,
    redact: Option<RedactBody>,
}

impl Payload {
    /// What is absent stays as it is.
    fn over(self, present: PayloadSettings, problems: &mut Problems) -> PayloadSettings {
        let settings = PayloadSettings {
            policy: self.policy.map_or(present.policy, Into::into),
            limit: self.limit.unwrap_or(present.limit),
            redact: self.redact.map_or(present.redact, Into::into),
        };
        problems.extend(settings.faults());
        settings
    }
}

const URL_REMEDY: &str = "give the URL of the server's MCP endpoint, such as https://mcp.example.com/mcp";

fn server_url(problems: &mut Problems, text: &str, allow_http: bool) -> Option<ServerUrl> {
    let plain_http = if allow_http { PlainHttp::Allowed } else { PlainHttp::Refused };
    problems.take("url", ServerUrl::parse(text, plain_http), URL_REMEDY)
}

/// 0 is no bound at all.
fn at_once(problems: &mut Problems, most: u32) -> Option<u32> {
    if most > MOST_AT_ONCE {
        problems.add("concurrency", "is more than 1000000", "give a smaller number, or 0 for no bound");
    }
    (most > 0).then_some(most)
}

fn initial_workspaces(
    problems: &mut Problems,
    body: WorkspacesBody,
    workspaces: &[Workspace],
) -> Option<InitialWorkspaces> {
    let WorkspacesBody::Only(names) = body else { return Some(InitialWorkspaces::All) };
    let find = |name: &str| -> Option<WorkspaceId> {
        let found = match Slug::parse(name) {
            Ok(slug) => workspaces.iter().find(|workspace| workspace.slug == slug),
            Err(_) => workspaces.iter().find(|workspace| workspace.id.as_str() == name),
        };
        found.map(|workspace| workspace.id.clone())
    };
    let found: Vec<Option<WorkspaceId>> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let found = find(name);
            if found.is_none() {
                let field = format!("workspaces[{index}]");
                problems.add(field, "is no workspace", "GET /v1/workspaces lists them");
            }
            found
        })
        .collect();
    found.into_iter().collect::<Option<BTreeSet<_>>>().map(InitialWorkspaces::Only)
}
