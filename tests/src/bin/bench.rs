//! `make bench`: what the design promises of costs and delays, measured. `SHORT=1` is for looking whether it works.
//!
//! Prints a table, and writes it to `target/bench/results.json`. Ends with an error if something does not hold. With
//! arguments it measures only what they name, for example `target/service/bench leases`.

use portcullis_tests::bench::{Extent, gateway, guesses, leases, policy, records};
use portcullis_tests::figures::Figures;

const PARTS: [&str; 5] = ["gateway", "policy", "leases", "guesses", "records"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let extent = Extent::of_environment();
    let mut figures = Figures::default();
    let parts = chosen(std::env::args().skip(1).collect())?;
    for part in parts {
        eprintln!("measuring {part} ...");
        match part.as_str() {
            "gateway" => gateway::measure(&mut figures, extent).await?,
            "policy" => policy::measure(&mut figures, extent)?,
            "leases" => leases::measure(&mut figures, extent).await?,
            "guesses" => guesses::measure(&mut figures, extent).await?,
            _ => records::measure(&mut figures, extent).await?,
        }
    }
    figures.report("bench")
}

fn chosen(named: Vec<String>) -> anyhow::Result<Vec<String>> {
    if named.is_empty() {
        return Ok(PARTS.map(str::to_owned).into());
    }
    match named.iter().find(|part| !PARTS.contains(&part.as_str())) {
        Some(unknown) => {
            anyhow::bail!("there is no `{unknown}` to measure; choose among {}", PARTS.join(", "))
        }
        None => Ok(named),
    }
}
