//! The token-service is not there, not well, or not honest.

use std::time::Duration;

use crate::faults::drive::drive;
use crate::faults::forger::Forgery;
use crate::faults::line::State;
use crate::faults::report::Report;
use crate::faults::scene::{Between, Scene};
use crate::stack::{Asked, Builder};

/// Longer than a filter waits for a lease, and shorter than its grace for the watch.
const SLOW: Duration = Duration::from_millis(1_500);
/// More than a filter can hold.
const HUGE: usize = 48 * 1024 * 1024;
/// How often the kernel ends it.
const KILLS: usize = 3;

pub(super) async fn unreachable() -> anyhow::Result<Option<Report>> {
    let mut scene = Scene::start(Between::Line, Builder::default()).await?;
    for (id, state) in
        [("F19", State::Cut), ("F20", State::Silent), ("F21", State::Slow(SLOW)), ("F48", State::Garbled)]
    {
        drive(
            &mut scene,
            (id, ""),
            async |scene| scene.set_line(state),
            async |scene| scene.set_line(State::Open),
        )
        .await?;
    }
    scene.end().await.map(Some)
}

pub(super) async fn lying() -> anyhow::Result<Option<Report>> {
    let mut scene = Scene::start(Between::Forger, Builder::default()).await?;
    for (id, variant, forgery) in [
        ("F22", "a lease of another caller", Forgery::LeaseOfAnother),
        ("F22", "a lease for another server", Forgery::LeaseForAnotherServer),
        ("F22", "half a lease", Forgery::HalfALease),
        ("F22", "a lease of who knows whom", Forgery::UnmarkedLease),
        ("F27", "a registry that cannot be read", Forgery::BrokenRegistry),
        ("F27", "a huge answer", Forgery::HugeWatch(HUGE)),
    ] {
        drive(
            &mut scene,
            (id, variant),
            async |scene| scene.forge(forgery),
            async |scene| scene.forge(Forgery::None),
        )
        .await?;
    }
    scene.end().await.map(Some)
}

pub(super) async fn restarted() -> anyhow::Result<Option<Report>> {
    let builder = Builder { replicas: 1, asked: Asked::All, ..Builder::default() };
    let mut scene = Scene::start(Between::Nothing, builder).await?;
    drive(&mut scene, ("F23", ""), kill_all, start_all).await?;
    drive(
        &mut scene,
        ("F24", ""),
        async |scene| {
            kill_all(scene).await?;
            scene.stack.envoy.restart().await
        },
        start_all,
    )
    .await?;
    drive(
        &mut scene,
        ("F50", ""),
        async |scene| {
            for _ in 1..KILLS {
                kill_all(scene).await?;
                start_all(scene).await?;
            }
            // The filter has come back in between, so that it counts from the last time.
            scene.calm().await?;
            kill_all(scene).await
        },
        start_all,
    )
    .await?;
    scene.end().await.map(Some)
}

async fn kill_all(scene: &mut Scene) -> anyhow::Result<()> {
    for replica in &mut scene.stack.replicas {
        replica.kill()?;
    }
    scene.stack.service.kill()
}

async fn start_all(scene: &mut Scene) -> anyhow::Result<()> {
    scene.stack.service.restart().await?;
    for replica in &mut scene.stack.replicas {
        replica.restart().await?;
    }
    Ok(())
}
