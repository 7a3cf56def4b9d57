//! Envoy is configured badly, or anew.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tokio::time::Instant;

use crate::artifacts;
use crate::faults::Outcome;
use crate::faults::drive::drive;
use crate::faults::report::{Bound, Report};
use crate::faults::scene::{Between, Scene};
use crate::faults::trap::{spring, with_trap};
use crate::patience::poll;
use crate::stack::{Builder, Stack};

/// As long as requests wait for a filter that has just started.
const BACK: Duration = Duration::from_secs(2);

pub(super) async fn badly_configured() -> anyhow::Result<Option<Report>> {
    let mut scene = Scene::start(Between::Nothing, Builder::default()).await?;
    let public_url = scene.stack.public_url();
    drive(
        &mut scene,
        ("F25", ""),
        async |scene| {
            let envoy = &mut scene.stack.envoy;
            envoy.restart_changed(|plugin| plugin["public_url"] = json!("ftp://nowhere"))?;
            let ended = poll(async || envoy.process.ended().ok().flatten()).await;
            let status = ended.context("Envoy goes on with a configuration that the filter cannot use")?;
            let log = envoy.process.log();
            scene.report.expect(!status.success(), format!("Envoy ended with {status}"));
            scene.report.expect(log.contains("public_url"), "the log does not say what is wrong");
            Ok(())
        },
        async |scene| {
            scene.stack.envoy.restart_changed(|plugin| plugin["public_url"] = json!(public_url))?;
            scene.stack.envoy.ready().await
        },
    )
    .await?;
    scene.end().await.map(Some)
}

pub(super) async fn trapped() -> anyhow::Result<Option<Report>> {
    let directory = tempfile::tempdir()?;
    let filter = directory.path().join("filter.wasm");
    std::fs::write(&filter, with_trap(&std::fs::read(artifacts::filter()?)?)?)?;
    let builder = Builder { filter: Some(filter), ..Builder::default() };
    let mut scene = Scene::start(Between::Nothing, builder).await?;
    for number in 1..=2 {
        drive(
            &mut scene,
            ("F30", ""),
            async |scene| {
                spring(scene).await?;
                let ada = scene.ada();
                let begun = Instant::now();
                let served = scene.until(&ada, Outcome::Served).await;
                let (what, measured) =
                    ("until a worker serves again after a trap".to_owned(), begun.elapsed());
                scene.report.bounds.push(Bound { what, measured, most: BACK });
                scene.report.expect(served.is_ok(), format!("after a trap a call is {served:?}"));
                let reloads = scene.stack.envoy.stat("vm_reload_success").await?;
                scene.report.expect(reloads == number, format!("{reloads} reloads after {number} traps"));
                Ok(())
            },
            async |_| Ok(()),
        )
        .await?;
    }
    Ok(Some(scene.report))
}

pub(super) async fn updated() -> anyhow::Result<Option<Report>> {
    let builder = Builder { listener_by_file: true, concurrency: 2, ..Builder::default() };
    let mut scene = Scene::start(Between::Nothing, builder).await?;
    let file = scene.stack.directory.join("listeners.json");
    drive(
        &mut scene,
        ("F26", ""),
        async |scene| {
            let before = counted(&scene.stack, REJECTED).await?;
            scene.stack.envoy.change_listener(&file, 1, |plugin| plugin["no_such_setting"] = json!(1))?;
            more(&scene.stack, REJECTED, before).await
        },
        async |scene| {
            let before = counted(&scene.stack, TAKEN).await?;
            let mend = |plugin: &mut serde_json::Value| {
                plugin.as_object_mut().map(|plugin| plugin.remove("no_such_setting"));
            };
            scene.stack.envoy.change_listener(&file, 2, mend)?;
            more(&scene.stack, TAKEN, before).await
        },
    )
    .await?;
    for number in 0..2_u32 {
        drive(
            &mut scene,
            ("F28", ""),
            async |scene| {
                let before = counted(&scene.stack, MODIFIED).await?;
                let change =
                    |plugin: &mut serde_json::Value| plugin["startup_wait_ms"] = json!(1_900 + number);
                scene.stack.envoy.change_listener(&file, 3 + number, change)?;
                more(&scene.stack, MODIFIED, before).await
            },
            async |_| Ok(()),
        )
        .await?;
    }
    scene.end().await.map(Some)
}

const REJECTED: &str = "listener_manager.lds.update_rejected";
const TAKEN: &str = "listener_manager.lds.update_success";
const MODIFIED: &str = "listener_manager.listener_(modified|in_place_updated)$";

async fn counted(stack: &Stack, stat: &str) -> anyhow::Result<u64> {
    stack.envoy.stat(stat).await
}

async fn more(stack: &Stack, stat: &str, before: u64) -> anyhow::Result<()> {
    let counted = poll(async || stack.envoy.stat(stat).await.ok().filter(|now| *now > before));
    counted.await.map(drop).with_context(|| format!("{stat} does not become more than {before}"))
}
