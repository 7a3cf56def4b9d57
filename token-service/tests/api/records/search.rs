//! Searching, downloading, following, summing up.

use serde_json::{Value, json};

use super::stand::{Stand, call};

#[tokio::test]
async fn each_filter_finds_what_it_says() {
    let stand = Stand::start("").await;
    let wanted = [
        ("portcullis.request_id", "r-1"),
        ("portcullis.trace_id", "0af7651916cd43dd8448eb211c80319c"),
        ("portcullis.server", "notion"),
        ("portcullis.workspace", "core"),
        ("user.id", "mem_1"),
        ("portcullis.key", "AAAA"),
        ("mcp.method.name", "prompts/get"),
        ("portcullis.decision", "deny"),
        ("portcullis.rule", "workspace/tools.deny:*"),
        ("portcullis.decision_id", "dec_1"),
        ("http.response.status_code", "403"),
        ("rpc.response.status_code", "-32602"),
    ];
    stand
        .send(vec![call(1_000, "other", &[]), call(2_000, "wanted", &wanted), call(3_000, "other", &[])])
        .await;
    for filter in [
        "request_id=r-1",
        "trace_id=0af7651916cd43dd8448eb211c80319c",
        "server=notion",
        "workspace=core",
        "caller=mem_1",
        "key=AAAA",
        "method=prompts/get",
        "name=wanted",
        "decision=deny",
        "outcome=denied",
        "rule=workspace/tools.deny:*",
        "decision_id=dec_1",
        "status=403",
        "status=4xx",
        "error_code=-32602",
        "from=2026-11-23T10:00:02Z&until=2026-11-23T10:00:03Z",
        "server=notion&status=4xx&outcome=denied&from=2026-11-23T10:00:00Z",
    ] {
        assert_eq!(stand.names(&format!("/v1/records?{filter}")).await, ["wanted"], "{filter}");
        let lines = stand.service.get(&format!("/v1/records/download?{filter}")).await.text;
        assert_eq!(lines.lines().count(), 1, "{filter}: {lines}");
    }
    assert!(stand.names("/v1/records?server=notion&outcome=ok").await.is_empty());
}

#[tokio::test]
async fn pages_follow_each_other_while_more_come() {
    let stand = Stand::start("").await;
    stand.send((0..25).map(|number| call(number, &format!("t{number}"), &[])).collect()).await;
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = stand.service.get(&format!("/v1/records?limit=10{after}")).await.body;
        let records = page["records"].as_array().expect("records");
        found.extend(records.iter().map(|record| record["name"].as_str().expect("a name").to_owned()));
        // Newer ones move nothing.
        stand.send(vec![call(100 + found.len() as u64, "new", &[])]).await;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..25).rev().map(|number| format!("t{number}")).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_download_is_safe_to_open() {
    let stand = Stand::start("").await;
    let names = ["=cmd|' /C calc'!A0", "plain", "a\"b,c\r\nd"];
    let records = (0..).zip(names).map(|(number, name)| call(number, name, &[])).collect();
    stand.send(records).await;
    let csv = stand.service.get("/v1/records/download?format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(csv.header("content-disposition").is_some_and(|text| text.starts_with("attachment")));
    assert!(csv.text.starts_with("id,at,outcome,request_id,"), "{}", csv.text);
    assert!(csv.text.contains(",\"'=cmd|' /C calc'!A0\","), "{}", csv.text);
    assert!(csv.text.contains(",\"a\"\"b,c\r\nd\","), "{}", csv.text);
    let lines = stand.service.get("/v1/records/download?format=ndjson&limit=2").await.text;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().map(|line| &line["name"]).collect::<Vec<_>>(), [names[2], names[1]]);
    let last = lines[1]["id"].as_str().expect("an id");
    let rest = stand.service.get(&format!("/v1/records/download?after={last}")).await.text;
    assert_eq!(rest.lines().count(), 1);
}

#[tokio::test]
async fn a_follower_gets_everything_once() {
    let stand = Stand::start("").await;
    stand.send(vec![call(1, "before", &[])]).await;
    let first = stand.service.get("/v1/records/tail?wait=0").await.body;
    assert_eq!(first["records"], json!([]), "from now on");
    let mut next = first["next"].as_str().expect("a cursor").to_owned();
    let mut seen = Vec::new();
    for number in 0..5 {
        let target = format!("/v1/records/tail?after={next}&wait=20&server=linear");
        let late = call(10 - number, &format!("t{number}"), &[]);
        let (news, ()) = tokio::join!(stand.service.get(&target), async {
            stand.send(vec![call(20, &format!("other {number}"), &[("portcullis.server", "notion")])]).await;
            stand.send(vec![late]).await;
        });
        next = news.body["next"].as_str().expect("a cursor").to_owned();
        for record in news.body["records"].as_array().expect("records") {
            seen.push(record["name"].as_str().expect("a name").to_owned());
        }
    }
    assert_eq!(seen, ["t0", "t1", "t2", "t3", "t4"]);
}

#[tokio::test]
async fn figures_of_a_day() {
    let stand = Stand::start("").await;
    stand.service.clock.advance(7_200_000);
    let mut records: Vec<_> = (0..98).map(|number| call(number, "often", &[("user.id", "mem_1")])).collect();
    records.push(call(
        4_000_000,
        "rarely",
        &[("portcullis.decision", "deny"), ("portcullis.latency_ms", "1600")],
    ));
    records.push(call(4_000_001, "rarely", &[("http.response.status_code", "502")]));
    stand.send(records).await;
    let summary = stand.service.get("/v1/records/summary?interval=3600").await.body;
    let total = json!({"requests": 100, "ok": 98, "denied": 1, "connect_required": 0, "errors": 1,
        "latency_ms": {"p50": 7, "p95": 7, "p99": 7}});
    assert_eq!(summary["total"], total, "{summary}");
    assert_eq!(summary["counted_from"], Value::Null);
    let requests: Vec<&Value> =
        summary["intervals"].as_array().expect("intervals").iter().map(|one| &one["requests"]).collect();
    assert_eq!(requests, [98, 2]);
    let tools = json!([{"server": "linear", "tool": "often", "requests": 98},
        {"server": "linear", "tool": "rarely", "requests": 2}]);
    assert_eq!(summary["tools"], tools);
    assert_eq!(summary["callers"], json!([{"caller": "mem_1", "requests": 98}]));
    assert_eq!(summary["servers"], json!([{"server": "linear", "requests": 100}]));
    let denied = stand.service.get("/v1/records/summary?outcome=denied").await.body;
    assert_eq!(denied["total"]["latency_ms"]["p50"], 1536, "within an eighth");
}
