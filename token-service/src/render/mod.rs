//! `portcullis render`: the registry as resources of a mesh or of Envoy, one of its own for each upstream.
//!
//! What is printed follows from the servers and the options alone, in an order of its own, so that it can be kept in a
//! repository and read as a difference. Nothing is applied anywhere.

mod envoy_gateway;
mod istio;
mod kubernetes;
mod plain_envoy;
mod shipped;
mod upstreams;
mod yaml;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::kubernetes::Place;
use self::plain_envoy::Part;
use self::shipped::{Shipped, ShippedError};
use self::upstreams::{Target, Unfit, Upstream, upstreams};
use self::yaml::Document;
use crate::admin_client::{AdminListener, ClientError};
use crate::config::{Config, Endpoint, Problems};

#[derive(Debug, Subcommand)]
pub enum RenderCommand {
    /// For a plain Envoy: clusters and routes, as it reads them from files.
    Envoy {
        /// Which file to print.
        #[arg(long, value_name = "PART")]
        part: Part,
        /// The configuration of the Envoy, whose clusters `upstream_tls` and `upstream_plain` and whose routes are the
        /// pattern. Default: the one that is shipped as envoy/envoy.yaml.
        #[arg(long, value_name = "FILE")]
        base: Option<PathBuf>,
        #[command(flatten)]
        source: Source,
    },
    /// For Istio with Gateway API: a `ServiceEntry` and a `DestinationRule` for each host, an `HTTPRoute` for each upstream.
    Istio {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        source: Source,
    },
    /// For Envoy Gateway: a Backend, its policies and an `HTTPRoute` for each upstream.
    EnvoyGateway {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        source: Source,
    },
}

/// Where the servers come from.
#[derive(Debug, Args)]
pub struct Source {
    /// The servers that this portcullis.yaml declares. No secret that it names is read. Without it, a running service is
    /// asked for all that are registered.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    listener: AdminListener,
}

/// Why nothing was rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error(transparent)]
    Configuration(#[from] Problems),
    #[error(transparent)]
    Service(#[from] ClientError),
    #[error("these servers cannot be rendered:\n{}", lines(.0))]
    Unfit(Vec<Unfit>),
    #[error("{path} cannot be read: {error}")]
    Base { path: String, error: std::io::Error },
    #[error(transparent)]
    Shipped(#[from] ShippedError),
    #[error("this cannot be written as YAML: {0}")]
    Yaml(String),
}

fn lines(unfit: &[Unfit]) -> String {
    let lines: Vec<String> = unfit.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl RenderCommand {
    /// Answers what to print.
    pub async fn run(self) -> Result<String, RenderError> {
        match self {
            Self::Envoy { part, base, source } => {
                let upstreams = fitting(&source.endpoints().await?, Target::Envoy)?;
                let shipped = base.as_ref().map_or_else(Shipped::load, Shipped::read)?;
                let options = base
                    .map(|path| ("--base", path.display().to_string()))
                    .into_iter()
                    .chain(source.option());
                let command = yaml::command(&format!("envoy --part {}", part.name()), options);
                yaml::text(&command, &[plain_envoy::render(part, &shipped, &upstreams)?])
            }
            Self::Istio { place, source } => place.render("istio", &source, istio::render).await,
            Self::EnvoyGateway { place, source } => {
                place.render("envoy-gateway", &source, envoy_gateway::render).await
            }
        }
    }
}

impl Place {
    async fn render(
        self,
        name: &str,
        source: &Source,
        render: impl FnOnce(&Self, &Shipped, &[Upstream]) -> Result<Vec<Document>, ShippedError>,
    ) -> Result<String, RenderError> {
        let upstreams = fitting(&source.endpoints().await?, Target::Kubernetes)?;
        let documents = render(&self, &Shipped::load()?, &upstreams)?;
        let command = yaml::command(name, self.options().into_iter().chain(source.option()));
        yaml::text(&command, &documents)
    }
}

impl Source {
    async fn endpoints(&self) -> Result<Vec<Endpoint>, RenderError> {
        match &self.config {
            Some(path) => Ok(Config::endpoints(path)?),
            None => Ok(self.listener.endpoints().await?),
        }
    }

    fn option(&self) -> Option<(&'static str, String)> {
        self.config.as_ref().map(|path| ("--config", path.display().to_string()))
    }
}

fn fitting(endpoints: &[Endpoint], target: Target) -> Result<Vec<Upstream>, RenderError> {
    upstreams(endpoints, target).map_err(RenderError::Unfit)
}

#[cfg(test)]
mod tests;
