//! Recognises an upstream's answer to a name that it does not have.
//!
//! The gateway answers for denied names as if they did not exist, in words of its own. An upstream says so in other
//! words, and some add the names that do exist. A caller who compared the two would learn which names are denied; so
//! the upstream's answer is replaced by the one that a denied name gets.
//!
//! An error or result is taken for such an answer only if it says nothing else. The words are those of the official
//! SDKs, in any case and with any quotes around the name:
//!
//! | SDK | words |
//! |---|---|
//! | Rust | `tool not found`, `prompt 'x' not found` |
//! | TypeScript | `Tool x not found`, in its first line with `MCP error -32602: ` in front; for tools as a result |
//! | Python | `Unknown tool: x`, for tools as a result |
//! | Go | `unknown tool "x"` |
//! | C# | `Unknown tool: 'x'`, `Unknown resource URI: 'x'` |
//! | MCP's own examples | `Unknown tool: x`, `Resource not found` |

use portcullis_wire::policy::Kind;

use crate::json::Value;
use crate::mcp::{Method, Request, Target, denial};
use crate::reply::{LocalReply, code};

/// The one name that a request asks for, and the answer if it does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub target: Target,
    /// What the gateway answers if the target is denied.
    pub denial: LocalReply,
}

impl Asked {
    /// None for requests that ask for something else than one tool, prompt or resource.
    pub fn by(request: &Request) -> Option<Self> {
        let Some(Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead) = request.method else {
            return None;
        };
        let [target] = request.targets.as_slice() else { return None };
        Some(Self { target: target.clone(), denial: denial(request, target) })
    }
}

/// Whether a JSON-RPC response says that the server has no such `target`, and nothing else.
pub fn says_unknown(message: &Value<'_, '_>, target: &Target) -> bool {
    let member = |key| message.get(key).filter(Value::is_object);
    match (member("error"), member("result")) {
        (Some(error), None) => is_unknown_error(&error, target),
        (None, Some(result)) => target.kind == Kind::Tool && is_unknown_result(&result, target),
        _ => false,
    }
}

fn is_unknown_error(error: &Value<'_, '_>, target: &Target) -> bool {
    let number = error.get("code").and_then(|number| number.as_number_text()?.parse().ok());
    if target.kind == Kind::Resource && is_unknown_resource(error, number, &target.name) {
        return true;
    }
    let text = error.get("message").and_then(|message| message.as_str());
    match text.and_then(|text| Wording::of(&text, target)) {
        // Some SDKs have odd codes for it, but the words leave no doubt.
        Some(Wording::Named) => true,
        Some(Wording::Bare) => {
            matches!(number, Some(code::INVALID_PARAMS | code::METHOD_NOT_FOUND | code::RESOURCE_NOT_FOUND))
        }
        None => false,
    }
}

/// Whether an error has the shape that MCP gives to an unknown resource, whatever its words: legacy versions have a
/// code of their own for it (2025-11-25, server/resources), the modern one repeats the URI and nothing else.
fn is_unknown_resource(error: &Value<'_, '_>, number: Option<i32>, uri: &str) -> bool {
    match number {
        Some(code::RESOURCE_NOT_FOUND) => true,
        Some(code::INVALID_PARAMS) => error.get("data").is_some_and(|data| {
            let mut members = data.members();
            let only = members.next().filter(|_| members.next().is_none());
            only.is_some_and(|(key, value)| key == "uri" && value.is_str(uri))
        }),
        _ => false,
    }
}

/// A tool's own error may well be that some tool or resource was not found, so here the name has to be there.
fn is_unknown_result(result: &Value<'_, '_>, target: &Target) -> bool {
    let is_error = result.get("isError").and_then(|flag| flag.as_bool()) == Some(true);
    let Some(content) = result.get("content").filter(|_| is_error) else { return false };
    let mut items = content.items();
    let (Some(item), None) = (items.next(), items.next()) else { return false };
    let text = item.get("text").and_then(|text| text.as_str());
    text.is_some_and(|text| Wording::of(&text, target) == Some(Wording::Named))
}

#[derive(Debug, PartialEq, Eq)]
enum Wording {
    /// Says what kind of thing is unknown.
    Bare,
    /// Says which one, too.
    Named,
}

impl Wording {
    /// How `text` says that `target` is unknown; `None` if it does not, or says more.
    fn of(text: &str, target: &Target) -> Option<Self> {
        let text = without_code(text);
        let kind = target.kind.as_str();
        let named = |name| is_name(name, &target.name).then_some(Self::Named);
        if let Some(rest) = after(text, "unknown ").and_then(|rest| after(rest, kind)) {
            let name = [": ", " uri: ", " "].iter().find_map(|joint| after(rest, joint));
            return if rest.is_empty() { Some(Self::Bare) } else { named(name?) };
        }
        let rest = after(text, kind)?;
        if rest.eq_ignore_ascii_case(" not found") {
            return Some(Self::Bare);
        }
        match after(rest, " not found: ") {
            Some(name) => named(name),
            None => named(before(after(rest, " ")?, " not found")?),
        }
    }
}

/// The text without `MCP error <code>: `, which the TypeScript SDK puts in front.
fn without_code(text: &str) -> &str {
    let parts = text.strip_prefix("MCP error ").and_then(|rest| rest.split_once(": "));
    parts.filter(|(number, _)| number.parse::<i32>().is_ok()).map_or(text, |(_, rest)| rest)
}

fn is_name(text: &str, name: &str) -> bool {
    let unquoted = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    text == name || unquoted('\'') == Some(name) || unquoted('"') == Some(name)
}

/// What follows `prefix`, in any case.
fn after<'text>(text: &'text str, prefix: &str) -> Option<&'text str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What comes before `suffix`, in any case.
fn before<'text>(text: &'text str, suffix: &str) -> Option<&'text str> {
    let (rest, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}
