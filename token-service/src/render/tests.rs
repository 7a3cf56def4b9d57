use std::path::Path;

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::Value;

use super::plain_envoy::{self, Part};
use super::shipped::Shipped;
use super::upstreams::{Target, Upstream, upstreams};
use super::yaml;
use crate::config::{Config, Endpoint};

fn endpoints(servers: &str) -> Vec<Endpoint> {
    Config::parse_endpoints(Path::new("portcullis.yaml"), &format!("servers: [{servers}]"))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

const SERVERS: &str = "
    {slug: linear, auth: {type: oauth, preset: linear}},
    {slug: notes, url: 'https://API.example/notes', auth: {type: headers, headers: {a: {file: not-there}}}},
    {slug: docs, url: 'https://api.example:443/docs', auth: {type: none}},
    {slug: old, url: 'http://api.example:8080/mcp', allow_http: true, auth: {type: none}},
";

#[test]
fn servers_on_one_host_and_port_are_one_upstream() {
    let found = upstreams(&endpoints(SERVERS), Target::Kubernetes).expect("fit");
    let titles: Vec<String> = found.iter().map(Upstream::title).collect();
    assert_eq!(
        titles,
        ["api.example:443, of docs, notes", "api.example:8080, of old", "mcp.linear.app:443, of linear"]
    );
    let authorities: Vec<&str> = found.iter().map(|upstream| upstream.authority.as_str()).collect();
    assert_eq!(authorities, ["api.example", "api.example:8080", "mcp.linear.app"]);
    assert_eq!(found[1].kind(), "plain");
}

#[test]
fn every_server_that_does_not_fit_is_named() {
    let servers = endpoints(
        "{slug: a, url: 'https://10.0.0.1/mcp'}, {slug: b, url: 'https://[::1]/mcp'},
         {slug: c, url: 'https://my_host.example/'}, {slug: d, url: 'https://a.example./mcp'},
         {slug: e, url: 'https://localhost:1/mcp'}, {slug: f, url: 'https://x.example/mcp'},
         {slug: g, url: 'http://x.example:443/mcp', allow_http: true}",
    );
    let unfit = upstreams(&servers, Target::Kubernetes).expect_err("none of them but f");
    let named: Vec<String> = unfit.iter().map(|one| one.server.to_string()).collect();
    assert_eq!(named, ["a", "b", "c", "d", "e", "g"]);
    assert!(unfit.iter().all(|one| !one.remedy.is_empty()));
    let unfit = upstreams(&servers, Target::Envoy).expect_err("the same");
    assert!(
        unfit.iter().all(|one| one.server.as_str() != "e"),
        "a plain Envoy may have a neighbour: {unfit:?}"
    );
}

#[test]
fn problems_of_the_file_are_reported_and_secrets_are_not_asked_for() {
    let text = "servers: [{slug: A}, {slug: b, auth: {type: oauth, preset: linea}}, {slug: b, url: 'ftp://x'}]\nx: 1";
    let problems = Config::parse_endpoints(Path::new("portcullis.yaml"), text).expect_err("wrong");
    let shown = problems.to_string();
    for part in [
        "a slug has",
        "`url` is missing",
        "did you mean linear?",
        "there are two servers",
        "must be https",
        "unknown key",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

fn envoy(part: Part) -> Value {
    let upstreams = upstreams(&endpoints(SERVERS), Target::Envoy).expect("fit");
    plain_envoy::render(part, &Shipped::load().expect("shipped"), &upstreams).expect("renders").value
}

#[test]
fn clusters_are_those_that_are_shipped_but_for_where_they_lead() {
    let clusters = envoy(Part::Clusters);
    insta::assert_snapshot!(
        yaml::text(
            "…",
            &[yaml::Document {
                title: None,
                value: serde_json::json!([clusters["resources"][0], clusters["resources"][1]])
            }]
        )
        .expect("YAML")
    );
}

#[test]
fn a_route_to_each_upstream_and_none_to_others() {
    for (part, name) in [(Part::Routes, "mcp"), (Part::ReplayRoutes, "replay")] {
        let rendered = envoy(part);
        let routes = &rendered["resources"][0];
        assert_eq!(routes["name"], name);
        let hosts = routes["virtual_hosts"].as_array().expect("virtual hosts");
        let ways: Vec<(&str, &str, &str)> = hosts[..3]
            .iter()
            .map(|host| {
                let route = &host["routes"][0];
                assert_eq!(host["routes"].as_array().map(Vec::len), Some(1));
                assert_eq!(route["route"]["timeout"], "0s");
                assert!(route["request_headers_to_remove"].to_string().contains("x-portcullis-upstream"));
                (
                    host["domains"][0].as_str().expect("a domain"),
                    route["match"]["headers"][0]["string_match"]["exact"].as_str().expect("a header"),
                    route["route"]["cluster"].as_str().expect("a cluster"),
                )
            })
            .collect();
        assert_eq!(
            ways,
            [
                ("api.example", "tls", "upstream_api.example_443"),
                ("api.example:8080", "plain", "upstream_api.example_8080"),
                ("mcp.linear.app", "tls", "upstream_mcp.linear.app_443"),
            ]
        );
        // The rest is the gateway's own, without a way to whatever there may be.
        let text = hosts[3].to_string();
        assert!(hosts[3]["domains"][0] == "*" && hosts.len() == 4);
        assert!(!text.contains(r#""cluster":"upstream"#) && text.contains(r#""status":503"#), "{text}");
        assert_eq!(text.contains("pages_connect"), part == Part::Routes);
    }
}

#[test]
fn a_configuration_that_lacks_something_is_told_what() {
    for (text, lacks) in [
        ("static_resources: {}", "cluster upstream_tls"),
        ("static_resources: {clusters: [{name: upstream_tls}]}", "dns_lookup_family of upstream_tls"),
    ] {
        let upstreams = upstreams(&endpoints(SERVERS), Target::Envoy).expect("fit");
        let shipped = Shipped::parse(text).expect("YAML");
        let error = plain_envoy::render(Part::Clusters, &shipped, &upstreams).expect_err("lacks").to_string();
        assert!(error.contains(lacks), "{error}");
        let error = plain_envoy::render(Part::Routes, &shipped, &upstreams).expect_err("lacks").to_string();
        assert!(error.contains("listener ingress"), "{error}");
    }
    assert!(Shipped::parse("[").is_err());
}

#[test]
fn a_comment_holds_one_line() {
    let command = yaml::command("istio", [("--config", "a b\nkind: Secret".to_owned())]);
    assert_eq!(command, "portcullis render istio --config 'a bkind: Secret'");
}

proptest! {
    #[test]
    fn the_order_of_servers_does_not_matter(
        chosen in subsequence(vec![0_usize, 1, 2, 3], 0..=4).prop_shuffle()
    ) {
        let all = endpoints(SERVERS);
        let shuffled: Vec<Endpoint> = chosen.iter().map(|index| all[*index].clone()).collect();
        let sorted: Vec<Endpoint> =
            all.iter().enumerate().filter(|(index, _)| chosen.contains(index)).map(|(_, one)| one.clone()).collect();
        prop_assert_eq!(upstreams(&shuffled, Target::Envoy), upstreams(&sorted, Target::Envoy));
    }
}
