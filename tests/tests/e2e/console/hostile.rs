//! What others call themselves and their things stays text, on every page.

use portcullis_tests::browser::{Browser, Window};
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::patience::poll;
use portcullis_tests::seed::{Server, no_credential};
use portcullis_tests::stack::Builder;
use portcullis_tests::upstream::shifting::{ShiftingUpstream, tool};
use serde_json::json;

use super::{at, complaints, owner, stack};

/// Each would run if it were not escaped where it lands: in text, in an attribute, as a link, for htmx.
const NAMES: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' autofocus onfocus=alert(1) x='",
    "<a hx-get=/v1/me hx-trigger=load>x</a>",
];

#[tokio::test]
async fn names_stay_text() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let upstream =
        ShiftingUpstream::start(&[tool("read", NAMES[1], true), tool(NAMES[0], NAMES[2], true)]).await?;
    let server = Server {
        slug: "odd",
        url: upstream.url(),
        auth: no_credential(),
        allowed_tool: "read",
        denied_tool: "none",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        payload: "full",
    };
    let stack = stack(Builder { servers: vec![server], ..Builder::default() }).await?;
    let admin = stack.admin();
    admin.patch("/v1/servers/odd", json!({"name": NAMES[0]})).await?;
    admin.patch("/v1/workspaces/core", json!({"name": NAMES[1]})).await?;
    admin.patch(&format!("/v1/members/{}", stack.seeded.member), json!({"name": NAMES[2]})).await?;
    admin.patch(&format!("/v1/keys/{}", stack.seeded.key.id), json!({"name": NAMES[3]})).await?;
    let agent = Agent::new(stack.url("odd"), Some(&stack.seeded.key.text), Era::Modern);
    agent.call("tools/list", json!({})).await;
    let message = agent.message("tools/call", json!({"name": NAMES[0], "arguments": {"x": NAMES[1]}}));
    agent.send(agent.post(&message).header("user-agent", NAMES[3])).await;
    let known = poll(async || {
        let tools = admin.get("/v1/servers/odd/tools").await.ok()?;
        let records = admin.get("/v1/records?method=tools/call").await.ok()?;
        tools["entries"].get(1)?;
        records["records"][0]["id"].as_str().map(str::to_owned)
    });
    let record = known.await.expect("tools and a record");
    let (member, key) = (&stack.seeded.member, &stack.seeded.key.id);
    let olga = owner(&browser, &stack, Window::default()).await?;
    for (path, expected) in [
        ("/", Some(0)),
        ("/servers", Some(0)),
        ("/servers/odd", Some(0)),
        ("/servers/odd/tools", Some(0)),
        ("/servers/odd/tools/read", Some(1)),
        ("/workspaces", Some(1)),
        ("/workspaces/core", Some(1)),
        ("/workspaces/core/members", Some(2)),
        ("/workspaces/core/keys", Some(3)),
        (&format!("/members/{member}"), Some(2)),
        (&format!("/keys/{key}"), Some(3)),
        ("/requests", Some(0)),
        (&format!("/requests/{record}"), Some(3)),
        (&format!("/explain?member={member}&server=odd&tool=%3Cscript%3Ealert(1)%3C/script%3E"), Some(0)),
        ("/settings", None),
    ] {
        assert_eq!(olga.goto(&at(&stack, path)).await, 200, "{path}");
        assert_eq!(olga.injected().await, [""; 0], "{path}");
        assert_eq!(complaints(&olga).await, [""; 0], "{path}");
        // It is there, as it is written: a page without it would prove nothing.
        if let Some(expected) = expected.map(|number: usize| NAMES[number]) {
            let (text, html) = (olga.text().await, olga.html().await);
            let is_there =
                text.contains(expected) || escaped(expected).iter().any(|text| html.contains(text));
            assert!(is_there, "{path}: {}", olga.text().await);
        }
    }
    Ok(())
}

/// As browsers write it in an attribute: the older ones leave angle brackets as they are.
fn escaped(text: &str) -> [String; 2] {
    let older = text.replace('&', "&amp;").replace('"', "&quot;");
    let newer = older.replace('<', "&lt;").replace('>', "&gt;");
    [older, newer]
}
