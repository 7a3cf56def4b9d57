//! Trace contexts (W3C Trace Context, section 3.2).

/// Longer ones are of a later version with further fields, which nobody here understands.
const LENGTH: usize = 55;

/// `text`, if it is a well-formed `traceparent`: of version 00, with ids that are not all zero.
pub fn traceparent(text: &str) -> Option<&str> {
    let lengths = text.split('-').map(str::len);
    let hexadecimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    let is_some = |id: &str| id.bytes().any(|byte| byte != b'0');
    let mut parts = text.split('-');
    let is_known =
        parts.next() == Some("00") && parts.next().is_some_and(is_some) && parts.next().is_some_and(is_some);
    (text.len() == LENGTH && lengths.eq([2, 32, 16, 2]) && hexadecimal && is_known).then_some(text)
}

/// The id of the trace, of what [`traceparent`] has found good.
pub fn trace_id(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_ones() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(traceparent(good), Some(good));
        assert_eq!(trace_id(good), Some("0af7651916cd43dd8448eb211c80319c"));
        for bad in [
            "",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0a-b7-01",
            &format!("{good}-x"),
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\r\n",
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }
}
