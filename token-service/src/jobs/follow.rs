//! Following `portcullis.yaml` while the service runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_wire::digest::Digest;
use tokio::time::Instant;

use crate::apply::{ApplyError, ConfigSource, apply};
use crate::config::{Config, ServiceConfig};
use crate::http::error::error_chain;
use crate::state::Service;
use crate::vault::{RootKeys, VaultError};

/// How late a change of the file is noticed at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How late a change of a file that it names is noticed at most: of a secret or a key set.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Looks at the file and applies what it says. A file that cannot be applied changes nothing, and its problems are
/// logged once.
pub(crate) struct Follower {
    source: Arc<ConfigSource>,
    /// What the service was started with.
    running: ServiceConfig,
    /// Of the file when it was last loaded; `None` if it could not be read.
    digest: Option<Digest>,
    loaded_at: Instant,
    /// What was last said about it, so that it is not said each time.
    report: String,
}

impl Follower {
    /// For a service that has just applied the file.
    pub(crate) fn new(source: Arc<ConfigSource>, running: ServiceConfig) -> Self {
        let digest = digest(&source.path);
        Self { source, running, digest, loaded_at: Instant::now(), report: String::new() }
    }

    pub(crate) async fn run(mut self, service: &Service) {
        while super::pause(service, LOOK_INTERVAL).await {
            self.look(service).await;
        }
    }

    async fn look(&mut self, service: &Service) {
        let digest = digest(&self.source.path);
        if digest == self.digest && self.loaded_at.elapsed() < RELOAD_INTERVAL {
            return;
        }
        self.digest = digest;
        self.loaded_at = Instant::now();
        let source = Arc::clone(&self.source);
        let report = match tokio::task::spawn_blocking(move || source.load()).await {
            Ok(Ok(config)) => self.take(service, config).await,
            Ok(Err(problems)) => {
                format!("the configuration is not applied, the one before stays:\n{problems}")
            }
            Err(_) => "the configuration could not be read".to_owned(),
        };
        if report != self.report {
            if !report.is_empty() {
                tracing::error!(file = %self.source.path.display(), "{report}");
            }
            self.report = report;
        }
    }

    /// Answers what there is to complain about; empty if nothing.
    async fn take(&mut self, service: &Service, config: Config) -> String {
        let problem = self.take_root_keys(service, &config).await;
        let report = self.take_the_rest(service, config).await;
        [problem, report].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Other root keys are used without a restart.
    async fn take_root_keys(&mut self, service: &Service, config: &Config) -> String {
        let taken = async {
            let roots = RootKeys::load(&config.service.root_keys, &service.entropy)?;
            if roots.ids() != service.vault.roots().ids()
                || config.service.root_keys != self.running.root_keys
            {
                service.vault.use_root_keys(roots.clone(), &*service.store).await?;
                tracing::info!(root_key = roots.id(), "other root keys are used from now on");
            }
            Ok::<_, VaultError>(())
        };
        match taken.await {
            Ok(()) => {
                self.running.root_keys = config.service.root_keys.clone();
                String::new()
            }
            Err(error) => format!("the root keys stay what they were: {}", error_chain(&error)),
        }
    }

    async fn take_the_rest(&self, service: &Service, mut config: Config) -> String {
        // What was said about them is enough.
        config.service.root_keys.clone_from(&self.running.root_keys);
        let before = service.store.current_revision().await.ok();
        match apply(service, &self.source.path, &config.declared).await {
            Ok(revision) => {
                if before.is_some_and(|before| before < revision) {
                    tracing::info!(revision = revision.0, "the configuration is applied");
                }
                if config.service == self.running {
                    String::new()
                } else {
                    "the configuration of the service itself has changed; it takes a restart to use it"
                        .to_owned()
                }
            }
            Err(ApplyError::Conflicts(problems)) => {
                format!("the configuration is not applied, the one before stays:\n{problems}")
            }
            Err(error) => format!("the configuration is not applied: {}", error_chain(&error)),
        }
    }
}

fn digest(path: &Path) -> Option<Digest> {
    let content = std::fs::read(path).ok()?;
    Some(Digest::of("portcullis-configuration-v1", &[&content]))
}
