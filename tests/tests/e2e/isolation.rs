//! Two members at one server, one member at two servers, one person in two workspaces: nothing ever mixes.

use portcullis_tests::postgres::Database;
use portcullis_tests::soak::{Settings, Soak, crowd, seed};

const CALLS: u64 = 10_000;
const TASKS: u64 = 24;

/// How often each change and each answer has to have happened at least. About a quarter of what is to be expected.
const LEAST: [(&str, u64); 18] = [
    ("expire one account", 12),
    ("expire a provider", 1),
    ("withdraw", 8),
    ("disconnect", 10),
    ("switch account", 6),
    ("revoke key", 6),
    ("remove member", 2),
    ("withhold server", 5),
    ("rotate header", 5),
    ("stolen session tried", 30),
    ("session of an earlier account", 5),
    ("served", 6_000),
    ("asked to connect", 200),
    ("connected meanwhile", 5),
    ("unauthorized", 100),
    ("no server", 60),
    ("other workspace", 100),
    ("session over", 40),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_amid_changes_never_mix() {
    let settings = Settings { seed: seed(), calls: CALLS, tasks: TASKS, restart_every: None };
    println!("PORTCULLIS_SEED={}", settings.seed);
    let soak = Soak::start(None).await.unwrap_or_else(|error| panic!("no world: {error:#}"));
    let counts = soak.run(settings).await;
    println!("{counts}");
    assert!(counts.violations.is_empty(), "{}", counts.violations.join("\n\n"));
    assert!(counts.slow <= CALLS / 200, "{} calls were told to come back for no reason", counts.slow);
    for (name, least) in LEAST {
        assert!(counts.of(name) >= least, "{name} happened {} times only", counts.of(name));
    }
    assert_eq!(counts.served.len(), soak.places(), "everybody was served everywhere");
    let counted = soak.count_records().await.expect("counts");
    assert_eq!(counted.records, counted.requests, "each request has one record");
}

/// The same over three token-services, each of which is stopped and started again meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_three_replicas_never_mix() {
    const CALLS: u64 = 4_000;
    let Some(database) = Database::make().await else { return };
    let settings = Settings { seed: seed(), calls: CALLS, tasks: TASKS, restart_every: Some(CALLS / 4) };
    println!("PORTCULLIS_SEED={}", settings.seed);
    let soak = Soak::start(Some(database)).await.unwrap_or_else(|error| panic!("no world: {error:#}"));
    let counts = soak.run(settings).await;
    println!("{counts}");
    assert!(counts.violations.is_empty(), "{}", counts.violations.join("\n\n"));
    assert!(counts.of("restart") >= 3, "each was restarted");
    assert!(counts.of("served") >= 2_000, "{} were served", counts.of("served"));
    let counted = soak.count_records().await.expect("counts");
    assert_eq!(counted.records, counted.requests, "each request has one record");
}

/// Each with a token of its own, and none of them twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_comes_and_goes() {
    let settings = crowd::Settings { callers: 400, calls_each: 3, present: 6 };
    let seen = crowd::run(settings, |_| ()).await.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(seen.failed.is_empty(), "{}", seen.failed.join("\n"));
    assert!(seen.unavailable <= 12, "{} of {} were told to come back", seen.unavailable, seen.calls);
    assert!((1_150..=1_200).contains(&seen.calls), "{}", seen.calls);
}
