//! Lists are filtered in JSON and in events, page by page, and nothing else in them changes.

use portcullis_tests::mcp::{Era, Reply};
use portcullis_tests::stack::{SCRIPTED, Stack};
use serde_json::{Value, json};

const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("prompts/list", "prompts", "name"),
    ("resources/list", "resources", "uri"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate"),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Json,
    Events,
}

/// A page that holds denied entries first, last and twice in a row, and fields that nobody knows.
fn page(list: &str, key: &str) -> Value {
    let scheme = |name: &str| if key == "name" { name.to_owned() } else { format!("{name}://x") };
    let entry = |name: &str| json!({key: scheme(name), "title": "Ünïcode \" ] }", "x-extension": {key: scheme("denied")}, "n": 1.50});
    json!({
        list: [entry("denied"), entry("allowed"), entry("denied2"), entry("denied3"), entry("other"), entry("denied")],
        "nextCursor": "opaque==",
        "resultType": "complete",
        "ttlMs": 60000,
        "cacheScope": "public",
        "_meta": {"x": [list]},
    })
}

async fn list(stack: &Stack, method: &str, form: Form, result: &Value) -> Reply {
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let (reply, ()) = tokio::join!(agent.call(method, json!({"cursor": "here"})), async {
        let conversation = stack.scripted.next_request().await;
        assert!(conversation.request.body.contains(r#""cursor":"here""#));
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": result});
        match form {
            Form::Json => conversation.json(&message).await,
            Form::Events => {
                let answer = conversation.events();
                answer.send("id: 1\ndata: \n\n").await;
                answer.event(&message).await;
            }
        }
    });
    assert_eq!(reply.status, 200, "{reply:?}");
    reply
}

#[tokio::test]
async fn only_denied_entries_go() {
    let stack = Stack::start().await;
    for (method, name, key) in LISTS {
        for form in [Form::Json, Form::Events] {
            let sent = page(name, key);
            let received = list(&stack, method, form, &sent).await.answer()["result"].clone();
            let mut expected = sent.clone();
            let entries = sent[name].as_array().expect("entries");
            expected[name] = json!([entries[1], entries[4]]);
            expected["cacheScope"] = json!("private");
            assert_eq!(received, expected, "{method} {form:?}");
        }
    }
}

#[tokio::test]
async fn a_page_of_denied_entries_only_is_an_empty_page_with_its_cursor() {
    let stack = Stack::start().await;
    for form in [Form::Json, Form::Events] {
        let page = json!({"tools": [{"name": "denied"}], "nextCursor": "next", "resultType": "complete"});
        let received = list(&stack, "tools/list", form, &page).await.answer();
        assert_eq!(received["result"]["tools"], json!([]), "{form:?}");
        assert_eq!(received["result"]["nextCursor"], "next");
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_does_not_pass() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let hostile = [
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"allowed","name":"denied"}]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"denied"}],"tools":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":{"name":"denied"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"denied"}]}"#,
    ];
    for body in hostile {
        let (reply, ()) = tokio::join!(agent.call("tools/list", json!({})), async {
            let headers = [("content-type", "application/json")];
            stack.scripted.next_request().await.answer(200, &headers, body).await;
        });
        assert!(!reply.body.contains("denied"), "{body}: {reply:?}");
    }
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn a_compressed_list_is_never_asked_for() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let request = agent.post(&agent.message("tools/list", json!({}))).header("accept-encoding", "gzip, br");
    let (reply, ()) = tokio::join!(agent.send(request), async {
        let conversation = stack.scripted.next_request().await;
        let codings = conversation.request.header("accept-encoding");
        assert!(codings.iter().all(|coding| *coding == "identity"), "{codings:?}");
        conversation
            .json(&json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "denied"}]}}))
            .await;
    });
    assert_eq!(reply.answer()["result"]["tools"], json!([]));
}
