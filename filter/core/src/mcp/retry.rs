//! A request that is sent again after the member was sent to connect an account: it carries a `requestState` of the
//! token-service's making, which no upstream may see.
//!
//! What the upstream itself had asked before goes back in its place. All else of the body stays byte for byte.

use std::ops::Range;

use portcullis_wire::unconnected::STATE_PREFIX;

use super::method::Method;
use crate::json::{Document, Limits, Splice, Value};

/// The state, and where it stands in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The `requestState`, prefix included.
    pub state: String,
    /// The members of `params`, in order.
    members: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    role: Role,
    /// From the key's first quote to the value's end.
    span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    State,
    Responses,
    Other,
}

const STATE_KEY: &str = "requestState";
const RESPONSES_KEY: &str = "inputResponses";

impl Retry {
    /// `None` for a request that carries no such state, and for methods that nobody is asked in (MCP 2026-07-28, MRTR).
    pub(super) fn read(method: Method, params: Value<'_, '_>) -> Option<Self> {
        if !matches!(method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead) {
            return None;
        }
        let state = params.get(STATE_KEY)?.as_str().filter(|state| state.starts_with(STATE_PREFIX))?;
        let place = |key: &str| params.get(key).map(|value| value.span());
        let (own, responses) = (place(STATE_KEY), place(RESPONSES_KEY));
        let members = params.member_spans().map(|(key, value)| {
            let value = value.span();
            let role = match &value {
                value if own.as_ref() == Some(value) => Role::State,
                value if responses.as_ref() == Some(value) => Role::Responses,
                _ => Role::Other,
            };
            Member { role, span: key.start..value.end }
        });
        Some(Self { state: state.into_owned(), members: members.collect() })
    }

    /// The body for the upstream: `requestState` and `inputResponses` are those given, or not there. The latter is JSON;
    /// `None` if it is no object.
    pub fn restore(
        &self,
        body: &[u8],
        request_state: Option<&str>,
        input_responses: Option<&str>,
    ) -> Option<Vec<u8>> {
        if input_responses.is_some_and(|text| !is_object(text)) {
            return None;
        }
        let asked_for_responses = self.members.iter().any(|member| member.role == Role::Responses);
        // Responses that the client did not repeat stand beside the state.
        let beside = input_responses.filter(|_| !asked_for_responses);
        let own = |state: &str| format!("{STATE_JSON}{}", serde_json::Value::from(state));
        let responses = |text: &str| format!("{RESPONSES_JSON}{text}");
        let text = |member: &Member| match member.role {
            Role::Other => None,
            Role::Responses => input_responses.map(responses),
            Role::State => {
                let parts = [request_state.map(own), beside.map(responses)];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                (!parts.is_empty()).then(|| parts.join(","))
            }
        };
        let mut splice = Splice::default();
        let mut kept = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let text = text(member);
            kept.push((member.span.clone(), member.role == Role::Other || text.is_some()));
            if let Some(text) = text {
                splice.replace(member.span.clone(), text);
            }
        }
        splice.cut(kept.into_iter());
        splice.apply(body)
    }
}

const STATE_JSON: &str = r#""requestState":"#;
const RESPONSES_JSON: &str = r#""inputResponses":"#;

fn is_object(text: &str) -> bool {
    Document::read(text.as_bytes(), &Limits::default()).is_ok_and(|document| document.root().is_object())
}
