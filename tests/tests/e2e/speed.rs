//! What `make bench` compares does what it is measured at. How long it takes is no question of a test.

use portcullis_tests::bench::{Extent, gateway};

#[tokio::test]
async fn every_contender_does_what_it_is_measured_at() {
    gateway::try_out(Extent::SHORT).await.unwrap_or_else(|error| panic!("{error:#}"));
}
