//! The proxy-wasm spelling of a header map: a count, the lengths of every name and value, then all of them, each
//! followed by a zero byte. Numbers are 32 bits, little endian.

use portcullis_filter_core::step::Headers;

/// Bytes of one length field.
const LENGTH: usize = 4;

/// Spells a header map; `None` if something in it does not fit 32 bits.
pub(crate) fn encode<Name: AsRef<[u8]>, Value: AsRef<[u8]>>(pairs: &[(Name, Value)]) -> Option<Vec<u8>> {
    let texts = pairs.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]);
    let size =
        texts.clone().try_fold(LENGTH, |sum, text| sum.checked_add(text.len())?.checked_add(LENGTH + 1))?;
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(&u32::try_from(pairs.len()).ok()?.to_le_bytes());
    for text in texts.clone() {
        bytes.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
    }
    for text in texts {
        bytes.extend_from_slice(text);
        bytes.push(0);
    }
    Some(bytes)
}

/// Reads a header map that the host made; `None` if it contradicts itself. No bytes at all are an empty map.
pub(crate) fn decode(bytes: &[u8]) -> Option<Headers> {
    if bytes.is_empty() {
        return Some(Headers::new());
    }
    let (count, rest) = number(bytes)?;
    // Splitting first proves that the count is honest before anything of its size is allocated.
    let (mut lengths, mut texts) = rest.split_at_checked(count.checked_mul(2 * LENGTH)?)?;
    let mut headers = Headers::with_capacity(count);
    while !lengths.is_empty() {
        let (name_length, after) = number(lengths)?;
        let (value_length, after) = number(after)?;
        lengths = after;
        let (name, after) = text(texts, name_length)?;
        let (value, after) = text(after, value_length)?;
        texts = after;
        headers.push((name.to_vec(), value.to_vec()));
    }
    texts.is_empty().then_some(headers)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<LENGTH>()?;
    Some((usize::try_from(u32::from_le_bytes(*digits)).ok()?, rest))
}

fn text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    let rest = rest.strip_prefix(&[0])?;
    Some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_spelling_is_the_abi_s() {
        let bytes = encode(&[("a", "xy"), ("", "")]).expect("fits");
        assert_eq!(bytes, b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0a\0xy\0\0\0");
    }

    #[test]
    fn maps_that_contradict_themselves_are_refused() {
        for bad in [
            &b"\x01"[..],
            b"\xff\xff\xff\xff",
            b"\x01\0\0\0\x01\0\0\0\xff\xff\xff\xffa\0",
            b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b",
            b"\x01\0\0\0\x01\0\0\0\x01\0\0\0axb\0",
            b"\0\0\0\0tail",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
        assert_eq!(decode(b""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_map_reads_back(
            map in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..8)
        ) {
            prop_assert_eq!(decode(&encode(&map).expect("fits")), Some(map));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }
    }
}
