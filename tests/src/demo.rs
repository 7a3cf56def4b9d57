//! The servers of `make run` that want OAuth: one of each member, one of the gateway itself.

use std::time::Duration;

use anyhow::bail;
use serde_json::json;

use crate::provider::Provider;
use crate::provider::clients::{Authentication, Client};
use crate::provider::shape::Shape;
use crate::seed::Server;
use crate::upstream::protected::Protected;

/// Slug of the server for which each member connects an account.
pub const DESK: &str = "desk";
/// Slug of the server that is used with the gateway's own client.
pub const SHARED_DESK: &str = "desk-shared";

const CLIENT_ID: &str = "portcullis";
/// What the gateway shows to the provider of [`SHARED_DESK`]. Looked for where it must not be.
pub const CLIENT_SECRET: &str = "machine-client-secret-9b04d2";

/// Short enough to see tokens being renewed.
const ACCESS_LIFETIME: Duration = Duration::from_mins(5);

/// Two protected servers and their authorization servers.
#[derive(Debug)]
pub struct Demo {
    pub provider: Provider,
    pub desk: Protected,
    pub machines: Provider,
    pub shared_desk: Protected,
}

impl Demo {
    pub async fn start() -> anyhow::Result<Self> {
        let shape = Shape { access_lifetime: Some(ACCESS_LIFETIME), ..Shape::linear() };
        let provider = Provider::start(Shape { name: "the sample provider", ..shape }).await?;
        let authentication = Authentication::SecretBasic(CLIENT_SECRET.to_owned());
        let client = Client::machine(CLIENT_ID, authentication);
        let machines = Provider::start(Shape::machines(client)).await?;
        let desk = Protected::behind(&provider).await?;
        let shared_desk = Protected::behind(&machines).await?;
        Ok(Self { provider, desk, machines, shared_desk })
    }

    /// To register.
    pub fn servers(&self) -> Vec<Server> {
        let server = |slug, url, auth| Server {
            slug,
            url,
            auth,
            allowed_tool: "search_issues",
            denied_tool: "delete_issue",
            denied_prompts: Vec::new(),
            denied_resources: Vec::new(),
            payload: "redacted",
        };
        let client = json!({"id": CLIENT_ID, "secret": CLIENT_SECRET});
        vec![
            server(DESK, self.desk.url(), json!({"type": "oauth"})),
            server(
                SHARED_DESK,
                self.shared_desk.url(),
                json!({"type": "client_credentials", "client": client}),
            ),
        ]
    }

    /// Waits until a server ends, which none should.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        tokio::select! {
            () = self.desk.ended() => {}
            () = self.shared_desk.ended() => {}
        }
        bail!("a sample server has ended")
    }
}
