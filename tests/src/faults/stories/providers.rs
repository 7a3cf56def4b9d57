//! Providers of accounts that are down, forget, or answer with something else.

use crate::faults::drive::drive;
use crate::faults::report::Report;
use crate::faults::scene::{ADA, ADA_THERE, Between, Scene};
use crate::provider::faults::{Endpoint, Fault};
use crate::stack::Builder;

/// More than are asked for meanwhile.
const MANY: usize = 50;

pub(super) async fn troubled() -> anyhow::Result<Option<Report>> {
    let mut scene = Scene::start(Between::Nothing, Builder::default()).await?;
    for (id, variant, fault) in [
        ("F35", "", Fault::Status(503)),
        ("F36", "a page in place of tokens", Fault::Html),
        ("F36", "an answer that breaks off before anything was done", Fault::Break),
    ] {
        drive(
            &mut scene,
            (id, variant),
            async |scene| {
                scene.provider.fail(Endpoint::Token, std::iter::repeat_n(fault.clone(), MANY));
                scene.provider.expire_access_tokens_of(ADA_THERE);
                Ok(())
            },
            async |scene| {
                scene.provider.recover(Endpoint::Token);
                Ok(())
            },
        )
        .await?;
    }
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
