//! Addresses, methods, header fields.

use super::*;

#[tokio::test]
async fn places() {
    let stack = Stack::start().await;
    let good = || Request::good(&stack);
    let to = |path: &str| good().line(&format!("POST {path} HTTP/1.1"));
    let mut cases = vec![
        case("a slug that nobody has", to("/unheard-of/mcp"), 404, METHOD_NOT_FOUND),
        case("another host", good().set("host", "evil.example"), 421, INVALID_REQUEST),
        case("two hosts", good().add("host", "evil.example"), 421, INVALID_REQUEST),
        case("another origin", good().add("origin", "https://evil.example"), 403, INVALID_REQUEST),
        case("no origin at all", good().add("origin", "null"), 403, INVALID_REQUEST),
        case("an escaped slash", to(&format!("/{SAMPLE}%2fmcp")), 400, None),
        case("an old protocol", good().line(&format!("POST /{SAMPLE}/mcp HTTP/1.0")), 426, None),
        case("an upgrade", good().add("connection", "upgrade").add("upgrade", "websocket"), 403, None),
    ];
    for path in [
        "/",
        "/mcp",
        "/sample",
        "/sample/mcp/",
        "/SAMPLE/mcp",
        "/sample/mcp;x=1",
        "/a/b/sample/mcp",
        "/admin/mcp",
    ] {
        cases.push(case("not a server's path", to(path), 404, METHOD_NOT_FOUND));
    }
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE"] {
        cases.push(case(
            "a method without meaning here",
            good().line(&format!("{method} /{SAMPLE}/mcp HTTP/1.1")),
            405,
            METHOD_NOT_FOUND,
        ));
    }
    run(&stack, cases).await;
}

#[tokio::test]
async fn headers() {
    let stack = Stack::start().await;
    let good = || Request::good(&stack);
    let body = String::from_utf8(good().body).expect("text").replace(MODERN, "2027-01-01");
    let of_the_future = good().set("mcp-protocol-version", "2027-01-01").body(body);
    let many = (0..120).fold(good(), |request, number| request.add(&format!("x-{number}"), "1"));
    run(
        &stack,
        vec![
            case("no media type", good().without("content-type"), 415, INVALID_REQUEST),
            case("another media type", good().set("content-type", "text/plain"), 415, INVALID_REQUEST),
            case(
                "nearly the media type",
                good().set("content-type", "application/jsonx"),
                415,
                INVALID_REQUEST,
            ),
            case("two media types", good().add("content-type", "text/plain"), 415, INVALID_REQUEST),
            case(
                "another charset",
                good().set("content-type", "application/json; charset=utf-16"),
                415,
                INVALID_REQUEST,
            ),
            case("a coding", good().add("content-encoding", "gzip"), 415, INVALID_REQUEST),
            case("an unknown version", of_the_future, 400, VERSION),
            case("no version", good().without("mcp-protocol-version"), 400, MISMATCH),
            case(
                "another version than the body's",
                good().set("mcp-protocol-version", "2025-11-25"),
                400,
                MISMATCH,
            ),
            case("an unknown legacy version", good().legacy("2024-01-01"), 400, VERSION),
            case("no method", good().without("mcp-method"), 400, MISMATCH),
            case("another method", good().set("mcp-method", "tools/list"), 400, MISMATCH),
            case("a method in capitals", good().set("mcp-method", "TOOLS/CALL"), 400, MISMATCH),
            case("two methods", good().add("mcp-method", "tools/list"), 400, MISMATCH),
            case("no name", good().without("mcp-name"), 400, MISMATCH),
            case("another name", good().set("mcp-name", "search_issues"), 400, MISMATCH),
            case("two names", good().add("mcp-name", "search_issues"), 400, MISMATCH),
            case("a joined name", good().set("mcp-name", "get_issue,search_issues"), 400, MISMATCH),
            case(
                "a name in broken Base64",
                good().set("mcp-name", "=?base64?Z2V0X2lzc3Vl=?="),
                400,
                MISMATCH,
            ),
            case("a name with bytes above 0x7f", good().set("mcp-name", b"get_issu\xe9"), 400, MISMATCH),
            case(
                "a version with bytes above 0x7f",
                good().set("mcp-protocol-version", b"2026-07-28\xff"),
                400,
                None,
            ),
            case("an underscore for a hyphen", good().add("mcp_method", "tools/list"), 400, None),
            case("too many", many, 431, None),
            case("too much", good().add("x-long", "a".repeat(70_000)), 431, None),
            case("a body of two lengths", good().add("content-length", "5"), 400, None),
            case("a length and chunks", good().add("transfer-encoding", "chunked"), 400, None),
            case("a NUL", good().add("x-nul", b"a\0b"), 400, None),
        ],
    )
    .await;
}

#[tokio::test]
async fn names() {
    let stack = Stack::start().await;
    let good = || Request::good(&stack);
    let method = |method: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{META}}}}}"#);
        good().set("mcp-method", method).without("mcp-name").body(body)
    };
    run(
        &stack,
        vec![
            case("a denied tool", good().tool("delete_issue"), 200, INVALID_PARAMS),
            case("an unknown method", method("tools/destroy"), 404, METHOD_NOT_FOUND),
            case("a method in capitals", method("Tools/List"), 404, METHOD_NOT_FOUND),
            case("a method of the other era", method("resources/subscribe"), 404, METHOD_NOT_FOUND),
            case("a method for clients", method("sampling/createMessage"), 404, METHOD_NOT_FOUND),
        ],
    )
    .await;
}
