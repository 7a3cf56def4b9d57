//! What strangers with forged tokens take away from those whom the gateway knows.

use std::time::Duration;

use super::Extent;
use super::callers::{Algorithm, Message, stream};
use super::contenders::Contender;
use super::load::{Load, Requests};
use super::report::Report;
use super::rounds;
use super::world::{SMALL, World};

/// Forged tokens a second, each of them new.
const RATE: u32 = 500;

/// Adds how much of their throughput good callers keep.
///
/// # Errors
/// If a good caller is refused, or a forged token is not.
pub async fn measure(world: &mut World, report: &mut Report, extent: Extent) -> anyhow::Result<()> {
    let message = Message::call(SMALL, 100);
    let good = Requests::new(vec![message.request(&world.token(Algorithm::Es256)?)]);
    let during = Duration::from_secs(1);
    let forged = world.provider.forged(RATE as usize * rounds(extent))?;
    // Without a body: a request that is refused before its body is there costs the connection, too.
    let forged: Vec<Vec<u8>> = forged.iter().map(|token| stream(SMALL, token)).collect();
    let forged = Requests::refused(forged);
    let running = world.running(Contender::Hold)?;
    let mut strangers = Load::connect(running.gateway).await?;
    let probe = running.run(&good, 1_000).await?.slice;
    // About as long as the flood.
    let count = probe.requests * usize::try_from(during.as_millis() / probe.took.as_millis().max(1) + 1)?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds(extent) {
        alone.push(running.run(&good, count).await?.slice.rate());
        let flood = strangers.pace(&forged, RATE, during * 2);
        let (served, flooded) = tokio::join!(running.run(&good, count), flood);
        flooded?;
        beside.push(served?.slice.rate());
    }
    report.kept_beside_flood = super::report::median(&mut beside) / super::report::median(&mut alone);
    Ok(())
}
