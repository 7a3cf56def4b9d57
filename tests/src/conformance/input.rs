//! Tools and a prompt that need the client's input first: multi round-trip requests of 2026-07-28 (SEP-2322).
//!
//! Nothing is kept between rounds: what was answered comes back in `inputResponses`, and what the server must not
//! forget comes back, sealed, in `requestState`.

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, GetPromptRequestParams, GetPromptResponse,
    InputRequiredResult, InputResponses, RequestStateCodec,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Map, Value, json};

use super::content::text;
use super::fixture;

/// What a round ends with.
enum Round {
    Ask { requests: Value, state: Option<&'static str> },
    Done(String),
}

/// Answers a call of one of the tools that ask; `None` for every other tool.
pub(super) fn call_tool(
    codec: &RequestStateCodec,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<Option<CallToolResponse>, ErrorData> {
    let Some(tool) = request.name.strip_prefix("test_input_required_result_") else { return Ok(None) };
    let state = request.request_state.as_deref().map(|sealed| open(codec, sealed)).transpose()?;
    let answers = Answers(request.input_responses.as_ref());
    let capabilities = context.meta.client_capabilities().unwrap_or_default();

    let round = match tool {
        "elicitation" => greet(&answers),
        "sampling" => sample(&answers),
        "list_roots" => list_roots(&answers),
        "request_state" | "tampered_state" => confirm(&answers, state.as_deref()),
        "multiple_inputs" => ask_for_everything(&answers),
        "multi_round" => two_steps(&answers, state.as_deref()),
        "capabilities" => only_what_the_client_can(&answers, &capabilities),
        _ => return Ok(None),
    };
    Ok(Some(match round {
        Round::Done(answer) => {
            CallToolResponse::Complete(fixture(json!({"resultType": "complete", "content": [text(&answer)]})))
        }
        Round::Ask { requests, state } => {
            let sealed = state.map(|state| codec.seal(state.as_bytes()));
            CallToolResponse::InputRequired(InputRequiredResult::new(Some(fixture(requests)), sealed))
        }
    }))
}

/// Answers the one prompt that asks; `None` for every other prompt.
pub(super) fn get_prompt(request: &GetPromptRequestParams) -> Option<GetPromptResponse> {
    if request.name != "test_input_required_result_prompt" {
        return None;
    }
    let answers = Answers(request.input_responses.as_ref());
    Some(match answers.elicited("user_context", "context") {
        Some(context) => GetPromptResponse::Complete(fixture(json!({
            "resultType": "complete",
            "messages": [{"role": "user", "content": text(&format!("Use this context: {context}"))}],
        }))),
        None => GetPromptResponse::InputRequired(InputRequiredResult::new(
            Some(fixture(json!({
                "user_context": elicitation("What context should the prompt use?", "context", "string"),
            }))),
            None,
        )),
    })
}

/// The client's word is not ours: state that does not carry our seal ends the call.
fn open(codec: &RequestStateCodec, sealed: &str) -> Result<String, ErrorData> {
    codec
        .open(sealed)
        .ok()
        .and_then(|state| String::from_utf8(state).ok())
        .ok_or_else(|| ErrorData::invalid_params("requestState is not what this server sent", None))
}

/// The client's answers by the keys of the questions.
struct Answers<'a>(Option<&'a InputResponses>);

impl Answers<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0?.get(key)
    }

    /// A field of an accepted elicitation, as text.
    fn elicited(&self, key: &str, field: &str) -> Option<String> {
        let answer = self.get(key)?;
        if answer["action"] != "accept" {
            return None;
        }
        match &answer["content"][field] {
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            Value::String(value) => Some(value.clone()),
            value => Some(value.to_string()),
        }
    }

    fn sampled(&self, key: &str) -> Option<String> {
        let content = &self.get(key)?["content"];
        content["text"].as_str().or_else(|| content[0]["text"].as_str()).map(str::to_owned)
    }

    fn roots(&self, key: &str) -> Option<Vec<String>> {
        let roots = self.get(key)?["roots"].as_array()?;
        Some(roots.iter().filter_map(|root| root["uri"].as_str().map(str::to_owned)).collect())
    }
}

fn greet(answers: &Answers<'_>) -> Round {
    match answers.elicited("user_name", "name") {
        Some(name) => Round::Done(format!("Hello, {name}!")),
        None => ask(json!({"user_name": elicitation("What is your name?", "name", "string")})),
    }
}

fn sample(answers: &Answers<'_>) -> Round {
    match answers.sampled("capital_question") {
        Some(answer) => Round::Done(answer),
        None => ask(json!({"capital_question": sampling("What is the capital of France?", 100)})),
    }
}

fn list_roots(answers: &Answers<'_>) -> Round {
    match answers.roots("client_roots") {
        Some(roots) => Round::Done(format!("Roots: {}", roots.join(", "))),
        None => ask(json!({"client_roots": roots_request()})),
    }
}

fn confirm(answers: &Answers<'_>, state: Option<&str>) -> Round {
    match (answers.elicited("confirm", "ok"), state) {
        (Some(_), Some("confirm")) => Round::Done("state-ok".to_owned()),
        _ => Round::Ask {
            requests: json!({"confirm": elicitation("Please confirm", "ok", "boolean")}),
            state: Some("confirm"),
        },
    }
}

fn ask_for_everything(answers: &Answers<'_>) -> Round {
    let answered =
        (answers.elicited("user_name", "name"), answers.sampled("greeting"), answers.roots("client_roots"));
    match answered {
        (Some(name), Some(greeting), Some(roots)) => {
            Round::Done(format!("{greeting}, {name}: {} roots", roots.len()))
        }
        _ => Round::Ask {
            requests: json!({
                "user_name": elicitation("What is your name?", "name", "string"),
                "greeting": sampling("Generate a greeting", 50),
                "client_roots": roots_request(),
            }),
            state: Some("everything"),
        },
    }
}

fn two_steps(answers: &Answers<'_>, state: Option<&str>) -> Round {
    match (state, answers.elicited("step1", "name"), answers.elicited("step2", "color")) {
        (Some("step2"), _, Some(color)) => Round::Done(format!("The favourite color is {color}")),
        (Some("step1"), Some(_), _) => Round::Ask {
            requests: json!({"step2": elicitation("Step 2: What is your favorite color?", "color", "string")}),
            state: Some("step2"),
        },
        _ => Round::Ask {
            requests: json!({"step1": elicitation("Step 1: What is your name?", "name", "string")}),
            state: Some("step1"),
        },
    }
}

fn only_what_the_client_can(answers: &Answers<'_>, capabilities: &ClientCapabilities) -> Round {
    let mut requests = Map::new();
    if capabilities.sampling.is_some() {
        requests.insert("sampled".to_owned(), sampling("Say hello", 50));
    }
    if capabilities.elicitation.is_some() {
        requests.insert("elicited".to_owned(), elicitation("What is your name?", "name", "string"));
    }
    let open = requests.keys().any(|key| answers.get(key).is_none());
    if open { ask(Value::Object(requests)) } else { Round::Done("Nothing more to ask".to_owned()) }
}

fn ask(requests: Value) -> Round {
    Round::Ask { requests, state: None }
}

fn elicitation(message: &str, field: &str, field_type: &str) -> Value {
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": {
        "type": "object", "properties": {field: {"type": field_type}}, "required": [field],
    }}})
}

fn sampling(question: &str, max_tokens: u32) -> Value {
    json!({"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": text(question)}], "maxTokens": max_tokens,
    }})
}

fn roots_request() -> Value {
    json!({"method": "roots/list", "params": {}})
}
