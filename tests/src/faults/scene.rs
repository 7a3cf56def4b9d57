//! Where faults happen: the whole system with a member who is known to the filter, one who never called before, and a
//! response that is under way; and the judge, who goes by what reached the upstream and with whose credential.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::forger::{Forger, Forgery};
use super::line::{End, Line, State};
use super::report::{Bound, Report};
use super::{Condition, Outcome};
use crate::mcp::{Agent, Era, EventStream, Reply};
use crate::patience::{PATIENCE, poll};
use crate::person::Person;
use crate::port::Reserved;
use crate::provider::Provider;
use crate::provider::shape::Shape;
use crate::seed::{self, GRACE, IssuedKey, Server};
use crate::service::TokenService;
use crate::stack::{Builder, Ports, SCRIPTED, SCRIPTED_KEY, Stack};
use crate::upstream::protected::witness::{self, TESTIFY, Testimony};
use crate::upstream::protected::{Protected, Protection};
use crate::upstream::scripted::Answer;

/// Slug of the server that wants an account of each member.
pub const DESK: &str = "desk";
/// What the members are called at the provider.
pub const ADA_THERE: &str = "ada@provider";
pub const GRACE_THERE: &str = "grace@provider";
pub const ADA: &str = "Ada Lovelace";

/// For how long the workspace bears that nothing is verified.
pub const STALENESS: Duration = Duration::from_secs(1);
/// A filter goes unverified after one hold and its grace.
const UNVERIFIED: Duration = Duration::from_secs(3);
/// What a probe and the machine take.
const NOISE: Duration = Duration::from_millis(250);

/// A renewal that was begun and came to nothing keeps others from it for half a minute.
const LONGEST: Duration = Duration::from_secs(45);

/// So many first requests can be made.
const STRANGERS: usize = 24;
const PACE: Duration = Duration::from_millis(25);

/// What stands between Envoy and the token-service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Between {
    #[default]
    Nothing,
    Line,
    Forger,
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    pub key: IssuedKey,
    /// Whose credential a call may carry.
    pub account: &'static str,
}

/// One call, and what came of it.
#[derive(Debug)]
struct Asked {
    account: &'static str,
    outcome: Outcome,
    /// What the access log calls it.
    request: Option<String>,
}

/// A response that is under way.
#[derive(Debug)]
struct Open {
    stream: EventStream,
    answer: Answer,
}

/// The whole.
#[derive(Debug)]
pub struct Scene {
    pub stack: Stack,
    pub provider: Provider,
    pub protected: Protected,
    line: Option<Line>,
    forger: Option<Forger>,
    pub report: Report,
    /// Keys of Grace that no filter has seen.
    strangers: Vec<IssuedKey>,
    /// By the nonce of the call.
    asked: HashMap<String, Asked>,
    open: Option<Open>,
}

impl Scene {
    /// Starts everything, connects both members, and lets the filter know one of them.
    pub async fn start(between: Between, mut builder: Builder) -> anyhow::Result<Self> {
        let provider = Provider::start(Shape::linear()).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let protection = Protection::by(&provider);
        let protected = Protected::start_with(listener, protection, witness::endpoint())?;
        provider.allow_resource(&protected.url());
        // Let go of before the token-service takes it.
        let internal = Reserved::take(None)?.address()?;
        let (line, forger) = match between {
            Between::Nothing => (None, None),
            Between::Line => (Some(Line::to(End::Tcp(internal)).await?), None),
            Between::Forger => (None, Some(Forger::before(internal).await?)),
        };
        builder.servers.push(desk(&protected));
        builder.members.push(GRACE);
        builder.ports = Ports { internal: Some(internal.port()), ..builder.ports };
        builder.between = line.as_ref().map(Line::address).or(forger.as_ref().map(Forger::address));
        builder.explained = false;
        let stack = Stack::build(builder).await?;
        let workspace = &stack.seeded.workspace;
        let bears = json!({"staleness": format!("{}s", STALENESS.as_secs())});
        stack.admin().patch(&format!("/v1/workspaces/{workspace}?wait=applied"), bears).await?;
        let grace = &stack.seeded.others.first().context("Grace is a member")?.id;
        let mut strangers = Vec::new();
        for number in 0..STRANGERS {
            let name = format!("stranger {number}");
            strangers.push(seed::member_key(stack.admin(), workspace, grace, &name).await?);
        }
        let (report, asked) = (Report::default(), HashMap::new());
        let mut scene =
            Self { stack, provider, protected, line, forger, report, strangers, asked, open: None };
        scene.connect(&scene.ada(), ADA).await?;
        let grace = scene.stranger()?;
        scene.connect(&grace, GRACE.name).await?;
        scene.protected.clear();
        Ok(scene)
    }

    /// Whom the filter knows.
    pub fn ada(&self) -> Caller {
        self.holder_of(&self.stack.seeded.key)
    }

