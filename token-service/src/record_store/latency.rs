//! Latencies in buckets, so that percentiles of many come from few numbers: exact below 16 ms, within an eighth above.

const EXACT: u64 = 16;
const PER_OCTAVE: u64 = 8;

/// The bucket of a latency in milliseconds.
pub fn bucket(milliseconds: u64) -> u16 {
    let number = if milliseconds < EXACT {
        milliseconds
    } else {
        let octave = u64::from(milliseconds.ilog2());
        EXACT + (octave - 4) * PER_OCTAVE + ((milliseconds >> (octave - 3)) & (PER_OCTAVE - 1))
    };
    // 16 and 60 octaves of 8.
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The least latency of a bucket, in milliseconds.
pub fn least(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    if bucket < EXACT {
        return bucket;
    }
    let (octave, part) = ((bucket - EXACT) / PER_OCTAVE + 4, (bucket - EXACT) % PER_OCTAVE);
    (PER_OCTAVE + part).checked_shl(u32::try_from(octave - 3).unwrap_or(u32::MAX)).unwrap_or(u64::MAX)
}

/// The latency, in milliseconds, that `percent` of them do not exceed by more than a bucket; `None` of nothing. `counts`
/// are in the order of their buckets.
pub fn percentile(counts: &[(u16, u64)], percent: u64) -> Option<u64> {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let wanted = (all * percent).div_ceil(100).max(1);
    let mut seen = 0;
    counts.iter().find_map(|(bucket, count)| {
        seen += count;
        (seen >= wanted).then(|| least(*bucket))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_are_narrow() {
        let mut last = 0;
        for milliseconds in (0..5_000).chain([100_000, 1_000_000, u64::MAX]) {
            let found = bucket(milliseconds);
            assert!(found >= last, "{milliseconds}");
            last = found;
            let start = least(found);
            assert!(start <= milliseconds && milliseconds - start <= milliseconds / 8, "{milliseconds}");
            assert_eq!(bucket(start), found);
        }
    }

    #[test]
    fn percentiles_of_few() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[(3, 1)], 99), Some(3));
        assert_eq!(percentile(&[(1, 50), (2, 49), (9, 1)], 50), Some(1));
        assert_eq!(percentile(&[(1, 50), (2, 49), (9, 1)], 99), Some(2));
        assert_eq!(percentile(&[(1, 50), (2, 49), (9, 1)], 100), Some(9));
    }
}
