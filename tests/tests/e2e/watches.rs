//! As many watches as a small fleet holds, on one token-service.

use std::time::Duration;

use portcullis_tests::watches::{Change, Extent, Fleet};
use portcullis_wire::watch::Invalidation;

const WATCHES: usize = 300;
const CHANGES: usize = 2;

#[tokio::test]
async fn every_watch_hears_every_change_once_and_in_order() {
    let extent = Extent { watches: WATCHES, hold: Duration::from_secs(1), servers: 3, changes: CHANGES };
    let mut fleet = Fleet::prepare(extent).await.expect("a token-service");
    fleet.connect(WATCHES).await.expect("all watches are answered");
    for number in 0..CHANGES {
        for change in Change::ALL {
            let measured = fleet.change(change, number).await.expect("every watch hears of it");
            assert_eq!(measured.took.len(), WATCHES);
        }
        // Answered only once every one of them has acknowledged it.
        let waited = fleet.change_and_wait().await.expect("every watch is waited for");
        assert!(waited.is_some(), "all of them have applied it");
    }
    let expected = CHANGES * (Change::ALL.len() + 1);
    let told: Vec<_> = fleet.heard().collect();
    for (watch, told_to_it) in told.iter().enumerate() {
        assert_eq!(told_to_it.len(), expected, "watch {watch}: {told_to_it:?}");
        assert!(
            told_to_it.is_sorted_by(|one, next| one.cursor < next.cursor),
            "watch {watch}: {told_to_it:?}"
        );
        assert_eq!(told_to_it, &told[0], "watch {watch} was told as the first was");
    }
    let told = told[0].iter();
    let (mut keys, mut servers) = (Vec::new(), Vec::new());
    for told in told {
        servers.extend(told.servers);
        keys.extend(told.invalidations.iter().filter(|one| matches!(one, Invalidation::Key(_))));
    }
    assert_eq!(servers, [4, 5], "a server more with each change of the registry");
    keys.sort_unstable_by_key(|key| format!("{key:?}"));
    keys.dedup();
    assert_eq!(keys.len(), 2 * CHANGES, "each key was revoked once");
}
