//! As much of HTTP/1.1 as it takes to know where a message ends. What sends and what answers must not be what is measured.

use anyhow::Context as _;

/// Where a message's head ends, and how its body does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// In bytes, with the empty line.
    pub length: usize,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Sized(usize),
    Chunked,
}

impl Head {
    /// The head at the beginning of `received`; `None` while it is not complete.
    pub fn find(received: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(received.get(..end).unwrap_or_default()).context("a head of ASCII")?;
        let mut body = Body::Sized(0);
        for line in head.split("\r\n").skip(1) {
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            if name.eq_ignore_ascii_case("content-length") {
                body = Body::Sized(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                body = Body::Chunked;
            }
        }
        Ok(Some(Self { length: end + 4, body }))
    }

    /// The request line or the status line.
    pub fn first_line<'a>(&self, received: &'a [u8]) -> &'a str {
        let head = received.get(..self.length).unwrap_or_default();
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        std::str::from_utf8(line).unwrap_or_default()
    }

    /// The first value of a header.
    pub fn value<'a>(&self, received: &'a [u8], name: &str) -> Option<&'a str> {
        let head = std::str::from_utf8(received.get(..self.length)?).ok()?;
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Whether all of the message has come. Nobody here sends a second one before the first is answered, and no body of ours has
/// in it what ends one.
pub fn is_complete(head: &Head, received: &[u8]) -> bool {
    match head.body {
        Body::Sized(size) => received.len() >= head.length + size,
        Body::Chunked => received.ends_with(b"\r\n0\r\n\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_it_says() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for cut in 0..sized.len() {
            let part = &sized[..cut];
            let complete = Head::find(part).expect("a head").is_some_and(|head| is_complete(&head, part));
            assert!(!complete, "{cut}");
        }
        let head = Head::find(sized).expect("a head").expect("is there");
        assert!(is_complete(&head, sized));
        assert_eq!(head.first_line(sized), "HTTP/1.1 200 OK");
        assert_eq!(head.value(sized, "content-length"), Some("2"));

        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        let head = Head::find(chunked).expect("a head").expect("is there");
        assert!(is_complete(&head, chunked) && !is_complete(&head, &chunked[..chunked.len() - 1]));
    }
}
