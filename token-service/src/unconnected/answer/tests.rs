//! Every method in every kind of client, as data.

use std::fmt::Write as _;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::clock::Timestamp;
use crate::domain::connection::{ConnectionId, ConnectionOwner, ReauthReason};
use crate::domain::ids::{MemberId, ServerId};
use crate::store::connections::Catalogue;
use crate::unconnected::Handle;
use crate::unconnected::message::MODERN;

const LINK: &str = "https://gateway.example/connect/TICKET";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    ModernUrls,
    Modern,
    LatestUrls,
    Latest,
    OlderUrls,
    Foreign,
}

const CLIENTS: [Client; 6] = [
    Client::ModernUrls,
    Client::Modern,
    Client::LatestUrls,
    Client::Latest,
    Client::OlderUrls,
    Client::Foreign,
];

impl Client {
    fn is_modern(self) -> bool {
        matches!(self, Self::ModernUrls | Self::Modern)
    }

    fn capabilities(self) -> Value {
        match self {
            Self::ModernUrls | Self::LatestUrls | Self::OlderUrls => {
                json!({"elicitation": {"form": {}, "url": {}}})
            }
            Self::Modern | Self::Latest | Self::Foreign => json!({"elicitation": {}}),
        }
    }

    /// `None` where the session is the upstream's.
    fn session(self) -> Option<Session> {
        let version = match self {
            Self::LatestUrls | Self::Latest => "2025-11-25",
            Self::OlderUrls => "2025-06-18",
            Self::ModernUrls | Self::Modern | Self::Foreign => return None,
        };
        Some(Session::new(version, Some(&self.capabilities()), None, Timestamp(1)))
    }

    fn body(self, method: &str, mut params: Value) -> String {
        if self.is_modern() {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": self.capabilities(),
            });
        }
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
    }
}

fn words() -> Words {
    words_for(None, false)
}

fn words_for(reason: Option<ReauthReason>, missing_scopes: bool) -> Words {
    let (member, server) = (MemberId::from("mem_1"), ServerId::from("srv_1"));
    let handle = Handle {
        connection: ConnectionId::of(&server, &ConnectionOwner::Member(member.clone())),
        member,
        server,
        workspace: "wsp_1".into(),
        reason,
        missing_scopes,
        expires_at: Timestamp(1),
    };
    Words::new("Linear", &handle)
}

fn unknown() -> Profile {
    Profile::of(None, "Linear")
}

fn known() -> Profile {
    let results = [
        (
            "server/discover",
            json!({"resultType": "complete", "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18"],
                "capabilities": {"tools": {"listChanged": true}, "prompts": {}}, "instructions": "Be brief.",
                "ttlMs": 3_600_000, "cacheScope": "public",
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "linear", "version": "9"}}}),
        ),
        ("tools/list", json!({"tools": [{"name": "search", "inputSchema": {"type": "object"}}]})),
    ];
    let results = results.map(|(method, result)| (method.to_owned(), result.to_string())).into();
    Profile::of(Some(&Catalogue { learnt_at: Timestamp(1), results, ..Catalogue::default() }), "Linear")
}

fn answer(
    client: Client,
    method: &str,
    params: Value,
    profile: &Profile,
    situation: Situation<'_>,
) -> Answer {
    let body = client.body(method, params);
    let message = Message::read(body.as_bytes()).expect("a message");
    match plan(&message, client.session().as_ref(), profile) {
        Plan::Answer(answer) | Plan::Open(answer, _) => answer,
        Plan::Ask(question) => question.put(situation, &words(), Some("pcl-state.SEALED")),
    }
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(answer.body.as_deref().expect("a body")).expect("JSON")
}

/// One line: status, and what tells one kind of answer from another.
fn summary(answer: &Answer) -> String {
    let body = body(answer);
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(7)), "{body}");
    let link = if body.to_string().contains(LINK) { " +link" } else { "" };
    let what = match (&body["error"]["code"], &body["result"]) {
        (Value::Number(code), _) => code.to_string(),
        (_, result) if result["isError"] == true => "isError".to_owned(),
        (_, result) if result["resultType"] == "input_required" => match result.get("inputRequests") {
            Some(_) => "input_required".to_owned(),
            None => "retry".to_owned(),
        },
        (_, result) => {
            let fields: Vec<&str> =
                result.as_object().expect("an object").keys().map(String::as_str).collect();
            format!("{{{}}}", fields.join(" "))
        }
    };
    format!("{} {what}{link}", answer.status)
}

const METHODS: [&str; 21] = [
    "initialize",
    "server/discover",
    "ping",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/cancel",
    "tasks/result",
    "tasks/list",
    "tasks/update",
    "server/unheard-of",
];

