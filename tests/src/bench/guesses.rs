//! Whether the time that a wrong key takes tells how much of it was right: Welch's t over samples of two classes in no
//! order, as in "Dude, is my code constant time?" (Reparaz, Balasch, Verbauwhede 2017).

use std::hint::black_box;

use anyhow::ensure;
use portcullis_token_service::clock::Timestamp;
use portcullis_token_service::domain::resolve::{LeaseFacts, Resolution, resolve};
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{CallerProof, LeaseRequest};
use tokio::time::Instant;

use super::Extent;
use super::leases::one_member;
use crate::figures::Figures;

/// From here on a difference is taken for one.
const MOST_T: f64 = 4.5;

/// Decisions a sample, because the clock is coarse.
const PER_SAMPLE: usize = 8;

/// Slower samples, in percent, are the machine's doing.
const CROPPED: usize = 10;

/// Adds t for guesses that miss the first byte of a key's digest against those that miss the last.
///
/// # Errors
/// If there is no store, or if a guess is right.
pub async fn measure(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let (mut request, facts, right) = one_member().await?;
    let guesses = [0, 31].map(|place| {
        let mut bytes = *right.as_bytes();
        bytes[place] ^= 1;
        Digest::from_bytes(bytes)
    });
    for guess in guesses {
        ensure!(!is_granted(&mut request, &facts, guess), "a wrong key is granted a lease");
    }
    ensure!(is_granted(&mut request, &facts, right), "the right key is granted none");
    let mut samples: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..extent.rounds * usize::try_from(extent.per_round)? * 10 {
        let class = usize::from(fastrand::bool());
        let begun = Instant::now();
        for _ in 0..PER_SAMPLE {
            black_box(is_granted(&mut request, &facts, guesses[class]));
        }
        samples[class].push(begun.elapsed().as_secs_f64());
    }
    let samples_taken = samples.iter().map(Vec::len).sum::<usize>();
    let t = welch_t(&cropped(samples)).abs();
    figures.note("key_guess_timing_samples", samples_taken, "samples");
    figures.add("key_guess_timing_t", (t * 100.0).round() / 100.0, "t", format!("< {MOST_T}"), t < MOST_T);
    Ok(())
}

/// Every guess comes from the same place in memory.
fn is_granted(request: &mut LeaseRequest, facts: &LeaseFacts, guess: Digest) -> bool {
    if let CallerProof::ApiKey { digest, .. } = &mut request.proof {
        *digest = guess;
    }
    let resource = "https://gateway.example/server0/mcp";
    matches!(resolve(black_box(request), facts, resource, Timestamp(1)), Resolution::Granted(_))
}

/// Without what is slower than nearly all of both.
fn cropped(samples: [Vec<f64>; 2]) -> [Vec<f64>; 2] {
    let mut all = samples.concat();
    all.sort_unstable_by(f64::total_cmp);
    let most = all.get(all.len() * (100 - CROPPED) / 100).copied().unwrap_or(f64::MAX);
    samples.map(|samples| samples.into_iter().filter(|sample| *sample < most).collect())
}

fn welch_t([one, other]: &[Vec<f64>; 2]) -> f64 {
    let (mean_of_one, spread_of_one) = moments(one);
    let (mean_of_other, spread_of_other) = moments(other);
    (mean_of_one - mean_of_other) / (spread_of_one + spread_of_other).sqrt()
}

/// The mean, and the variance of the mean.
#[expect(clippy::cast_precision_loss, reason = "so many samples are counted exactly")]
fn moments(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let variance = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_seen_and_noise_is_none() {
        let around =
            |middle: f64| (0..1_000).map(|number| middle + f64::from(number % 7)).collect::<Vec<_>>();
        assert!(welch_t(&[around(10.0), around(10.0)]).abs() < MOST_T);
        assert!(welch_t(&[around(10.0), around(11.0)]).abs() > MOST_T);
        let [one, other] = cropped([around(10.0), vec![1_000.0; 10]]);
        assert!(!one.is_empty() && other.is_empty(), "outliers are left out");
    }
}
