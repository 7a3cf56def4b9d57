//! Takes what the policy denies out of lists, and notifications about denied resources out of streams.
//!
//! Lists are edited by cutting byte ranges out of the original: order, cursor, number spelling, white space and
//! unknown members stay as they are. The check at call time remains the control; this keeps agents from being offered
//! what they may not use.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use portcullis_wire::policy::{CompiledPolicy, Kind, same_but_for_case};

use crate::json::{Document, Limits, Splice, Value};
use crate::mcp::ListKind;
use crate::reply::code::RESPONSE_REJECTED;

/// How much of a response is recorded when it is read: enough for root, result, array, entry and name.
pub(super) const READ_LIMITS: Limits =
    Limits { depth: 64, keys: 1024, nodes: 250_000, number_length: 64, record_depth: 4 };

/// A list request whose response is to be filtered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListContext {
    pub kind: ListKind,
    /// The request's JSON-RPC id, as the JSON it was sent as ([`crate::mcp::Id::as_json`]).
    pub request_id: Box<str>,
    /// Whether the request is of 2026-07-28 or later, whose lists say how they may be cached.
    pub modern: bool,
    /// The longest time for which a client may cache a list, in milliseconds: how late a change of policy may show.
    pub ttl_cap_ms: u64,
}

/// What becomes of one JSON-RPC message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Replace(Vec<u8>),
    /// A notification that the client must not see.
    Drop,
    /// A response that means different things to different readers, or is not the list it should be.
    Reject,
}

/// Judges a message of an upstream. `list` says which list it should be, if it answers a list request; lists are
/// also recognised by their shape, because a resumed stream carries responses to requests made elsewhere.
pub fn judge(document: &Document<'_>, policy: &CompiledPolicy, list: Option<&ListContext>) -> Verdict {
    let root = document.root();
    if !root.is_object() || ["result", "error", "method"].iter().any(|key| has_twin(&root, key)) {
        return Verdict::Reject;
    }
    // Some servers write `"error": null` beside a result.
    let error = root.get("error").filter(|error| !error.is_null());
    match (root.get("method"), root.get("result"), error) {
        (Some(method), None, None) => judge_call(&root, &method, policy),
        (None, Some(result), None) => judge_result(document, &result, policy, list),
        // An error reveals no entries; something that is neither is no list.
        (None, None, _) => Verdict::Keep,
        _ => Verdict::Reject,
    }
}

/// The error that a client gets in place of a rejected response. `request_id` is JSON; where it is not known the member
/// is left out, as MCP's schema has it.
pub fn rejection(request_id: Option<&str>) -> Vec<u8> {
    let id = request_id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
    let message = "The gateway could not check the server's response and did not pass it on.";
    format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{RESPONSE_REJECTED},"message":"{message}"}}}}"#)
        .into_bytes()
}

fn judge_call(root: &Value<'_, '_>, method: &Value<'_, '_>, policy: &CompiledPolicy) -> Verdict {
    if !method.is_str("notifications/resources/updated") {
        return Verdict::Keep;
    }
    let uri = root.get("params").and_then(|params| params.get("uri")).and_then(|uri| uri.as_str());
    let shown = uri.is_some_and(|uri| policy.decide(Kind::Resource, &uri).is_allowed());
    if shown { Verdict::Keep } else { Verdict::Drop }
}

fn judge_result(
    document: &Document<'_>,
    result: &Value<'_, '_>,
    policy: &CompiledPolicy,
    list: Option<&ListContext>,
) -> Verdict {
    let mut splice = Splice::default();
    let mut is_list = false;
    for kind in ListKind::ALL {
        let expected = list.is_some_and(|list| list.kind == kind);
        match result.get(kind.field()).filter(Value::is_array) {
            Some(_) if has_twin(result, kind.field()) => return Verdict::Reject,
            Some(entries) => {
                filter_entries(&entries, kind, policy, &mut splice);
                is_list = true;
            }
            None if expected => return Verdict::Reject,
            None => {}
        }
    }
    if is_list {
        restrict_caching(result, list, &mut splice);
    }
    splice.apply(document.bytes()).map_or(Verdict::Keep, Verdict::Replace)
}

/// Whether an object has a key that some readers take for `key` although it is another.
fn has_twin(object: &Value<'_, '_>, key: &str) -> bool {
    object.members().any(|(found, _)| found != key && same_but_for_case(&found, key))
}

/// Cuts out entries that are denied, have no string for an identity, or share it with another entry: of two tools of
/// one name nobody can say which one a call reaches.
fn filter_entries(entries: &Value<'_, '_>, kind: ListKind, policy: &CompiledPolicy, splice: &mut Splice) {
    let entries: Vec<(Range<usize>, Option<Cow<'_, str>>)> =
        entries.items().map(|entry| (entry.span(), identity(&entry, kind.identity()))).collect();
    let mut uses: HashMap<&str, u32> = HashMap::with_capacity(entries.len());
    for (_, name) in &entries {
        if let Some(name) = name {
            let count = uses.entry(name.as_ref()).or_default();
            *count = count.saturating_add(1);
        }
    }
    let is_kept = |name: &Option<Cow<'_, str>>| {
        let is_allowed = |name: &str| policy.decide(kind.policy_kind(), name).is_allowed();
        name.as_deref().is_some_and(|name| uses.get(name) == Some(&1) && is_allowed(name))
    };
    let kept = entries.iter().map(|(span, name)| (span.clone(), is_kept(name)));
    splice.cut(kept);
}

fn identity<'a>(entry: &Value<'_, 'a>, key: &str) -> Option<Cow<'a, str>> {
    let name = entry.get(key)?.as_str()?;
    (!has_twin(entry, key)).then_some(name)
}

/// A filtered list is for this caller only, and for no longer than a change of policy may take. Legacy lists do not
/// have these members; where one has them all the same, they must say the same.
fn restrict_caching(result: &Value<'_, '_>, list: Option<&ListContext>, splice: &mut Splice) {
    let modern = list.is_some_and(|list| list.modern);
    let mut missing = String::new();
    match result.get("cacheScope") {
        Some(scope) if !scope.is_str("private") => splice.replace(scope.span(), r#""private""#),
        None if modern => missing.push_str(r#","cacheScope":"private""#),
        _ => {}
    }
    match result.get("ttlMs") {
        Some(ttl) => {
            let capped = capped_ttl(&ttl, list.map_or(0, |list| list.ttl_cap_ms));
            if ttl.as_u64() != Some(capped) {
                splice.replace(ttl.span(), capped.to_string());
            }
        }
        // The server did not say that the list stays fresh, so neither do we.
        None if modern => missing.push_str(r#","ttlMs":0"#),
        None => {}
    }
    // The array is a member, so there is one to put the comma after.
    if !missing.is_empty() {
        splice.insert(result.span().end.saturating_sub(1), missing);
    }
}

/// What is no number of milliseconds counts as "do not cache".
fn capped_ttl(ttl: &Value<'_, '_>, cap: u64) -> u64 {
    let digits = ttl.as_number_text().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    // More digits than a `u64` holds are more than any cap.
    digits.map_or(0, |digits| digits.parse().unwrap_or(u64::MAX).min(cap))
}
