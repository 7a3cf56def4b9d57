//! What is measured: the same requests through each contender.

use std::sync::Arc;

use super::Extent;
use super::callers::{Algorithm, Message, initialize, session_of};
use super::contenders::Contender;
use super::load::Requests;
use super::rounds;
use super::world::{EVENTS, LIST, LIST_EVENTS, MANY_RULES, SMALL, World};

/// Requests that cost about the same.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub title: &'static str,
    /// Requests in each slice.
    pub count: usize,
    pub is_list: bool,
    /// Plain Envoy is the first.
    pub entries: Vec<Entry>,
}

/// One contender, or one kind of request through it.
#[derive(Debug)]
pub struct Entry {
    pub label: String,
    pub contender: Contender,
    pub requests: Arc<Requests>,
    /// So many requests go before those that count.
    pub warm_up: usize,
}

const WARM: [Contender; 5] =
    [Contender::Plain, Contender::Nothing, Contender::Native, Contender::Hold, Contender::Stream];
const LISTS: [Contender; 6] = [
    Contender::Plain,
    Contender::Reading,
    Contender::Rewriting,
    Contender::Native,
    Contender::Hold,
    Contender::Stream,
];

/// All cases, each with its requests.
///
/// # Errors
/// If a token cannot be signed, or a session cannot be begun.
pub async fn all(world: &World, extent: Extent) -> anyhow::Result<Vec<Case>> {
    Ok(vec![
        warm(world, extent, "small", "tools/call, small", 1_000, &Message::call(SMALL, 100))?,
        legacy(world, extent).await?,
        warm(
            world,
            extent,
            "large",
            "tools/call, 64 KiB of arguments",
            1_000,
            &Message::call(SMALL, 64 * 1024),
        )?,
        lists(world, extent, "list", "tools/list of 200 tools, half of them hidden, JSON", LIST)?,
        lists(world, extent, "list_events", "the same as an event stream", LIST_EVENTS)?,
        warm(world, extent, "events", "an answer of 1,000 events", 30, &Message::call(EVENTS, 100))?,
        credentials(world, extent)?,
        rules(world, extent)?,
        cold(world, extent)?,
        many_callers(world, extent)?,
    ])
}

fn slice(extent: Extent, count: usize) -> usize {
    if extent.is_short() { count / 10 } else { count }
}

fn entry(contender: Contender, requests: &Arc<Requests>, warm_up: usize) -> Entry {
    Entry { label: contender.name().to_owned(), contender, requests: Arc::clone(requests), warm_up }
}

fn warm(
    world: &World,
    extent: Extent,
    name: &'static str,
    title: &'static str,
    count: usize,
    message: &Message,
) -> anyhow::Result<Case> {
    let count = slice(extent, count);
    let requests = Requests::new(vec![message.request(&world.token(Algorithm::Es256)?)]);
    let entries = WARM.iter().map(|contender| entry(*contender, &requests, count / 2)).collect();
    Ok(Case { name, title, count, is_list: false, entries })
}

async fn legacy(world: &World, extent: Extent) -> anyhow::Result<Case> {
    let (count, token) = (slice(extent, 1_000), world.token(Algorithm::Es256)?);
    let mut entries = Vec::new();
    for contender in WARM {
        let answer = world.of(contender)?.load.once(&initialize(SMALL, &token)).await?;
        let message = Message::call(SMALL, 100).legacy(&session_of(&answer)?);
        let requests = Requests::new(vec![message.request(&token)]);
        entries.push(entry(contender, &requests, count / 2));
    }
    let title = "tools/call, small, legacy, in a session";
    Ok(Case { name: "legacy", title, count, is_list: false, entries })
}

fn lists(
    world: &World,
    extent: Extent,
    name: &'static str,
    title: &'static str,
    server: &'static str,
) -> anyhow::Result<Case> {
    let count = slice(extent, 300);
    let requests = Requests::new(vec![Message::list(server).request(&world.token(Algorithm::Es256)?)]);
    let entries = LISTS.iter().map(|contender| entry(*contender, &requests, count / 2)).collect();
    Ok(Case { name, title, count, is_list: true, entries })
}

/// What a caller shows is looked at once; then it is known.
fn credentials(world: &World, extent: Extent) -> anyhow::Result<Case> {
    let (count, message) = (slice(extent, 1_000), Message::call(SMALL, 100));
    let mut shown = vec![("API key".to_owned(), world.api_key())];
    for algorithm in Algorithm::ALL {
        shown.push((algorithm.name().to_owned(), world.token(algorithm)?));
    }
    let plain = Requests::new(vec![message.request(&world.api_key())]);
    let mut entries = vec![entry(Contender::Plain, &plain, count / 2)];
    for (label, credential) in shown {
        let requests = Requests::new(vec![message.request(&credential)]);
        entries.push(Entry { label, contender: Contender::Hold, requests, warm_up: count / 2 });
    }
    let title = "tools/call, small, by what the caller shows";
    Ok(Case { name: "credentials", title, count, is_list: false, entries })
}

fn rules(world: &World, extent: Extent) -> anyhow::Result<Case> {
    let (count, token) = (slice(extent, 1_000), world.token(Algorithm::Es256)?);
    let mut entries = Vec::new();
    for (label, contender, server) in [
        ("plain", Contender::Plain, SMALL),
        ("10 rules", Contender::Hold, SMALL),
        ("10,000 rules", Contender::Hold, MANY_RULES),
    ] {
        let requests = Requests::new(vec![Message::call(server, 100).request(&token)]);
        entries.push(Entry { label: label.to_owned(), contender, requests, warm_up: count / 2 });
    }
    let title = "tools/call, small, by the number of rules";
    Ok(Case { name: "rules", title, count, is_list: false, entries })
}

/// Every request has a token that nobody has seen before.
fn cold(world: &World, extent: Extent) -> anyhow::Result<Case> {
    let count = slice(extent, 300);
    let message = Message::call(SMALL, 100);
    let supply = count * (rounds(extent) + 1) + 1;
    let mut entries = Vec::new();
    for contender in [Contender::Plain, Contender::NativeUncached, Contender::Roomy] {
        let tokens = world.provider.tokens(Algorithm::Es256, supply)?;
        let requests = Requests::new(tokens.iter().map(|token| message.request(token)).collect());
        entries.push(entry(contender, &requests, count));
    }
    let title = "tools/call, small, each with a new ES256 token";
    Ok(Case { name: "cold", title, count, is_list: false, entries })
}

fn many_callers(world: &World, extent: Extent) -> anyhow::Result<Case> {
    let count = slice(extent, 1_000);
    let message = Message::call(SMALL, 100);
    let mut entries = Vec::new();
    for (label, contender, callers) in [
        ("plain", Contender::Plain, 1),
        ("1 caller", Contender::Roomy, 1),
        ("1,000 callers", Contender::Roomy, 1_000),
        ("10,000 callers", Contender::Roomy, if extent.is_short() { 2_000 } else { 10_000 }),
    ] {
        let tokens = world.provider.tokens(Algorithm::Es256, callers)?;
        let requests = Requests::new(tokens.iter().map(|token| message.request(token)).collect());
        // Each of them has been there once.
        entries.push(Entry { label: label.to_owned(), contender, requests, warm_up: callers.max(count / 2) });
    }
    let title = "tools/call, small, by the number of callers that are known";
    Ok(Case { name: "callers", title, count, is_list: false, entries })
}
