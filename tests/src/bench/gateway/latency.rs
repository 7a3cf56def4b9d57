//! How long requests take at a rate that keeps nobody busy.

use std::time::Duration;

use super::Extent;
use super::callers::{Algorithm, Message};
use super::contenders::Contender;
use super::load::Requests;
use super::report::{Delay, Report};
use super::rounds;
use super::world::{EVENTS, SMALL, World};

/// Requests a second.
const RATE: u32 = 1_000;
/// The same of answers with 1,000 events each.
const RATE_OF_EVENTS: u32 = 50;

const CONTENDERS: [Contender; 5] =
    [Contender::Plain, Contender::Nothing, Contender::Native, Contender::Hold, Contender::Stream];

/// Adds what half and what nearly all requests took until their answer began.
///
/// # Errors
/// If a request is not answered.
pub async fn measure(world: &mut World, report: &mut Report, extent: Extent) -> anyhow::Result<()> {
    let token = world.token(Algorithm::Es256)?;
    for (name, server, rate) in [("small", SMALL, RATE), ("events", EVENTS, RATE_OF_EVENTS)] {
        let requests = Requests::new(vec![Message::call(server, 100).request(&token)]);
        let during = Duration::from_secs(if extent.is_short() { 1 } else { 2 });
        let mut took: Vec<Vec<Duration>> = CONTENDERS.iter().map(|_| Vec::new()).collect();
        // The first call brings the lease.
        for contender in CONTENDERS {
            world.running(contender)?.run(&requests, 50).await?;
        }
        for _ in 0..rounds(extent).min(5) {
            for (contender, took) in CONTENDERS.iter().zip(&mut took) {
                took.extend(world.running(*contender)?.load.pace(&requests, rate, during).await?);
            }
        }
        for (contender, took) in CONTENDERS.iter().zip(took) {
            report.delays.push(Delay::of(name, *contender, &took));
        }
    }
    Ok(())
}
