//! What servers say of payloads.

use std::path::Path;

use portcullis_wire::watch::PayloadPolicy;

use super::{minimal, parse_in, problems};

fn server(rest: &str) -> String {
    minimal(&format!(
        "servers: [{{slug: docs, url: 'https://docs.example/mcp', auth: {{type: none}}, workspaces: all, {rest}}}]\n"
    ))
}

#[test]
fn places_and_limits_are_read() {
    let read = |rest: &str| {
        let config = parse_in(Path::new(""), &server(rest)).expect("no problems");
        config.declared.servers.into_iter().next().expect("a server").payload
    };
    let usual = read("payload: redacted");
    assert_eq!((usual.limit, usual.redact.is_empty()), (4_096, true));
    let payload = read("payload_limit: 256, redact: {parameters: [/arguments/a], response: ['/*/b', /c]}");
    assert_eq!((payload.policy, payload.limit), (PayloadPolicy::Redacted, 256));
    assert_eq!(payload.redact.parameters, ["/arguments/a"]);
    assert_eq!(payload.redact.response, ["/*/b", "/c"]);
}

#[test]
fn all_that_is_wrong_with_them_is_reported() {
    let many: Vec<String> = (0..33).map(|number| format!("/{number}")).collect();
    let redact = format!("{{parameters: [/a, $.b, /a, 7], respond: [], response: [{}]}}", many.join(", "));
    for (rest, expected) in [
        ("payload_limit: 255".to_owned(), vec!["servers[0].payload_limit: this number is out of bounds"]),
        (
            "payload: full, redact: {response: [/a]}".to_owned(),
            vec!["servers[0].redact: hides nothing where payload is full"],
        ),
        ("redact: [/a]".to_owned(), vec!["servers[0].redact: this must be a mapping"]),
        (
            format!("redact: {redact}"),
            vec!["servers[0].redact.respond: unknown key", "redact.parameters[3]: this must be a text"],
        ),
        (
            format!("redact: {}", redact.replace(", 7", "").replace("respond: [], ", "")),
            vec![
                "servers[0].redact.parameters[1]: does not begin with `/`",
                "servers[0].redact.parameters[2]: is there twice",
                "servers[0].redact.response: has 33 pointers",
            ],
        ),
    ] {
        let reported = problems(&server(&rest));
        for problem in expected {
            assert!(reported.contains(problem), "{problem} in {reported}");
        }
    }
}
