//! `make bench`: what the design promises of costs and delays, measured. `SHORT=1` is for looking whether it works.
//!
//! Prints a table, and writes it to `target/bench/results.json`. Ends with an error if something does not hold.

use portcullis_tests::bench::{Extent, guesses, leases, policy, records};
use portcullis_tests::figures::Figures;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let extent = Extent::of_environment();
    let mut figures = Figures::default();
    policy::measure(&mut figures, extent)?;
    leases::measure(&mut figures, extent).await?;
    guesses::measure(&mut figures, extent).await?;
    records::measure(&mut figures, extent).await?;
    figures.report("bench")
}
