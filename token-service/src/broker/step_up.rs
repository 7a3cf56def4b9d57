//! Scopes that an upstream demands after the member has consented (RFC 6750, `insufficient_scope`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::connection::{Connection, StepUp};

/// How often within the window a member is asked for more: an upstream could demand ever new scopes.
const LIMIT: u32 = 3;
const WINDOW: Duration = Duration::from_hours(1);

/// Adds what was demanded to what is to be asked for; `None` if the member has been asked often enough. What the next
/// consent asks for anyway does not count: a member may be slow to consent, and their agents call on.
pub(super) fn step_up(
    connection: &Connection,
    demanded: &BTreeSet<String>,
    now: Timestamp,
) -> Option<StepUp> {
    let before = &connection.step_up;
    let over = now >= before.window_start.plus(WINDOW);
    let (count, window_start) = if over { (0, now) } else { (before.count, before.window_start) };
    if !before.wanted.is_empty() && demanded.is_subset(&before.wanted) {
        return Some(before.clone());
    }
    if count >= LIMIT {
        return None;
    }
    Some(StepUp { wanted: &before.wanted | demanded, count: count.saturating_add(1), window_start })
}

/// The scopes of a challenge (RFC 6749, section 3.3): separated by spaces. What is none is left out.
pub(super) fn scopes(text: &str) -> BTreeSet<String> {
    let is_scope = |scope: &&str| {
        let allowed = |byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        !scope.is_empty() && scope.len() <= 256 && scope.bytes().all(allowed)
    };
    text.split(' ').filter(is_scope).take(64).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::test_values::connection;

    fn set(scopes: &[&str]) -> BTreeSet<String> {
        scopes.iter().map(|&scope| scope.to_owned()).collect()
    }

    #[test]
    fn scopes_add_up_until_the_limit() {
        let mut connection = connection();
        let now = Timestamp(1_000_000_000);
        for (count, demanded) in [(1, "write"), (1, "write"), (2, "admin"), (2, "write"), (3, "delete")] {
            let next = step_up(&connection, &set(&[demanded]), now).expect("allowed");
            assert_eq!((next.count, next.window_start), (count, now), "{demanded}");
            connection.step_up = next;
        }
        assert_eq!(connection.step_up.wanted, set(&["admin", "delete", "write"]));
        let later = |minutes| now.plus(Duration::from_mins(minutes));
        assert_eq!(step_up(&connection, &set(&["x"]), later(59)), None);
        assert_eq!(step_up(&connection, &set(&["admin"]), later(59)), Some(connection.step_up.clone()));
        let next = step_up(&connection, &set(&["x"]), later(60)).expect("another hour");
        assert_eq!((next.count, next.window_start), (1, later(60)));
        assert_eq!(next.wanted, set(&["admin", "delete", "write", "x"]));
    }

    #[test]
    fn a_demand_for_what_was_granted_counts() {
        let mut connection = connection();
        let now = Timestamp(1_000_000_000);
        // Each consent empties what is wanted, and the server is not content.
        for count in 1..=3 {
            let next = step_up(&connection, &set(&["read"]), now).expect("allowed");
            assert_eq!(next.count, count);
            connection.step_up = StepUp { wanted: set(&[]), ..next };
        }
        assert_eq!(step_up(&connection, &set(&["read"]), now), None);
        assert_eq!(step_up(&connection, &set(&[]), now), None);
    }

    #[test]
    fn only_scopes_are_taken_from_a_challenge() {
        assert_eq!(scopes("files:read  a\"b a\\b \u{e9} x"), set(&["files:read", "x"]));
        assert_eq!(scopes(""), set(&[]));
    }
}