fn table(profile: &Profile, situation: Situation<'_>) -> String {
    let mut table = String::new();
    for method in METHODS {
        writeln!(table, "{method}").expect("writes");
        for client in CLIENTS {
            let line = summary(&answer(client, method, json!({}), profile, situation));
            writeln!(table, "  {client:?}: {line}").expect("writes");
        }
    }
    table
}

#[test]
fn every_method_of_a_server_that_nobody_has_connected() {
    assert_snapshot!(table(&unknown(), Situation::Link(LINK)));
}

#[test]
fn every_method_of_a_known_server() {
    assert_snapshot!(table(&known(), Situation::Link(LINK)));
}

#[test]
fn every_method_once_the_member_is_connected() {
    assert_snapshot!(table(&unknown(), Situation::Connected));
}

#[test]
fn every_method_after_the_member_declined() {
    assert_snapshot!(table(&unknown(), Situation::Declined));
}

#[test]
fn questions_have_the_shapes_of_mcp() {
    let put = |client, method, situation| {
        let mut shown =
            body(&answer(client, method, json!({"name": "search"}), &known(), situation)).to_string();
        shown.push('\n');
        shown
    };
    assert_snapshot!(
        [
            put(Client::ModernUrls, "tools/call", Situation::Link(LINK)),
            put(Client::ModernUrls, "tools/call", Situation::Connected),
            put(Client::Modern, "tools/call", Situation::Link(LINK)),
            put(Client::Modern, "prompts/get", Situation::Link(LINK)),
            put(Client::LatestUrls, "tools/call", Situation::Link(LINK)),
            put(Client::OlderUrls, "tools/call", Situation::Link(LINK)),
            put(Client::Foreign, "tools/call", Situation::Connected),
            put(Client::Foreign, "resources/read", Situation::Connected),
            put(Client::ModernUrls, "tools/call", Situation::Declined),
        ]
        .concat()
    );
}

#[test]
fn a_known_server_speaks_for_itself() {
    let said = |client, method| {
        let proposal = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}});
        body(&answer(client, method, proposal, &known(), Situation::Declined)).to_string()
    };
    assert_snapshot!(said(Client::Modern, "server/discover"));
    assert_snapshot!(said(Client::Latest, "initialize"));
    assert_snapshot!(said(Client::Modern, "tools/list"));
    assert_snapshot!(said(Client::Latest, "tools/list"));
}

#[test]
fn without_room_for_a_state_nothing_is_asked_by_input() {
    let body = Client::ModernUrls.body("tools/call", json!({"name": "search"}));
    let message = Message::read(body.as_bytes()).expect("a message");
    let Plan::Ask(question) = plan(&message, None, &unknown()) else { panic!("a question") };
    assert_eq!(summary(&question.put(Situation::Link(LINK), &words(), None)), "200 isError +link");
    assert_eq!(summary(&question.put(Situation::Connected, &words(), None)), "200 isError");
}

#[test]
fn a_server_without_a_handshake_or_without_anything_else_says_so() {
    let of = |method: &str, result: Value| {
        let results = [(method.to_owned(), result.to_string())].into();
        Profile::of(Some(&Catalogue { learnt_at: Timestamp(1), results, ..Catalogue::default() }), "Linear")
    };
    let modern = of("server/discover", json!({"supportedVersions": ["2026-07-28"]}));
    let refused = answer(
        Client::Latest,
        "initialize",
        json!({"protocolVersion": "2025-11-25"}),
        &modern,
        Situation::Declined,
    );
    assert_eq!(summary(&refused), "200 -32602");
    assert_eq!(
        body(&refused)["error"]["data"],
        json!({"supported": ["2026-07-28"], "requested": "2025-11-25"})
    );
    let legacy = of("initialize", json!({"protocolVersion": "2025-11-25"}));
    assert_eq!(
        summary(&answer(Client::Modern, "server/discover", json!({}), &legacy, Situation::Declined)),
        "400 -32600"
    );
}

#[test]
fn what_is_not_answered_is_accepted() {
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ] {
        let message = Message::read(body.as_bytes()).expect("a message");
        assert_eq!(plan(&message, None, &unknown()), Plan::Answer(Answer::empty(202)), "{body}");
    }
}

#[test]
fn every_reason_has_its_words() {
    let mut all = String::new();
    let reasons = ReauthReason::ALL.into_iter().map(|reason| words_for(Some(reason), false));
    for words in [words(), words_for(None, true)].into_iter().chain(reasons) {
        writeln!(all, "{}\n{}", words.question(), words.invitation(LINK)).expect("writes");
    }
    assert_snapshot!(all);
}
