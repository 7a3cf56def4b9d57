//! The token-services on one database.

use std::time::Duration;

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;

pub(in crate::store) async fn replicas_are_known_by_their_beats(database: &dyn Database) {
    let (one, two) = (database.open().await, database.open().await);
    one.beat("rep_1", None).await.expect("beats");
    two.beat("rep_2", Some("[2]")).await.expect("beats");
    let (now, found) = one.replicas().await.expect("reads");
    let told: Vec<_> = found.iter().map(|replica| (replica.id.as_str(), replica.watchers.as_str())).collect();
    assert_eq!(told, [("rep_1", "[]"), ("rep_2", "[2]")]);
    assert_eq!((found[0].published_at, found[0].asked_until), (Timestamp(0), Timestamp(0)));
    assert_eq!(found[1].published_at, found[1].seen_at);
    assert!(found.iter().all(|replica| replica.seen_at <= now && replica.seen_at.0 > 0));

    let asked_at = two.ask_for_watchers("rep_2", Duration::from_secs(6)).await.expect("asks");
    assert!(asked_at >= now);
    one.beat("rep_1", Some("[1]")).await.expect("beats");
    // A beat without them leaves what was told, and who asks.
    two.beat("rep_2", None).await.expect("beats");
    let (_, found) = two.replicas().await.expect("reads");
    assert_eq!(found[1].asked_until, asked_at.plus(Duration::from_secs(6)));
    assert_eq!((found[1].watchers.as_str(), found[0].watchers.as_str()), ("[2]", "[1]"));
    assert!(found[0].published_at >= asked_at);

    one.leave("rep_1", "[3]").await.expect("leaves");
    let (_, found) = two.replicas().await.expect("reads");
    assert_eq!((found[0].seen_at, found[0].watchers.as_str()), (Timestamp(0), "[3]"));
    two.beat("rep_2", None).await.expect("beats");
    assert_eq!(two.replicas().await.expect("reads").1.len(), 2, "it is remembered for a while");
    assert_eq!(revision(one.as_ref()).await.0, 0);
}
