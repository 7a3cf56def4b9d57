//! A token-service whose clock is wrong, and one whose clock jumps. Envoy does not start with another clock: what the filter
//! makes of one is in `filter/core/tests/worker_parts_watch.rs` and `worker_parts_leases.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::faults::Outcome;
use crate::faults::drive::drive;
use crate::faults::report::Report;
use crate::faults::scene::{Between, Scene};
use crate::fetched;
use crate::stack::Builder;

const FIVE_MINUTES: i64 = 300;

/// The clock that a process sees, which a file sets against the true one. Its monotonic clock stays true.
struct Clock {
    file: PathBuf,
}

impl Clock {
    fn new(file: PathBuf) -> anyhow::Result<Self> {
        let clock = Self { file };
        clock.set(0)?;
        Ok(clock)
    }

    /// Seconds ahead of the true time.
    fn set(&self, ahead: i64) -> anyhow::Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{ahead:+}"))?;
        Ok(fs::rename(new, &self.file)?)
    }

    fn environment(&self, library: &Path) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

pub(super) async fn jumping() -> anyhow::Result<Option<Report>> {
    let Some(library) = fetched::faketime() else { return Ok(None) };
    let directory = tempfile::tempdir()?;
    let clock = Clock::new(directory.path().join("service"))?;
    let builder = Builder { service_environment: clock.environment(&library), ..Builder::default() };
    let mut scene = Scene::start(Between::Nothing, builder).await?;
    let ada = scene.ada();
    for (variant, ahead) in [("ahead", FIVE_MINUTES), ("behind", -FIVE_MINUTES)] {
        drive(
            &mut scene,
            ("F17", variant),
            async |scene| {
                clock.set(ahead)?;
                let served = scene.until(&ada, Outcome::Served).await;
                scene.report.expect(served.is_ok(), format!("{variant}: {served:?}"));
                Ok(())
            },
            async |_| clock.set(0),
        )
        .await?;
    }
    let gone = scene.stranger()?;
    drive(
        &mut scene,
        ("F18", ""),
        async |scene| {
            let served = scene.until(&gone, Outcome::Served).await;
            scene.report.expect(served.is_ok(), format!("before it is disabled, a key is {served:?}"));
            let path = format!("/v1/keys/{}?wait=applied", gone.key.id);
            scene.stack.admin().patch(&path, json!({"disabled": true})).await?;
            clock.set(-FIVE_MINUTES)?;
            let served = scene.until(&ada, Outcome::Served).await;
            scene.report.expect(served.is_ok(), format!("after the jump: {served:?}"));
            let refused = scene.ask(&gone).await;
            scene.report.expect(
                refused == Outcome::Unauthenticated,
                format!("what was revoked before the clocks went back is {refused}"),
            );
            Ok(())
        },
        async |_| clock.set(0),
    )
    .await?;
    scene.end().await.map(Some)
}
