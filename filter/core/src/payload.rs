//! What the access log may hold of a request's parameters and of its response.
//!
//! The policy is the server's: nothing, a digest, the payload with secrets and chosen places masked, or all of it. The
//! work depends on how much is shown, not on how big the payload is, and nothing here fails: what cannot be read is not
//! shown.

mod paths;
mod printable;
mod quoted;
mod redact;
mod secrets;
mod view;

use std::fmt;

use portcullis_wire::digest::Digest;
use portcullis_wire::watch::PayloadPolicy;
use sha2::{Digest as _, Sha256};

use redact::redact;

pub use printable::printable;
pub use view::{View, Views};

/// How much of a payload that comes in chunks is kept for reading it.
pub const KEPT: usize = 256 * 1024;

/// What the log holds of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    pub text: String,
    /// Of the payload, in bytes.
    pub size: usize,
    /// There is more of it than the text shows, for want of room.
    pub is_cut: bool,
}

/// What the log may hold of `payload`; `None` for nothing.
pub fn excerpt(view: &View, payload: &[u8]) -> Option<Excerpt> {
    if payload.is_empty() {
        return None;
    }
    let size = payload.len();
    let whole = |text| Excerpt { text, size, is_cut: false };
    let digest = || whole(spell_digest(Sha256::new_with_prefix(payload), size));
    match view.policy {
        PayloadPolicy::Off => None,
        PayloadPolicy::Digest => Some(digest()),
        PayloadPolicy::Redacted | PayloadPolicy::Full => {
            let shown = show(view, payload, size);
            Some(shown.unwrap_or_else(|| if size <= KEPT { digest() } else { whole(unread(size)) }))
        }
    }
}

/// Masks what stands behind `/connect/` in a record of the token-service's words: such a link is a secret for as long as
/// it lives.
pub fn without_tickets(excerpt: &str) -> String {
    let is_of_ticket = |character: char| character.is_ascii_alphanumeric() || "-._~%".contains(character);
    let mut parts = excerpt.split(CONNECT_PATH);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(is_of_ticket);
        masked.push_str(CONNECT_PATH);
        masked.push_str(if rest.len() == part.len() { "" } else { "[ticket]" });
        masked.push_str(rest);
    }
    masked
}

/// What precedes the ticket in a link.
const CONNECT_PATH: &str = "/connect/";

/// The same for a payload that comes in chunks.
pub struct Capture {
    view: View,
    prefix: Vec<u8>,
    total: usize,
    /// Of everything, where the policy is to log a digest.
    hasher: Option<Sha256>,
}

impl Capture {
    pub fn new(view: View) -> Self {
        let hasher = (view.policy == PayloadPolicy::Digest).then(Sha256::new);
        Self { view, prefix: Vec::new(), total: 0, hasher }
    }

    /// Takes the next chunk and keeps what it may: `room` bytes in all, at most.
    pub fn push(&mut self, chunk: &[u8], room: usize) {
        self.total = self.total.saturating_add(chunk.len());
        if let Some(hasher) = &mut self.hasher {
            hasher.update(chunk);
        }
        let room = KEPT.min(room).saturating_sub(self.prefix.len()).min(chunk.len());
        self.prefix.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }

    /// The bytes of everything that came.
    pub fn len(&self) -> usize {
        self.total
    }

    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The first bytes of it.
    pub fn kept(&self) -> &[u8] {
        &self.prefix
    }

    /// The payload, if it was short enough to keep.
    pub fn whole(&self) -> Option<&[u8]> {
        (self.prefix.len() == self.total).then_some(self.prefix.as_slice())
    }

    /// As [`excerpt`] of all that came, but a payload that is neither readable nor kept whole is logged as its size.
    pub fn excerpt(&self) -> Option<Excerpt> {
        let size = self.total;
        let whole = |text| Excerpt { text, size, is_cut: false };
        match (&self.hasher, self.whole()) {
            (Some(hasher), _) if size > 0 => Some(whole(spell_digest(hasher.clone(), size))),
            (_, Some(payload)) => excerpt(&self.view, payload),
            _ if self.view.policy == PayloadPolicy::Off => None,
            _ => Some(show(&self.view, &self.prefix, size).unwrap_or_else(|| whole(unread(size)))),
        }
    }
}

/// The text of a payload of `size` bytes that starts with `prefix`, or `None` if it cannot be shown.
fn show(view: &View, prefix: &[u8], size: usize) -> Option<Excerpt> {
    let limit = view.limit;
    let (text, complete) = if view.policy == PayloadPolicy::Full {
        // One character may be cut in two at the end of what is decoded, which is beyond what is shown.
        let decoded = prefix.get(..limit.saturating_add(4)).unwrap_or(prefix);
        (String::from_utf8_lossy(decoded).into_owned(), decoded.len() == size)
    } else {
        let redacted = redact(prefix, prefix.len() == size, limit, &view.hidden)?;
        (redacted.text, redacted.complete)
    };
    let text = printable(text.into()).into_owned();
    let is_cut = !complete || text.len() > limit;
    let text = if is_cut { truncate(text, size, limit) } else { text };
    Some(Excerpt { text, size, is_cut })
}

/// Cuts between characters and says how long the payload was.
fn truncate(mut text: String, size: usize, limit: usize) -> String {
    let mark = format!("…[truncated, {size} bytes]");
    let room = limit.saturating_sub(mark.len());
    text.truncate(text.floor_char_boundary(room));
    text.push_str(&mark);
    text
}

fn spell_digest(hasher: Sha256, size: usize) -> String {
    format!("sha256:{} {size}", Digest::from_bytes(hasher.finalize().into()))
}

fn unread(size: usize) -> String {
    format!("[unreadable, {size} bytes]")
}

/// Prints sizes only.
impl fmt::Debug for Capture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Capture")
            .field("policy", &self.view.policy)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::without_tickets;

    #[test]
    fn links_lose_their_tickets_and_nothing_else() {
        for (excerpt, masked) in [
            ("", ""),
            ("no link", "no link"),
            (r#"{"url":"https://gw/connect/aB-9._~%2F"}"#, r#"{"url":"https://gw/connect/[ticket]"}"#),
            ("/connect/a /connect/b", "/connect/[ticket] /connect/[ticket]"),
            ("/connect/a/connect/b", "/connect/[ticket]/connect/[ticket]"),
            ("at /connect/ and /connections/c1", "at /connect/ and /connections/c1"),
            ("cut: /connect/abc…[truncated, 9 bytes]", "cut: /connect/[ticket]…[truncated, 9 bytes]"),
        ] {
            assert_eq!(without_tickets(excerpt), masked);
        }
    }
}
