//! Session ids of upstreams, as clients get them: bound to whom they were given.
//!
//! To an upstream whose credential many callers share, its session id is all that tells them apart. So that nobody can go
//! on in the session of somebody else whose id got about, a client gets it with a tag that only the filter can make, with
//! the [`session_key`](crate::lease::Lease::session_key) of the caller's lease.

use crate::digest::Digest;
use crate::secret::SecretText;

/// How a session id begins that is bound.
pub const BOUND_PREFIX: &str = "pcl-bound.";

/// The session id for the client.
pub fn bind(key: &SecretText, session: &str) -> String {
    format!("{BOUND_PREFIX}{}.{session}", tag(key, session))
}

/// The upstream's session id, if it was bound with this key.
pub fn unbind<'a>(key: &SecretText, bound: &'a str) -> Option<&'a str> {
    let (given, session) = bound.strip_prefix(BOUND_PREFIX)?.split_once('.')?;
    is_equal(&Digest::parse(given)?, &tag(key, session)).then_some(session)
}

/// Each part is preceded by its length, so this is a code that nobody without the key can make for another session.
fn tag(key: &SecretText, session: &str) -> Digest {
    Digest::of("portcullis-bound-session-v1", &[key.expose().as_bytes(), session.as_bytes()])
}

/// Takes as long for tags that differ early as for those that differ late.
fn is_equal(one: &Digest, other: &Digest) -> bool {
    one.as_bytes()
        .iter()
        .zip(other.as_bytes())
        .fold(0, |differences, (one, other)| differences | (one ^ other))
        == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SecretText {
        SecretText::new(text.to_owned())
    }

    #[test]
    fn a_session_goes_back_to_whom_it_was_given_only() {
        let bound = bind(&key("ada"), "a.b/c");
        assert_eq!(unbind(&key("ada"), &bound), Some("a.b/c"));
        assert_eq!(unbind(&key("grace"), &bound), None);
        assert!(!format!("{:?}", key("ada")).contains("ada"));
    }

    #[test]
    fn what_was_changed_or_never_bound_is_no_session() {
        let bound = bind(&key("ada"), "session");
        let (tag, _) = bound[BOUND_PREFIX.len()..].split_once('.').expect("a tag");
        let longer = format!("{BOUND_PREFIX}{tag}.session2");
        for text in ["", "session", "pcl-bound.", "pcl-bound.x.session", &*longer, &bound.to_uppercase()] {
            assert_eq!(unbind(&key("ada"), text), None, "{text}");
        }
    }
}
