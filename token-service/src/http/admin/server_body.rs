//! Reading what a request says about a server into what the store keeps: every fault is found, secrets are sealed.

use std::collections::BTreeSet;

use portcullis_wire::names::Slug;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::PayloadPolicy;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::Problems;
use super::servers::{ChangeServer, CreateServer};
use crate::credentials;
use crate::domain::header::{HeaderName, check_value};
use crate::domain::ids::{ServerId, WorkspaceId};
use crate::domain::people::Workspace;
use crate::domain::server::{SealedHeader, Server, ServerAuth, ServerSettings};
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::http::error::ApiError;
use crate::store::{InitialWorkspaces, NewServer};
use crate::vault::Vault;

const MOST_HEADERS: usize = 16;

/// How the gateway authenticates to the server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthBody {
    /// Not at all.
    None {},
    /// The same headers on every request, whoever calls.
    Headers { headers: Vec<HeaderBody> },
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderBody {
    pub name: String,
    /// Sealed on arrival and never shown again. May be absent in a change, to keep the present value.
    #[schema(value_type = Option<String>, write_only)]
    pub value: Option<SecretText>,
}

/// How much of a request's parameters and response its log record holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PayloadBody {
    Off,
    Digest,
    Redacted,
    Full,
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

/// What is needed to read a body: who seals, for which server, and what is kept of it so far.
pub(super) struct Body<'a> {
    pub(super) vault: &'a Vault,
    pub(super) id: &'a ServerId,
    pub(super) present: Option<&'a Server>,
}

impl Body<'_> {
    pub(super) fn new_server(
        &self,
        body: CreateServer,
        workspaces: &[Workspace],
    ) -> Result<NewServer, ApiError> {
        let mut problems = Problems::default();
        let slug = problems.slug("slug", &body.slug);
        let name = problems.name("name", body.name.unwrap_or(body.slug));
        let url = server_url(&mut problems, &body.url, body.allow_http);
        let auth = self.auth(&mut problems, url.as_ref(), body.auth);
        let initial = initial_workspaces(&mut problems, body.workspaces, workspaces);
        let server = (|| {
            let workspaces = initial?;
            let provision_new_workspaces =
                body.provision_new_workspaces.unwrap_or(workspaces == InitialWorkspaces::All);
            let payload = body.payload.map(Into::into).unwrap_or_default();
            let settings =
                ServerSettings { name: name?, url: url?, auth: auth?, payload, provision_new_workspaces };
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
            Some(auth) => self.auth(&mut problems, url.as_ref(), auth),
            None => self.kept_auth(&mut problems, url.as_ref(), settings.auth),
        };
        let settings = (|| {
            Some(ServerSettings {
                name: name?,
                url: url?,
                auth: auth?,
                payload: body.payload.map_or(settings.payload, Into::into),
                provision_new_workspaces: body
                    .provision_new_workspaces
                    .unwrap_or(settings.provision_new_workspaces),
            })
        })();
        problems.finish(settings)
    }

    /// `None` if a fault was noted, or if there is no URL to seal for.
    fn auth(&self, problems: &mut Problems, url: Option<&ServerUrl>, body: AuthBody) -> Option<ServerAuth> {
        let AuthBody::Headers { headers } = body else { return Some(ServerAuth::None) };
        if !(1..=MOST_HEADERS).contains(&headers.len()) {
            problems.add(
                "auth.headers",
                format!("has {} headers", headers.len()),
                "give 1 to 16, or use the type `none`",
            );
            return None;
        }
        let mut names = BTreeSet::new();
        let sealed: Vec<Option<SealedHeader>> = headers
            .into_iter()
            .enumerate()
            .map(|(index, header)| {
                let place = format!("auth.headers[{index}]");
                let remedy = "use the name that the server's documentation gives, such as `authorization`";
                let name = problems.take(format!("{place}.name"), HeaderName::parse(&header.name), remedy)?;
                if !names.insert(name.clone()) {
                    let field = format!("{place}.name");
                    problems.add(field, "is there twice", "give each header once");
                    return None;
                }
                self.header(problems, &format!("{place}.value"), url, &name, header.value)
            })
            .collect();
        sealed.into_iter().collect::<Option<Vec<_>>>().map(ServerAuth::Headers)
    }

    fn header(
        &self,
        problems: &mut Problems,
        field: &str,
        url: Option<&ServerUrl>,
        name: &HeaderName,
        value: Option<SecretText>,
    ) -> Option<SealedHeader> {
        let Some(value) = value else {
            return self.kept_header(problems, field, url, name);
        };
        let checked = check_value(value.expose());
        problems.take(field, checked, "give the value exactly as the server expects it")?;
        let value = SecretString::from(value.expose());
        Some(credentials::seal(self.vault, self.id, url?, name, &value, self.present))
    }

    fn kept_header(
        &self,
        problems: &mut Problems,
        field: &str,
        url: Option<&ServerUrl>,
        name: &HeaderName,
    ) -> Option<SealedHeader> {
        let kept = self.present.and_then(|server| {
            credentials::sealed(&server.settings.auth).iter().find(|header| header.name == *name)
        });
        let Some(kept) = kept else {
            problems.add(field, "is absent, and there is no value to keep", "give the value");
            return None;
        };
        if self.moves_to_another_origin(url?) {
            add_moved(problems, field);
            return None;
        }
        Some(kept.clone())
    }

    fn kept_auth(
        &self,
        problems: &mut Problems,
        url: Option<&ServerUrl>,
        auth: ServerAuth,
    ) -> Option<ServerAuth> {
        if !credentials::sealed(&auth).is_empty() && self.moves_to_another_origin(url?) {
            add_moved(problems, "auth");
            return None;
        }
        Some(auth)
    }

    /// A credential is for one origin: otherwise whoever may change a URL could have it sent to a host of its own.
    fn moves_to_another_origin(&self, url: &ServerUrl) -> bool {
        self.present.is_some_and(|server| server.settings.url.origin() != url.origin())
    }
}

fn add_moved(problems: &mut Problems, field: &str) {
    let problem = "would be sent to another host, port or scheme than it was given for";
    problems.add(field, problem, "give the value of every credential header together with the new URL");
}

fn server_url(problems: &mut Problems, text: &str, allow_http: bool) -> Option<ServerUrl> {
    let plain_http = if allow_http { PlainHttp::Allowed } else { PlainHttp::Refused };
    let remedy = "give the URL of the server's MCP endpoint, such as https://mcp.example.com/mcp";
    problems.take("url", ServerUrl::parse(text, plain_http), remedy)
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
