//! Dashboards, rules and the list of metrics name what the running system shows, and nothing else.

use std::collections::BTreeSet;

use portcullis_tests::artifacts::repository;
use portcullis_tests::mcp::Era;
use portcullis_tests::scrape::{Scrape, envoy_shows};
use serde_json::json;

use super::expressions::{Used, of_dashboard, of_rules, used};
use crate::canaries::life::Life;
use crate::canaries::world::{FIXED, World};

/// Everything that happens to a gateway, so that every metric has come up.
async fn live() -> [Scrape; 2] {
    let (mut world, mut kept) = World::start().await;
    Life::new(&world, &mut kept).live().await;
    let stack = &world.stack;
    let applied = json!({"slug": "applied", "name": "Applied"});
    stack.admin().post("/v1/workspaces?wait=applied", applied).await.expect("every filter hears of it");
    let service = Scrape::of_service(stack).await;
    world.stack.service.kill().expect("ends");
    let stack = &world.stack;
    envoy_shows(stack, "silence", |scrape| scrape.sum("portcullis_watch_age_milliseconds", &[]) >= 3_000.0)
        .await;
    stack.agent(FIXED, Era::Modern).call("tools/list", json!({})).await;
    let stale = |scrape: &Scrape| scrape.sum("portcullis_stale_served_total", &[]) > 0.0;
    [envoy_shows(stack, "a request without word", stale).await, service]
}

#[tokio::test]
async fn what_is_asked_for_is_there_and_what_is_there_is_written_down() {
    let shown = live().await;
    let directory = repository().join("envoy/observability");
    let (recording, recorded) = of_rules(&directory.join("prometheus/rules.yaml"));
    let (alerts, _) = of_rules(&directory.join("prometheus/alerts.yaml"));
    let dashboard = of_dashboard(&directory.join("grafana/portcullis.json"));
    assert!(recording.len() > 3 && alerts.len() > 10 && dashboard.len() > 20);
    for text in recording.iter().chain(&alerts).chain(&dashboard) {
        for (name, labels) in used(text) {
            let found = match recorded.get(&name) {
                // A recorded series has the labels that it is grouped by.
                Some(expression) => used(expression).into_values().flatten().collect(),
                None => labels_of(&shown, &name),
            };
            assert!(recorded.contains_key(&name) || is_shown(&shown, &name), "nothing shows {name}: {text}");
            assert!(labels.is_subset(&found), "{name} has {found:?} and not {labels:?}: {text}");
        }
    }

    let readme = std::fs::read_to_string(directory.join("README.md")).expect("the list of metrics");
    for name in shown.iter().flat_map(|scrape| &scrape.0).map(|sample| sample.name.as_str()) {
        if let Some(own) = name.strip_prefix("portcullis_") {
            let own = own.strip_prefix("token_service_").unwrap_or(name);
            let own =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| own.strip_suffix(end)).unwrap_or(own);
            assert!(readme.contains(&format!("`{own}`")), "README.md says nothing of {own}");
        }
    }
}

fn is_shown(shown: &[Scrape], name: &str) -> bool {
    shown.iter().any(|scrape| scrape.0.iter().any(|sample| sample.name == name))
}

fn labels_of(shown: &[Scrape], name: &str) -> BTreeSet<String> {
    let samples = shown.iter().flat_map(|scrape| &scrape.0).filter(|sample| sample.name == name);
    samples.flat_map(|sample| sample.labels.keys().cloned()).collect()
}

/// What would go unnoticed is noticed.
#[test]
fn a_name_that_nothing_shows_is_found_out() {
    let shown = [Scrape::read("one{a=\"1\"} 2\n").expect("reads")];
    let asked: Used = used("sum by (b) (one) + two");
    assert!(is_shown(&shown, "one") && !is_shown(&shown, "two"));
    assert!(!asked["one"].is_subset(&labels_of(&shown, "one")));
}
