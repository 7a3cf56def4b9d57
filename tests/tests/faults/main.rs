//! Faults of everything around a request, each in three conditions; see `src/faults`. Each story is a test of its own.

use portcullis_tests::faults::{catalogue, stories};

#[test]
fn every_fault_is_there_once_and_every_proof_exists() {
    catalogue::check().expect("a whole catalogue");
}

/// Runs a story and shows all that is not as it has to be.
async fn tell(name: &str) {
    let report = stories::named(name).run().await.unwrap_or_else(|error| panic!("{error:#}"));
    let Some(report) = report else { return };
    let faults = report.faults();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(report.arrivals > 0, "nothing was ever served");
}

macro_rules! told {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                tell(stringify!($name)).await;
            }
        )*

        #[test]
        fn every_story_is_a_test() {
            let told = [$(stringify!($name)),*];
            let all: Vec<&str> = stories::STORIES.iter().map(|story| story.name).collect();
            assert_eq!(told[..], all[..]);
        }
    };
}

told![
    unreachable,
    lying,
    restarted,
    gone,
    failed_over,
    paused_replica,
    power_cut,
    tampered_rows,
    wrong_root_key,
    full,
    troubled,
    badly_configured,
    trapped,
    updated,
    jumping,
];
