//! Every kind of key replaced while calls go on: nothing may fail, and in the end nothing may be left of the old keys.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::admin::Admin;
use crate::artifacts::Artifacts;
use crate::mcp::{Agent, Era};
use crate::patience::poll_for;
use crate::stack::{SAMPLE, Stack};

const DATA_KEYS: &str = "/v1/data-keys";

/// The file of the root key that takes the place of the first.
pub const NEXT_ROOT_KEY: &str = "root-key-2";

/// How long a step of a rotation may take: 15 seconds ahead, 30 until everything is sealed anew.
const STEP: Duration = Duration::from_mins(2);

/// More than this many calls are never under way: a machine that is too slow for the rate makes fewer.
const AT_ONCE: usize = 64;

/// What calls got while keys were replaced.
#[derive(Debug, Default)]
pub struct Calls {
    pub made: u64,
    /// The first few answers that were not what was asked for.
    pub failed: Vec<String>,
    pub seconds: u64,
}

/// A stack whose callers need a new lease for nearly every call, so that the keys are in use.
pub fn sections() -> [(String, Value); 1] {
    [("lease_ttl".to_owned(), json!("1s"))]
}

/// Calls at `rate` a second, while every replica takes another root key, another data key and another signing key.
///
/// # Errors
/// If a rotation does not come to its end.
pub async fn rotate_under_calls(stack: &mut Stack, rate: u32) -> anyhow::Result<Calls> {
    let agent = stack.agent(SAMPLE, Era::Modern);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let calling = tokio::spawn(call_at(agent, rate, stopped));
    let rotated = rotate(stack).await;
    stop.send_replace(true);
    let calls = calling.await?;
    rotated?;
    Ok(calls)
}

async fn call_at(agent: Agent, rate: u32, mut stopped: tokio::sync::watch::Receiver<bool>) -> Calls {
    let begun = Instant::now();
    let mut tick = interval(Duration::from_secs(1) / rate);
    // Calls that are late are made up for, so that the rate is kept.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut calls, mut under_way) = (Calls::default(), JoinSet::new());
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            _ = tick.tick(), if under_way.len() < AT_ONCE => {
                let agent = agent.clone();
                under_way.spawn(async move {
                    let reply = agent.call_tool("whoami", json!({})).await;
                    let served = reply.status == 200 && reply.answer()["result"].is_object();
                    if served { None } else { Some(format!("{reply:?}")) }
                });
            }
            Some(called) = under_way.join_next() => calls.count(called),
        }
    }
    while let Some(called) = under_way.join_next().await {
        calls.count(called);
    }
    calls.seconds = begun.elapsed().as_secs().max(1);
    calls
}

impl Calls {
    fn count(&mut self, called: Result<Option<String>, tokio::task::JoinError>) {
        self.made += 1;
        let failed = called.unwrap_or_else(|error| Some(error.to_string()));
        self.failed.extend(failed.filter(|_| self.failed.len() < 10));
    }
}

async fn rotate(stack: &mut Stack) -> anyhow::Result<()> {
    let before = root_keys(stack.admin()).await?;
    // First a new root key beside the one there is, then in its place, then alone: no replica is ever without the one
    // that wraps.
    write_root_key(&stack.directory.join(NEXT_ROOT_KEY))?;
    let (old, new) = (json!({"file": "root-key"}), json!({"file": NEXT_ROOT_KEY}));
    configure(stack, &old, &json!([new]), |ids| ids.len() == 2 && ids[0] == before[0]).await?;
    let both = root_keys(stack.admin()).await?;
    configure(stack, &new, &json!([old]), |ids| ids.len() == 2 && ids[0] == both[1]).await?;
    until(stack.admin(), |keys| {
        keys["data_keys"].as_array().is_some_and(|keys| keys.iter().all(|key| key["root_key"] == both[1]))
    })
    .await?;
    configure(stack, &new, &json!([]), |ids| ids == [both[1].clone()]).await?;

    stack.admin().post("/v1/signing-keys/rotate", json!(null)).await?;
    stack.admin().post("/v1/data-keys/rotate", json!(null)).await?;
    until(stack.admin(), |keys| {
        let retired = |key: &&Value| key["state"] == "retired";
        keys["data_keys"].as_array().is_some_and(|keys| {
            let mut retired = keys.iter().filter(retired).peekable();
            retired.peek().is_some() && retired.all(|key| key["resealed_at"].is_string())
        })
    })
    .await
}

fn write_root_key(path: &Path) -> anyhow::Result<()> {
    let mut key = [0_u8; 32];
    key.fill_with(|| fastrand::u8(..));
    std::fs::write(path, STANDARD.encode(key))?;
    Ok(())
}

/// Tells every token-service its root keys, and waits until each of them has taken them.
async fn configure(
    stack: &mut Stack,
    present: &Value,
    others: &Value,
    taken: impl Fn(&[String]) -> bool,
) -> anyhow::Result<()> {
    for service in std::iter::once(&mut stack.service).chain(&mut stack.replicas) {
        service.set_section("root_key", present.clone());
        service.set_section("other_root_keys", others.clone());
        service.write_configuration()?;
    }
    for service in std::iter::once(&stack.service).chain(&stack.replicas) {
        until(&service.admin, |keys| taken(&ids(keys))).await?;
    }
    Ok(())
}

async fn root_keys(admin: &Admin) -> anyhow::Result<Vec<String>> {
    Ok(ids(&admin.get(DATA_KEYS).await?))
}

/// Of the root keys: the one that wraps first.
fn ids(keys: &Value) -> Vec<String> {
    let others = keys["other_root_keys"].as_array().into_iter().flatten();
    std::iter::once(&keys["root_key"]).chain(others).filter_map(|id| Some(id.as_str()?.to_owned())).collect()
}

async fn until(admin: &Admin, holds: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
    let held = poll_for(STEP, async || {
        let shown = admin.get(DATA_KEYS).await.ok()?;
        holds(&shown).then_some(())
    });
    if held.await.is_none() {
        bail!("a rotation does not go on: {}", admin.get(DATA_KEYS).await?);
    }
    Ok(())
}

/// What `portcullis verify` says about the database of a stack: the columns, as JSON.
///
/// # Errors
/// If it cannot be run, or something does not open.
pub async fn verify(stack: &Stack) -> anyhow::Result<Value> {
    let program = Artifacts::find()?.portcullis;
    let configuration = stack.service.configuration();
    let mut command = Command::new(program);
    let output = command.arg("verify").arg("--config").arg(configuration).arg("--json").output().await?;
    let text = String::from_utf8(output.stdout)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}{said}");
    serde_json::from_str(&text).with_context(|| text.clone())
}
