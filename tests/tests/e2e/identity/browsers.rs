//! Pages that call the gateway from within a browser.

use portcullis_tests::http;
use portcullis_tests::stack::SAMPLE;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::Setting;

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
}

#[tokio::test]
async fn a_preflight_is_answered_and_the_call_after_it_can_be_read() -> anyhow::Result<()> {
    let setting = Setting::start().await;
    let (http, url) = (http::client().build()?, setting.stack.url(SAMPLE));
    let ask = |origin: &str| {
        http.request(Method::OPTIONS, &url)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,mcp-param-region")
    };
    let origin = setting.public_url();
    let yes = ask(&origin).send().await?;
    assert_eq!(yes.status(), 204);
    assert_eq!(value(yes.headers(), "access-control-allow-origin"), [&origin]);
    let allowed = value(yes.headers(), "access-control-allow-headers").join(",");
    assert!(allowed.contains("authorization") && allowed.contains("mcp-param-region"), "{allowed}");
    assert!(yes.text().await?.is_empty());
    assert_eq!(ask("https://evil.example").send().await?.status(), 403);

    let agent = setting.stack.agent(SAMPLE, portcullis_tests::mcp::Era::Modern);
    for (agent, status) in [(agent.clone(), 200), (agent.with_credential(None), 401)] {
        let call = agent.message("tools/call", json!({"name": "whoami", "arguments": {}}));
        let reply = agent.send(agent.post(&call).header("origin", &origin)).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(value(&reply.headers, "access-control-allow-origin"), [&origin]);
        assert!(value(&reply.headers, "vary").contains(&"Origin"), "{reply:?}");
        let exposed = value(&reply.headers, "access-control-expose-headers").join(",");
        assert!(exposed.contains("WWW-Authenticate") && exposed.contains("Mcp-Session-Id"), "{exposed}");
    }
    assert!(setting.stack.filter_never_trapped().await);
    Ok(())
}