    /// Ada with another key.
    pub fn holder_of(&self, key: &IssuedKey) -> Caller {
        Caller { key: key.clone(), account: ADA_THERE }
    }

    /// Who never called before.
    pub fn stranger(&mut self) -> anyhow::Result<Caller> {
        let key = self.strangers.pop().context("all keys are used up")?;
        Ok(Caller { key, account: GRACE_THERE })
    }

    /// Does something to the line between Envoy and the token-service.
    pub fn set_line(&self, state: State) -> anyhow::Result<()> {
        self.line.as_ref().context("this scene has no line")?.set(state);
        Ok(())
    }

    /// Has answers of the token-service forged.
    pub fn forge(&self, forgery: Forgery) -> anyhow::Result<()> {
        self.forger.as_ref().context("this scene has no forger")?.set(forgery);
        Ok(())
    }

    /// The second token-service.
    pub fn replica(&self) -> anyhow::Result<&TokenService> {
        self.stack.replicas.first().context("this scene has no replica")
    }

    /// Connects the account of a member from the first call on.
    pub async fn connect(&self, caller: &Caller, name: &str) -> anyhow::Result<()> {
        let agent = Agent::new(self.stack.url(DESK), Some(&caller.key.text), Era::Modern);
        let reply = agent.call_tool(TESTIFY, json!({"nonce": "connecting"})).await;
        let link = link_in(&reply.body).with_context(|| format!("no link: {reply:?}"))?;
        self.provider.approve_as(Some(caller.account));
        let person = Person::new();
        let page = person.open(&link).await?;
        let consent = person.press(&page, name).await?;
        let connected = person.press(&consent, "Continue to").await?;
        ensure!(connected.text().contains("Connected"), "{}: {}", connected.status, connected.text());
        Ok(())
    }

    /// Calls the desk's tool once.
    pub async fn ask(&mut self, caller: &Caller) -> Outcome {
        let nonce = format!("nonce-{}", fastrand::u64(..));
        let agent = Agent::new(self.stack.url(DESK), Some(&caller.key.text), Era::Modern);
        let message = agent.message("tools/call", json!({"name": TESTIFY, "arguments": {"nonce": nonce}}));
        let sent = async {
            let response = agent.post(&message).send().await.ok()?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Some(Reply { status, headers, body: response.text().await.ok()? })
        };
        let reply = tokio::time::timeout(PATIENCE, sent).await.ok().flatten();
        let outcome = reply.as_ref().map_or(Outcome::NoAnswer, outcome_of);
        if let (Outcome::Served, Some(reply)) = (outcome, &reply) {
            let told = testimony(reply);
            let is_own = told.is_some_and(|told| told.subject == caller.account && told.nonce == nonce);
            if !is_own {
                self.report.open(format!("{} was answered {}", caller.account, reply.body));
            }
        }
        if let (Outcome::Other(_), Some(reply)) = (outcome, &reply) {
            println!("    {} got {reply:?}", caller.account);
        }
        let request = reply.as_ref().and_then(|reply| reply.header("x-request-id")).map(str::to_owned);
        self.asked.insert(nonce, Asked { account: caller.account, outcome, request });
        outcome
    }

