//! The alerts' own tests.

use std::process::Command;

use portcullis_tests::artifacts::repository;
use portcullis_tests::fetched;
use serde_json::{Value, json};

use super::expressions::of_dashboard;

/// With rules made of them.
#[test]
fn the_dashboards_expressions_are_good() {
    let Some(promtool) = fetched::promtool() else { return };
    let expressions = of_dashboard(&repository().join("envoy/observability/grafana/portcullis.json"));
    let rules: Vec<Value> =
        expressions.iter().map(|expression| json!({"record": "panel", "expr": expression})).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dashboard.yaml");
    // JSON is YAML.
    std::fs::write(&path, json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string())
        .expect("writes");
    let ran =
        Command::new(promtool).args(["check", "rules", "--lint=none"]).arg(path).output().expect("runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn rules_are_good_and_alerts_fire_when_they_should() {
    let Some(promtool) = fetched::promtool() else { return };
    for arguments in
        [["check", "rules", "rules.yaml", "alerts.yaml"].as_slice(), &["test", "rules", "alerts_test.yaml"]]
    {
        let directory = repository().join("envoy/observability/prometheus");
        let ran = Command::new(&promtool).args(arguments).current_dir(directory).output().expect("runs");
        let said = [ran.stdout, ran.stderr].concat();
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
}
