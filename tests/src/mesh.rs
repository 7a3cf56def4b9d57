//! The Envoys of Istio and Envoy Gateway, with what these would make of the objects below `envoy/`: `tests/mesh` has how.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::artifacts::{Artifacts, repository};
use crate::envoy::Settings;
use crate::fetched;

/// How the filter got into a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mesh {
    /// By a `WasmPlugin`.
    IstioStream,
    /// By an `EnvoyFilter`, so that headers wait for the verdict on the body.
    IstioHold,
    /// By an `EnvoyExtensionPolicy`.
    EnvoyGateway,
}

/// The only server that such a gateway has a route to, by a name because routes go by names.
const SERVER: &str = "localhost";

impl Mesh {
    /// Whether a server sees nothing at all of a call that only its body shows to be denied.
    pub fn holds(self) -> bool {
        self == Self::IstioHold
    }

    /// As `tests/mesh/render.mjs` calls it.
    fn variant(self) -> &'static str {
        match self {
            Self::IstioStream => "istio-stream",
            Self::IstioHold => "istio-hold",
            Self::EnvoyGateway => "envoy-gateway",
        }
    }
}

/// A gateway of a mesh, and the server that has a route there.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub mesh: Mesh,
    pub server: SocketAddr,
}

impl Place {
    /// The URL of an endpoint of the server, as it is registered for this gateway.
    pub fn url_of(&self, url: &str) -> String {
        url.replace(&self.server.to_string(), &format!("{SERVER}:{}", self.server.port()))
    }

    /// The configuration. Files that Envoy follows are written into `directory`.
    pub(crate) fn render(
        &self,
        artifacts: &Artifacts,
        settings: &Settings,
        directory: &Path,
    ) -> anyhow::Result<String> {
        let node = fetched::node_with_packages().context("no Node for the configuration of a mesh")?;
        let place = directory.join("place.json");
        let text = json!({
            "gateway": settings.gateway.to_string(),
            "admin": settings.admin.to_string(),
            "internal": settings.token_service.to_string(),
            "public": settings.pages.to_string(),
            "upstream": format!("{SERVER}:{}", self.server.port()),
            "public_url": settings.public_url,
            "module": artifacts.wasm,
            "access_log": settings.access_log,
            "filter_file": directory.join("filter.json"),
        });
        std::fs::write(&place, text.to_string())?;
        let rendered = Command::new(node)
            .args(["tests/mesh/render.mjs", self.mesh.variant()])
            .arg(&place)
            .current_dir(repository())
            .output()?;
        let complaint = String::from_utf8_lossy(&rendered.stderr);
        ensure!(rendered.status.success(), "tests/mesh/render.mjs does not render: {complaint}");
        String::from_utf8(rendered.stdout).context("what tests/mesh/render.mjs prints is not text")
    }
}
