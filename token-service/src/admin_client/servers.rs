//! `portcullis server`: the registry.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::body::{Body, read, secret};
use super::client::ClientError;
use super::provisioning::Switch;
use super::{Access, Change, part, show};

#[derive(Debug, Subcommand)]
pub enum Servers {
    /// Lists the servers.
    List {
        #[command(flatten)]
        access: Access,
    },
    /// Shows a server.
    Show {
        /// Id or slug.
        server: String,
        #[command(flatten)]
        access: Access,
    },
    /// Asks a server, as the token-service would, how it wants to be signed in to. Nothing is registered.
    Check {
        /// The MCP endpoint.
        url: String,
        /// Plain http, where nobody can listen in.
        #[arg(long)]
        allow_http: bool,
        #[command(flatten)]
        access: Access,
    },
    /// Registers a server; it can be called at once.
    Add {
        /// In the URL that clients call: `https://<gateway>/<slug>/mcp`.
        slug: String,
        /// Slugs or ids of the workspaces that have it, or `all`, also those to come.
        #[arg(long, value_delimiter = ',', required = true)]
        workspaces: Vec<String>,
        #[command(flatten)]
        settings: Box<Settings>,
        #[command(flatten)]
        change: Change,
    },
    /// Changes a server. What is not given stays as it is.
    Change {
        /// Id or slug.
        server: String,
        #[command(flatten)]
        settings: Box<Settings>,
        #[command(flatten)]
        change: Change,
    },
    /// Deletes a server, with its connections.
    Delete {
        /// Id or slug.
        server: String,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Debug, Args)]
pub struct Settings {
    /// For people.
    #[arg(long)]
    name: Option<String>,
    /// The MCP endpoint.
    #[arg(long)]
    url: Option<String>,
    /// Plain http, where nobody can listen in.
    #[arg(long)]
    allow_http: bool,
    /// How much of parameters and responses the log holds: `off`, `digest`, `redacted` or `full`.
    #[arg(long)]
    payload: Option<String>,
    /// How many bytes of each the log holds at most.
    #[arg(long, value_name = "BYTES")]
    payload_limit: Option<u32>,
    /// A JSON pointer to what is left out of parameters, such as `/arguments/password`. All that is given takes the place
    /// of what was left out of parameters and responses before.
    #[arg(long = "redact-parameter", value_name = "POINTER")]
    redact_parameters: Vec<String>,
    /// The same of responses.
    #[arg(long = "redact-response", value_name = "POINTER")]
    redact_responses: Vec<String>,
    /// Whether workspaces to come have it.
    #[arg(long, value_name = "SWITCH")]
    new_workspaces: Option<Switch>,
    /// How many requests may be under way at once through one Envoy; 0 for any number.
    #[arg(long)]
    concurrency: Option<u32>,
    #[command(flatten)]
    auth: Auth,
    /// A JSON object with these and further fields as the admin API has them; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
}

/// How the gateway authenticates to the server.
#[derive(Debug, Args)]
pub(super) struct Auth {
    /// How the gateway authenticates to the server.
    #[arg(long = "auth", value_name = "TYPE")]
    kind: Option<AuthType>,
    /// With `--auth oauth`: a known service, such as `linear`.
    #[arg(long, requires = "kind")]
    preset: Option<String>,
    /// With `--auth headers`: `Name=@file` or `Name=env:VARIABLE`, so that the value is no argument.
    #[arg(long = "header", value_name = "NAME=SOURCE", requires = "kind")]
    headers: Vec<String>,
    /// A client that was registered with the provider by hand.
    #[arg(long, requires = "kind")]
    client_id: Option<String>,
    /// Its secret: `@file` or `env:VARIABLE`.
    #[arg(long, value_name = "SOURCE", requires = "client_id")]
    client_secret: Option<String>,
    /// Its private key (PEM, PKCS #8) in place of a secret.
    #[arg(long, value_name = "FILE", requires = "client_id", conflicts_with = "client_secret")]
    client_key: Option<PathBuf>,
    /// Asked for in place of what the server names.
    #[arg(long = "scope", requires = "kind")]
    scopes: Vec<String>,
    /// The authorization server, where the server does not name it.
    #[arg(long, value_name = "URL", requires = "kind")]
    issuer: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AuthType {
    None,
    Headers,
    Oauth,
    ClientCredentials,
}

impl Servers {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let path = |server: &str| format!("/v1/servers/{}", part(server));
        match self {
            Self::List { access } => {
                access.list("/v1/servers", "servers", &["slug", "id", "name", "url"]).await
            }
            Self::Show { server, access } => access.show(&path(&server)).await,
            Self::Check { url, allow_http, access } => {
                let body = json!({"url": url, "allow_http": allow_http});
                let answer = access.client()?.send(Method::POST, "/v1/server-checks", Some(body)).await?;
                Ok(if access.json { show::json(&answer) } else { show::object(&answer) })
            }
            Self::Add { slug, workspaces, settings, change } => {
                let workspaces: Value = match workspaces.as_slice() {
                    [one] if one == "all" => "all".into(),
                    _ => workspaces.into(),
                };
                let body =
                    settings.body()?.with("slug", Some(slug.as_str())).with("workspaces", Some(workspaces));
                let text = |_: &Value| format!("{slug} is registered\n");
                change.make(Method::POST, "/v1/servers", body.finish(), text).await
            }
            Self::Change { server, settings, change } => {
                let text = |_: &Value| format!("{server} is changed\n");
                change.make(Method::PATCH, &path(&server), settings.body()?.finish(), text).await
            }
            Self::Delete { server, change } => change.delete(&path(&server), &server).await,
        }
    }
}

impl Settings {
    fn body(&self) -> Result<Body, ClientError> {
        let redact = Body::default()
            .with_list("parameters", self.redact_parameters.clone())
            .with_list("response", self.redact_responses.clone());
        Ok(Body::from_file(self.body.as_deref())?
            .with("name", self.name.clone())
            .with("url", self.url.clone())
            .with_flag("allow_http", self.allow_http)
            .with("payload", self.payload.clone())
            .with("payload_limit", self.payload_limit)
            .with_object("redact", redact)
            .with("provision_new_workspaces", self.new_workspaces.map(|switch| switch == Switch::On))
            .with("concurrency", self.concurrency)
            .with_object("auth", self.auth.body()?))
    }
}

impl Auth {
    fn body(&self) -> Result<Body, ClientError> {
        let Some(kind) = self.kind else { return Ok(Body::default()) };
        let kind = match kind {
            AuthType::None => "none",
            AuthType::Headers => "headers",
            AuthType::Oauth => "oauth",
            AuthType::ClientCredentials => "client_credentials",
        };
        let mut headers = Vec::new();
        for header in &self.headers {
            let (name, source) = header.split_once('=').ok_or(ClientError::Secret)?;
            headers.push(json!({"name": name, "value": secret(source)?}));
        }
        let client_secret = self.client_secret.as_deref().map(secret).transpose()?;
        let private_key = self.client_key.as_deref().map(read).transpose()?;
        let client = Body::default()
            .with("id", self.client_id.clone())
            .with("secret", client_secret)
            .with("private_key", private_key);
        let issuer = Body::default().with("issuer", self.issuer.clone());
        Ok(Body::default()
            .with("type", Some(kind))
            .with("preset", self.preset.clone())
            .with("headers", (!headers.is_empty()).then_some(headers))
            .with_list("scopes", self.scopes.clone())
            .with_object("client", client)
            .with_object("authorization_server", issuer))
    }
}
