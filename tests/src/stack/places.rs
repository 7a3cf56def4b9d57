//! Where the parts of a stack listen.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::Ports;
use crate::artifacts::Artifacts;
use crate::envoy::{self, Envoy};
use crate::port::Reserved;
use crate::service::{self, TokenService};

/// A place for everything that listens. Reserved together, so that they differ.
pub(super) struct Places {
    pub(super) gateway: Reserved,
    envoy_admin: Reserved,
    admin: Reserved,
    internal: Reserved,
    public: Reserved,
}

impl Places {
    pub(super) fn take(ports: Ports) -> io::Result<Self> {
        Ok(Self {
            gateway: Reserved::take(ports.gateway)?,
            envoy_admin: Reserved::take(ports.envoy_admin)?,
            admin: Reserved::take(ports.admin)?,
            internal: Reserved::take(ports.internal)?,
            public: Reserved::take(ports.public)?,
        })
    }

    fn public_url(&self) -> io::Result<String> {
        Ok(format!("http://{}", self.gateway.address()?))
    }

    pub(super) fn service(
        &self,
        directory: &Path,
        issuers: Value,
        oauth: Value,
        talkative: bool,
    ) -> io::Result<service::Settings> {
        Ok(service::Settings {
            name: service::ALONE,
            directory: directory.to_owned(),
            internal: self.internal.address()?,
            admin: self.admin.address()?,
            public: self.public.address()?,
            public_url: self.public_url()?,
            issuers,
            sections: serde_json::Map::new(),
            oauth,
            log: if talkative { "trace" } else { "info" },
            environment: Vec::new(),
        })
    }

    pub(super) fn envoy(
        &self,
        directory: &Path,
        concurrency: u32,
        talkative: bool,
    ) -> io::Result<envoy::Settings> {
        Ok(envoy::Settings {
            gateway: self.gateway.address()?,
            admin: self.envoy_admin.address()?,
            token_service: self.internal.address()?,
            replicas: Vec::new(),
            pages: self.public.address()?,
            public_url: self.public_url()?,
            access_log: directory.join("access.jsonl"),
            concurrency,
            log: if talkative { "wasm:trace" } else { "wasm:info" },
            rate_limit_service: None,
            longest_response: None,
            longest_lease: None,
            collector: None,
            trusted_ca: None,
            listener_file: None,
            filter_file: None,
            mesh: None,
            rendered_from: None,
        })
    }

    pub(super) fn keep_for_envoy(self) -> (Reserved, Reserved) {
        (self.gateway, self.envoy_admin)
    }
}

/// Starts `count` further Envoys beside one that runs, each with a directory of its own, and says where they listen.
pub(super) async fn envoys(
    artifacts: &Artifacts,
    first: &envoy::Settings,
    count: usize,
    directory: &Path,
) -> anyhow::Result<Vec<(SocketAddr, Envoy)>> {
    let mut running = Vec::new();
    for number in 0..count {
        let directory = directory.join(format!("envoy-{}", number + 2));
        std::fs::create_dir_all(&directory)?;
        let listeners = [Reserved::take(None)?, Reserved::take(None)?];
        let [gateway, admin] = listeners.each_ref().map(Reserved::address);
        let (gateway, admin) = (gateway?, admin?);
        let access_log = directory.join("access.jsonl");
        let settings = envoy::Settings { gateway, admin, access_log, ..first.clone() };
        drop(listeners);
        let mut envoy = Envoy::start(artifacts, &settings, &directory)?;
        envoy.ready().await?;
        running.push((gateway, envoy));
    }
    Ok(running)
}

/// Starts `count` further token-services beside one that runs, one after the other.
pub(super) async fn replicas(
    artifacts: &Artifacts,
    first: &service::Settings,
    count: usize,
) -> anyhow::Result<Vec<TokenService>> {
    const NAMES: [&str; 4] = ["token-service-2", "token-service-3", "token-service-4", "token-service-5"];
    let names = NAMES.get(..count).with_context(|| format!("at most {} replicas", NAMES.len()))?;
    let mut running = Vec::new();
    for name in names {
        let listeners = [Reserved::take(None)?, Reserved::take(None)?, Reserved::take(None)?];
        let [internal, admin, public] = listeners.each_ref().map(Reserved::address);
        let (internal, admin, public) = (internal?, admin?, public?);
        drop(listeners);
        let settings = service::Settings { name, internal, admin, public, ..first.clone() };
        running.push(TokenService::start(artifacts, &settings).await?);
    }
    Ok(running)
}