    /// Calls until that comes of it, and says when; the error has what came of it instead.
    pub async fn until(&mut self, caller: &Caller, wanted: Outcome) -> Result<Duration, Outcome> {
        let begun = Instant::now();
        loop {
            let outcome = self.ask(caller).await;
            if outcome == wanted {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > LONGEST {
                return Err(outcome);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Has the upstream refuse an account's token, so that it is renewed.
    pub async fn renew(&mut self, account: &'static str) -> anyhow::Result<()> {
        self.provider.expire_access_tokens_of(account);
        let caller = self.ada();
        ensure!(caller.account == account, "{account} is not the account of the cached caller");
        let renewed = self.until(&caller, Outcome::Served).await;
        // What carried the old token is of no interest.
        self.judge(true).await;
        renewed.map(drop).map_err(|outcome| anyhow!("with a token to be renewed a call is {outcome}"))
    }

    /// Has every filter forget the leases of the workspace, by a change that changes nothing.
    pub async fn forget_leases(&self) -> anyhow::Result<()> {
        let (workspace, server) = (&self.stack.seeded.workspace, self.stack.server_id(DESK));
        let path = format!("/v1/policies/workspace:{workspace}/{server}?wait=applied");
        let rules = json!({"tools": {"deny": [format!("nothing-{}", fastrand::u32(..))]}});
        self.stack.admin().put(&path, rules).await.map(drop)
    }

    /// Waits until every filter that there is has heard of all that the token-service knows.
    pub async fn everybody_knows(&self) -> anyhow::Result<()> {
        let admin = self.stack.admin();
        let all = poll(async || {
            let status = admin.get("/v1/status").await.ok()?;
            let filters = status["filters"].as_array()?;
            let is_current = |filter: &Value| filter["cursor"] == status["revision"];
            (!filters.is_empty() && filters.iter().all(is_current)).then_some(())
        });
        all.await.context("the filters do not hear of what there is")
    }

    /// Waits until somebody who never called before is served.
    pub async fn until_fresh(&mut self) -> Result<Duration, Outcome> {
        let Ok(caller) = self.stranger() else { return Err(Outcome::NotACase) };
        self.until(&caller, Outcome::Served).await
    }

    /// Ends it, and says what was seen.
    pub async fn end(mut self) -> anyhow::Result<Report> {
        let trapped = !self.stack.filter_never_trapped().await;
        self.report.expect(!trapped, "the filter has trapped");
        Ok(std::mem::take(&mut self.report))
    }

    /// Opens a response that stays under way, in the place of the last one.
    pub async fn open_stream(&mut self) -> Outcome {
        let key = self.stack.seeded.key.text.clone();
        let agent = Agent::new(self.stack.url(SCRIPTED), Some(&key), Era::Modern);
        let call = agent.message("tools/call", json!({"name": "allowed", "arguments": {}}));
        let request = agent.post(&call);
        let (streaming, arriving) = (agent.stream(request), self.stack.scripted.next_request());
        let (arrived, answer, stream) = {
            tokio::pin!(streaming, arriving);
            let conversation = tokio::select! {
                conversation = &mut arriving => conversation,
                refused = &mut streaming => return status_of(refused.response.status().as_u16()),
            };
            let arrived = conversation.request.clone();
            (arrived, conversation.events(), streaming.await)
        };
        if arrived.header("x-api-key") != [SCRIPTED_KEY] {
            self.report.open(format!("a stream had {:?}", arrived.headers));
        }
        self.open = Some(Open { stream, answer });
        self.stream_passes().await
    }

    /// Whether the next event of the response under way reaches the client.
    pub async fn stream_passes(&mut self) -> Outcome {
        let Some(open) = &mut self.open else { return Outcome::NoAnswer };
        let event = json!({"jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": "t", "progress": fastrand::u32(..)}});
        if !open.answer.try_event(&event).await {
            return Outcome::NoAnswer;
        }
        let Some(message) = open.stream.next_if_any().await.and_then(|event| event.message()) else {
            return Outcome::NoAnswer;
        };
        match message["error"]["code"].as_i64() {
            None if message == event => Outcome::Served,
            Some(-31003) => Outcome::Refused,
            code => Outcome::Other(u16::try_from(code.unwrap_or_default().rem_euclid(1000)).unwrap_or(0)),
        }
    }

    /// Waits until everything is as it should be: the filter knows Ada, and a response is under way.
    pub async fn calm(&mut self) -> anyhow::Result<()> {
        let ada = self.ada();
        if let Err(outcome) = self.until(&ada, Outcome::Served).await {
            bail!("before the fault a call was {outcome}");
        }
        let stream = self.open_stream().await;
        ensure!(stream == Outcome::Served, "before the fault a stream was {stream}");
        Ok(())
    }

    /// What a condition shows at this moment.
    pub async fn now(&mut self, condition: Condition, expected: Outcome) -> anyhow::Result<Outcome> {
        if expected == Outcome::NotACase {
            return Ok(expected);
        }
        let caller = if condition == Condition::First { self.stranger()? } else { self.ada() };
        Ok(self.look(condition, &caller).await)
    }

    /// Watches conditions that are served until they are refused, and notes how long that was from `begun` on.
    pub async fn for_a_while(
        &mut self,
        conditions: impl IntoIterator<Item = Condition>,
        begun: Instant,
    ) -> BTreeMap<Condition, Outcome> {
        let (ada, mut ended) = (self.ada(), BTreeMap::new());
        let mut watched: Vec<(Condition, Option<Duration>)> =
            conditions.into_iter().map(|condition| (condition, None)).collect();
        while !watched.is_empty() && begun.elapsed() < PATIENCE {
            for (condition, served_at) in std::mem::take(&mut watched) {
                let at = begun.elapsed();
                match (self.look(condition, &ada).await, served_at) {
                    (Outcome::Served, _) => watched.push((condition, Some(at))),
                    (Outcome::Refused, Some(last)) => {
                        self.note_silence(condition, last);
                        ended.insert(condition, Outcome::ServedForAWhile);
                    }
                    (outcome, _) => {
                        ended.insert(condition, outcome);
                    }
                }
            }
            tokio::time::sleep(PACE).await;
        }
        ended.extend(watched.into_iter().map(|(condition, _)| (condition, Outcome::Served)));
        ended
    }

    /// What a condition shows in the end, once the fault is healed.
    pub async fn after(&mut self, condition: Condition, expected: Outcome) -> anyhow::Result<Outcome> {
        if expected == Outcome::NotACase {
            return Ok(Outcome::NotACase);
        }
        let caller = match condition {
            Condition::First => self.stranger()?,
            Condition::Cached => self.ada(),
            Condition::Stream => {
                let opened = poll(async || Some(self.open_stream().await).filter(|shown| *shown == expected));
                return Ok(match opened.await {
                    Some(outcome) => outcome,
                    None => self.open_stream().await,
                });
            }
        };
        match self.until(&caller, expected).await {
            Ok(_) => Ok(expected),
            Err(outcome) => Ok(outcome),
        }
    }

    async fn look(&mut self, condition: Condition, caller: &Caller) -> Outcome {
        match condition {
            Condition::First | Condition::Cached => self.ask(caller).await,
            Condition::Stream => self.stream_passes().await,
        }
    }

    fn note_silence(&mut self, condition: Condition, served_for: Duration) {
        let most = UNVERIFIED + STALENESS + NOISE;
        let what = format!("silence borne ({condition})");
        self.report.bounds.push(Bound { what, measured: served_for, most });
    }

    /// Goes over what has reached the upstreams since the last time. `may_reach`: whether a call that was not served may
    /// have got there, because what refused it is behind the filter.
    pub async fn judge(&mut self, may_reach: bool) {
        let asked = std::mem::take(&mut self.asked);
        for entry in self.protected.journal.entries() {
            let body: Value = serde_json::from_str(&entry.body).unwrap_or_default();
            if body["method"] != "tools/call" {
                continue;
            }
            let nonce = body["params"]["arguments"]["nonce"].as_str().unwrap_or_default();
            let owner = self.owner(&entry.header("authorization"));
            self.report.arrivals += 1;
            match asked.get(nonce) {
                None => self.report.open(format!("nobody has asked for {}", entry.body)),
                Some(asked) if owner.as_deref() != Some(asked.account) => {
                    self.report.open(format!("a call of {} had what belongs to {owner:?}", asked.account));
                }
                Some(asked) if asked.outcome == Outcome::Served || may_reach => {}
                Some(asked) => self.judge_refused(asked).await,
            }
        }
        self.report.calls += asked.len();
        self.protected.clear();
    }

    /// A call that was not served and reached the upstream. It may have been let go when that was right, and its answer kept
    /// back when it was not any more.
    async fn judge_refused(&mut self, asked: &Asked) {
        let request = asked.request.as_deref().unwrap_or_default();
        let record = self.stack.envoy.access_log.wait_for(|record| record["request_id"] == request).await;
        let ended = record.as_ref().and_then(|record| record["ended"].as_str());
        if !matches!(ended, Some("unverified" | "revoked")) {
            let Asked { account, outcome, .. } = asked;
            self.report.open(format!("a call of {account} was {outcome} and went on: {record:?}"));
        }
    }

    /// Whose credential it is, in the books of the provider.
    fn owner(&self, authorization: &[&str]) -> Option<String> {
        let [value] = authorization else { return None };
        let token = value.strip_prefix("Bearer ")?;
        let issued = self.provider.ledger.token_requests().into_iter().filter_map(|asked| asked.outcome.ok());
        let mut owners = issued.filter(|issued| issued.access_token == token).map(|issued| issued.subject);
        owners.next()
    }
}

fn desk(protected: &Protected) -> Server {
    Server {
        slug: DESK,
        url: protected.url(),
        auth: json!({"type": "oauth"}),
        allowed_tool: TESTIFY,
        denied_tool: "delete_issue",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        payload: "digest",
    }
}

fn outcome_of(reply: &Reply) -> Outcome {
    match reply.status {
        200 if reply.body.contains("/connect/") => Outcome::AskedToConnect,
        200 if testimony(reply).is_some() => Outcome::Served,
        401 => Outcome::Unauthenticated,
        503 if reply.header("retry-after").is_some() && reply.body.contains("-31003") => Outcome::Refused,
        status => Outcome::Other(status),
    }
}

fn status_of(status: u16) -> Outcome {
    match status {
        503 => Outcome::Refused,
        401 => Outcome::Unauthenticated,
        status => Outcome::Other(status),
    }
}

fn testimony(reply: &Reply) -> Option<Testimony> {
    let answer: Value = serde_json::from_str(&reply.body).ok()?;
    serde_json::from_str(answer["result"]["content"][0]["text"].as_str()?).ok()
}

fn link_in(text: &str) -> Option<String> {
    let start = text[..text.find("/connect/")?].rfind("http")?;
    let link = &text[start..];
    let end = link.find(|end: char| !(end.is_ascii_alphanumeric() || "-_.:/".contains(end)));
    Some(link[..end.unwrap_or(link.len())].trim_end_matches('.').to_owned())
}
