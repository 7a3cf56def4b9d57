//! The running system that rows are tried on, and what must hold after each of them.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jwt_simple::prelude::Clock;
use portcullis_tests::canaries::{Canary, Place, Search};
use portcullis_tests::idp::{AUDIENCE, IdentityProvider};
use portcullis_tests::mcp::{Agent, Era, LATEST_LEGACY};
use portcullis_tests::patience::within;
use portcullis_tests::raw::{RawConnection, RawResponse};
use portcullis_tests::seed::{GRACE, ISSUER, SUBJECT};
use portcullis_tests::stack::{Builder, OPEN, SAMPLE, SAMPLE_KEY, SCRIPTED_KEY, Stack};
use portcullis_tests::upstream::journal::Entry;

use super::bytes::{Bytes, Variables};
use super::request::{Request, era_variables};
use super::row::{Answer, Content, EraName, Input};

/// One for all rows of a file.
pub(crate) struct Stand {
    pub(crate) stack: Stack,
    pub(crate) provider: Arc<IdentityProvider>,
    sessions: [(&'static str, String); 2],
    search: Search,
    /// The logs, and how far each has been searched.
    logs: Mutex<Vec<(PathBuf, u64)>>,
}

/// So much of what was searched before is searched again, for secrets that were half written.
const OVERLAP: u64 = 4096;

impl Stand {
    /// # Panics
    /// If it does not start.
    pub(crate) async fn start() -> Self {
        let provider = Arc::new(IdentityProvider::default());
        let builder = Builder { issuers: provider.issuers(), members: vec![GRACE], ..Builder::default() };
        let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
        let mut sessions = [(SAMPLE, String::new()), (OPEN, String::new())];
        for (slug, session) in &mut sessions {
            let agent = stack.legacy_agent(slug).await;
            agent.session().unwrap_or_default().clone_into(session);
        }
        let canaries = [
            Canary::new("the key of the sample server", SAMPLE_KEY),
            Canary::new("the key of the scripted server", SCRIPTED_KEY),
            Canary::new("Ada's key", &stack.seeded.key.text),
            Canary::new("Grace's key", &stack.seeded.others[0].key.text),
        ];
        let names = ["envoy.log", "token-service.log", "access.jsonl"];
        let logs = names.map(|name| (stack.directory.join(name), 0)).to_vec();
        let search = Search::new(&canaries).expect("a search");
        Self { stack, provider, sessions, search, logs: Mutex::new(logs) }
    }

    fn variables(&self, server: &str, era: EraName) -> Variables {
        let mut variables = Variables::default();
        era_variables(&mut variables, era);
        let session = self.sessions.iter().find(|(slug, _)| *slug == server);
        variables.set("session", session.map_or("", |(_, session)| session.as_str()));
        variables.set("host", self.stack.gateway.to_string());
        variables.set("path", format!("/{server}/mcp"));
        variables.set("key", self.stack.seeded.key.text.as_str());
        variables.set("other_key", self.stack.seeded.others[0].key.text.as_str());
        variables.set("upstream_key", SAMPLE_KEY);
        variables.set("scripted_key", SCRIPTED_KEY);
        let now = Clock::now_since_epoch().as_secs();
        variables.set("scripted_url", self.stack.scripted.url());
        variables.set("now", now.to_string());
        variables.set("soon", (now + 300).to_string());
        variables.set("who", format!(r#""iss":"{ISSUER}","sub":"{SUBJECT}""#));
        variables.set("aud", format!(r#""aud":"{AUDIENCE}""#));
        variables.set("times", format!(r#""iat":{now},"exp":{}"#, now + 300));
        variables.set("long_ago", (now - 3600).to_string());
        variables.signed_by(&self.provider);
        variables
    }

    /// Sends an input in each of its eras and spellings.
    pub(crate) async fn run(&self, input: &Input) -> Vec<String> {
        let mut faults = Vec::new();
        for era in &input.eras {
            let mut variables = self.variables(&input.server, *era);
            let each = input.each.clone().unwrap_or_else(|| vec![Bytes::Text(String::new())]);
            for value in &each {
                let outcome = match value.make(&variables) {
                    Ok(value) => {
                        let shown = String::from_utf8_lossy(&value).chars().take(60).collect::<String>();
                        variables.set("each", value);
                        self.once(input, *era, &variables).await.map_err(|fault| (shown, fault))
                    }
                    Err(fault) => Err((format!("{value:?}"), fault)),
                };
                if let Err((each, fault)) = outcome {
                    faults.push(format!("{} ({era:?}, {each:?}): {fault}", input.what));
                }
            }
        }
        faults
    }

    async fn once(&self, input: &Input, era: EraName, variables: &Variables) -> Result<(), String> {
        let stack = &self.stack;
        stack.sample.journal.clear();
        stack.scripted.journal.clear();
        let request = input.request(variables, era)?;
        let answer = input.answer.as_ref().map(|answer| Prepared::new(answer, variables)).transpose()?;
        let response = self.exchange(&request, answer.as_ref()).await;
        let expected = input.expect.of(era);
        let mut faults = Vec::new();
        if let Err(fault) = expected.judge(response.as_ref()) {
            let shown = response.as_ref().map(|response| cut(&response.text(), 300));
            faults.push(format!("{fault}: {shown:?}"));
        }
        faults.extend(self.the_next_is_served().await);
        let reached = self.reached();
        if reached.len() != usize::from(expected.reaches) {
            faults.push(format!("{} requests reached a server: {reached:?}", reached.len()));
        }
        let reached: String = reached.iter().map(written).collect();
        faults.extend(look(&input.reached, "what reached the server", &reached, variables)?);
        let reply = response.as_ref().map(shown).unwrap_or_default();
        faults.extend(look(&input.reply, "the answer", &reply, variables)?);
        let place = Place::new("the answer to the client", reply);
        faults.extend(self.search.find_in(&place).iter().map(|found| format!("{found:?}")));
        if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
    }

    /// A machine without time to spare makes the token-service late. The filter says so, and is asked again.
    async fn exchange(&self, request: &[u8], answer: Option<&Prepared>) -> Option<RawResponse> {
        within("the token-service to answer the filter", async {
            loop {
                let response = self.send(request, answer).await;
                if !response.as_ref().is_some_and(is_late) {
                    return response;
                }
            }
        })
        .await
    }

    async fn send(&self, request: &[u8], answer: Option<&Prepared>) -> Option<RawResponse> {
        let client = async {
            let mut connection = RawConnection::open(self.stack.gateway).await;
            within("the request to be taken", connection.send(request)).await;
            connection.response().await
        };
        let Some(answer) = answer else { return client.await };
        let mut client = std::pin::pin!(client);
        tokio::select! {
            response = &mut client => response,
            () = self.answer(answer) => client.await,
        }
    }

    async fn answer(&self, prepared: &Prepared) {
        let conversation = self.stack.scripted.next_request().await;
        let headers: Vec<(&str, &[u8])> =
            prepared.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let answer = conversation.begin_bytes(prepared.status, &headers);
        for chunk in prepared.body.chunks(prepared.chunks.unwrap_or(usize::MAX)) {
            if !answer.offer(chunk).await {
                break;
            }
        }
    }

    /// What has reached a server, without the good request that came last.
    fn reached(&self) -> Vec<Entry> {
        let mut entries = self.stack.sample.journal.entries();
        entries.pop();
        entries.extend(self.stack.scripted.journal.entries());
        entries
    }

    async fn the_next_is_served(&self) -> Option<String> {
        let variables = self.variables(SAMPLE, EraName::Modern);
        let request = Request::good(&variables, EraName::Modern).expect("a good request");
        let response = self.exchange(&request.bytes(None, &[]), None).await;
        let status = response.as_ref().map(|response| response.status);
        (status != Some(200)).then(|| format!("the next request got {status:?}"))
    }

    /// What must hold after every row.
    pub(crate) async fn standing(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.the_next_is_served().await.into_iter().collect();
        if !self.stack.filter_never_trapped().await {
            faults.push("the filter has trapped".to_owned());
        }
        faults.extend(self.search_logs());
        faults
    }

    /// Looks for secrets in what the logs have got since it was asked last.
    fn search_logs(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (path, searched) in self.logs.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let mut file = File::open(path.as_path()).expect("a log");
            file.seek(SeekFrom::Start(searched.saturating_sub(OVERLAP))).expect("a place in it");
            let mut content = Vec::new();
            file.read_to_end(&mut content).expect("its text");
            *searched = file.stream_position().expect("its length");
            let place = Place::new(path.display().to_string(), content);
            faults.extend(self.search.find_in(&place).iter().map(|found| format!("{found:?}")));
        }
        faults
    }

    /// Waits until everything that was sent has its record, and looks for secrets once more.
    pub(crate) async fn end(&self) -> Vec<String> {
        let agent = self.agent(SAMPLE, EraName::Modern);
        let reply = agent.call("tools/list", serde_json::json!({})).await;
        self.stack.envoy.access_log.record_of(reply.request_id()).await;
        self.search_logs()
    }

    pub(crate) fn agent(&self, slug: &str, era: EraName) -> Agent {
        let era = match era {
            EraName::Modern => Era::Modern,
            EraName::Legacy => Era::Legacy(LATEST_LEGACY),
        };
        self.stack.agent(slug, era)
    }
}

/// An answer with everything filled in.
struct Prepared {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    chunks: Option<usize>,
}

impl Prepared {
    fn new(answer: &Answer, variables: &Variables) -> Result<Self, String> {
        let media_type =
            answer.media_type.iter().map(|value| Ok(("content-type".to_owned(), value.clone().into_bytes())));
        let headers =
            answer.headers.iter().map(|(name, value)| Ok((name.text(variables)?, value.make(variables)?)));
        Ok(Self {
            status: answer.status,
            headers: media_type.chain(headers).collect::<Result<_, String>>()?,
            body: answer.body.make(variables)?,
            chunks: answer.chunks,
        })
    }
}

/// Whether the filter says that it cannot decide, and that nothing was sent to the server.
fn is_late(response: &RawResponse) -> bool {
    response.status == 503 && response.text().contains("no answer from its token-service")
}

fn look(content: &Content, place: &str, text: &str, variables: &Variables) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for (texts, wanted) in [(&content.has, true), (&content.lacks, false)] {
        for part in texts {
            let part = part.text(variables)?;
            if text.contains(&part) != wanted {
                let verb = if wanted { "lacks" } else { "has" };
                faults.push(format!("{place} {verb} {part:?}: {}", cut(text, 1500)));
            }
        }
    }
    Ok(faults)
}

fn written(entry: &Entry) -> String {
    let headers: Vec<String> =
        entry.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{} {}\n{}\n{}\n", entry.method, entry.target, headers.concat(), entry.body)
}

fn shown(response: &RawResponse) -> String {
    let headers: Vec<String> =
        response.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{}\n{}\n{}", response.status, headers.concat(), response.text())
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}
