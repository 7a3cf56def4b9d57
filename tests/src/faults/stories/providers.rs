//! Providers of accounts that are down, forget, or answer with something else.

use crate::faults::drive::drive;
use crate::faults::report::Report;
use crate::faults::scene::{ADA, ADA_THERE, Between, Scene};
use crate::provider::faults::{Endpoint, Fault};
use crate::stack::Builder;

/// More than are asked for meanwhile.
const MANY: usize = 50;

/// The token of the cached caller is over, and the provider answers whoever wants another with this.
fn fail(scene: &Scene, fault: &Fault) {
    scene.provider.fail(Endpoint::Token, std::iter::repeat_n(fault.clone(), MANY));
    scene.provider.expire_access_tokens_of(ADA_THERE);
}

pub(super) async fn troubled() -> anyhow::Result<Option<Report>> {
    let mut scene = Scene::start(Between::Nothing, Builder::default()).await?;
    drive(
        &mut scene,
        ("F35", ""),
        async |scene| {
            fail(scene, &Fault::Status(503));
            Ok(())
        },
        async |scene| {
            scene.provider.recover(Endpoint::Token);
            Ok(())
        },
    )
    .await?;
    drive(
        &mut scene,
        ("F36", ""),
        async |scene| {
            fail(scene, &Fault::Html);
            Ok(())
        },
        async |scene| {
            scene.provider.recover(Endpoint::Token);
            scene.connect(&scene.ada(), ADA).await
        },
    )
    .await?;
    drive(
        &mut scene,
        ("F33", ""),
        async |scene| {
            scene.provider.withdraw(ADA_THERE);
            Ok(())
        },
        async |scene| scene.connect(&scene.ada(), ADA).await,
    )
    .await?;
    scene.end().await.map(Some)
}
