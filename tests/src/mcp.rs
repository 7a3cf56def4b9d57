//! A small MCP client that shows everything: status, headers and each message of an answer, in both eras.
//!
//! The official clients are tried elsewhere; this one can be told to do things that they would not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::patience::within;

pub const MODERN: &str = "2026-07-28";
pub const LATEST_LEGACY: &str = "2025-11-25";

/// Which protocol the agent speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// With a handshake; the version is sent in its header.
    Legacy(&'static str),
    /// Every request for itself.
    Modern,
}

/// The message of a request, with the metadata that the era demands.
pub fn message(era: Era, method: &str, mut params: Value) -> Value {
    if era == Era::Modern {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "portcullis-tests", "version": "0"},
        });
        let mut merged = meta;
        if let (Some(given), Some(all)) = (params["_meta"].as_object().cloned(), merged.as_object_mut()) {
            all.extend(given);
        }
        params["_meta"] = merged;
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// One client of one server.
#[derive(Clone, Debug)]
pub struct Agent {
    http: Client,
    url: String,
    credential: Option<String>,
    era: Era,
    session: Option<String>,
    /// Shared with every agent that was made from this one.
    sent: Arc<AtomicU64>,
}

impl Agent {
    /// # Panics
    /// If no HTTP client can be made.
    pub fn new(url: impl Into<String>, credential: Option<&str>, era: Era) -> Self {
        let http = crate::http::client().redirect(reqwest::redirect::Policy::none()).build();
        Self {
            http: http.expect("an HTTP client"),
            url: url.into(),
            credential: credential.map(str::to_owned),
            era,
            session: None,
            sent: Arc::default(),
        }
    }

    /// How many requests this agent and those made from it have sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The same agent with another credential.
    #[must_use]
    pub fn with_credential(&self, credential: Option<&str>) -> Self {
        Self { credential: credential.map(str::to_owned), ..self.clone() }
    }

    /// An agent of another server or era over the same connections, without a session.
    #[must_use]
    pub fn at(&self, url: impl Into<String>, era: Era) -> Self {
        Self { url: url.into(), era, session: None, ..self.clone() }
    }

    /// The same agent in another session.
    #[must_use]
    pub fn in_session(&self, session: Option<&str>) -> Self {
        Self { session: session.map(str::to_owned), ..self.clone() }
    }

    /// The legacy handshake; remembers the session. Returns the reply to `initialize`.
    ///
    /// # Panics
    /// If the agent is not legacy or the handshake fails.
    pub async fn initialize(&mut self) -> Reply {
        self.initialize_with(json!({})).await
    }

    /// [`Self::initialize`] with capabilities.
    ///
    /// # Panics
    /// As that.
    pub async fn initialize_with(&mut self, capabilities: Value) -> Reply {
        let outcome = self.try_initialize(capabilities).await;
        outcome.unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// [`Self::initialize_with`]; the error is the refusal of either of its requests.
    ///
    /// # Panics
    /// If the agent is not legacy, or there is no answer.
    pub async fn try_initialize(&mut self, capabilities: Value) -> Result<Reply, Reply> {
        let Era::Legacy(version) = self.era else { panic!("only legacy agents shake hands") };
        let params = json!({
            "protocolVersion": version,
            "capabilities": capabilities,
            "clientInfo": {"name": "portcullis-tests", "version": "0"},
        });
        let reply = self.call("initialize", params).await;
        if reply.status != 200 {
            return Err(reply);
        }
        self.session = reply.header("mcp-session-id").map(str::to_owned);
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let accepted = self.send(self.post(&ready)).await;
        if accepted.status == 202 { Ok(reply) } else { Err(accepted) }
    }

    /// Sends a request and reads its whole answer.
    pub async fn call(&self, method: &str, params: Value) -> Reply {
        self.send(self.post(&self.message(method, params))).await
    }

    /// Calls a tool and reads the whole answer.
    pub async fn call_tool(&self, name: &str, arguments: Value) -> Reply {
        self.call("tools/call", json!({"name": name, "arguments": arguments})).await
    }

    /// The message of a request, with the metadata that the era demands.
    pub fn message(&self, method: &str, params: Value) -> Value {
        message(self.era, method, params)
    }

    /// A POST of `message`, ready to be changed or sent.
    pub fn post(&self, message: &Value) -> RequestBuilder {
        let mut builder = self
            .builder(Method::POST)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .body(message.to_string());
        if let (Era::Modern, Some(method)) = (self.era, message["method"].as_str()) {
            builder = builder.header("mcp-method", method);
            let name = match method {
                "resources/read" => message["params"]["uri"].as_str(),
                "tools/call" | "prompts/get" => message["params"]["name"].as_str(),
                _ => None,
            };
            if let Some(name) = name {
                builder = builder.header("mcp-name", name);
            }
        }
        builder
    }

    /// A request without a body: GET for the legacy event stream, DELETE to end the session.
    pub fn builder(&self, method: Method) -> RequestBuilder {
        let mut builder = self.http.request(method, &self.url);
        if let Some(credential) = &self.credential {
            builder = builder.header(AUTHORIZATION, format!("Bearer {credential}"));
        }
        if let Some(session) = &self.session {
            builder = builder.header("mcp-session-id", session);
        }
        let version = match self.era {
            // `initialize` itself has no version header, because none is agreed yet.
            Era::Legacy(version) => self.session.is_some().then_some(version),
            Era::Modern => Some(MODERN),
        };
        if let Some(version) = version {
            builder = builder.header("mcp-protocol-version", version);
        }
        builder
    }

    /// Sends and reads the whole answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn send(&self, request: RequestBuilder) -> Reply {
        self.sent.fetch_add(1, Ordering::Relaxed);
        within("an answer", async {
            let response = request.send().await.expect("an answer");
            Reply {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: response.text().await.expect("the answer's body"),
            }
        })
        .await
    }

    /// Sends and reads the head only; the events come when asked for.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn stream(&self, request: RequestBuilder) -> EventStream {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let response = within("the head of an answer", request.send()).await.expect("an answer");
        EventStream { response, buffer: Vec::new() }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What the access log calls this request.
    ///
    /// # Panics
    /// If the response does not say.
    pub fn request_id(&self) -> &str {
        self.header("x-request-id").unwrap_or_else(|| panic!("no request id: {self:?}"))
    }

    /// Every message of the answer, whether it came as JSON or as events.
    ///
    /// # Panics
    /// If a message is not JSON.
    pub fn messages(&self) -> Vec<Value> {
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let events = self.body.split("\n\n").map(Event::parse);
            return events.filter_map(|event| event.message()).collect();
        }
        vec![serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))]
    }

    /// The message that answers the request: the last one.
    ///
    /// # Panics
    /// If there is none.
    pub fn answer(&self) -> Value {
        self.messages().pop().unwrap_or_else(|| panic!("no message: {self:?}"))
    }

    /// The `name` (or `uri`, or `uriTemplate`) of each entry of a list result.
    pub fn listed(&self, list: &str) -> Vec<String> {
        let answer = self.answer();
        let entries = answer["result"][list].as_array().cloned().unwrap_or_default();
        let key = match list {
            "resources" => "uri",
            "resourceTemplates" => "uriTemplate",
            _ => "name",
        };
        entries.iter().filter_map(|entry| entry[key].as_str()).map(str::to_owned).collect()
    }
}

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: Option<String>,
    /// The lines of `data`, joined.
    pub data: String,
    /// As received.
    pub raw: String,
}

impl Event {
    fn parse(raw: &str) -> Self {
        let field = |name: &str| {
            let prefix = format!("{name}:");
            let values = raw.lines().filter_map(move |line| line.strip_prefix(&prefix).map(str::to_owned));
            values.map(|value| value.strip_prefix(' ').map_or(value.clone(), str::to_owned))
        };
        Self {
            id: field("id").next(),
            data: field("data").collect::<Vec<_>>().join("\n"),
            raw: raw.to_owned(),
        }
    }

    /// The message inside, if there is one.
    ///
    /// # Panics
    /// If the data is not JSON.
    pub fn message(&self) -> Option<Value> {
        let data = self.data.trim();
        (!data.is_empty())
            .then(|| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {:?}", self.raw)))
    }
}

/// An answer that comes event by event.
#[derive(Debug)]
pub struct EventStream {
    pub response: Response,
    buffer: Vec<u8>,
}

impl EventStream {
    /// The next event; `None` at the end of the answer.
    ///
    /// # Panics
    /// If none comes or the answer breaks off.
    pub async fn next(&mut self) -> Option<Event> {
        within("an event", async {
            loop {
                if let Some(event) = self.take_event() {
                    return Some(event);
                }
                let chunk = self.response.chunk().await.expect("the answer goes on")?;
                self.buffer.extend_from_slice(&chunk);
            }
        })
        .await
    }

    /// As [`Self::next`]; `None` also where the answer breaks off.
    ///
    /// # Panics
    /// If nothing comes.
    pub async fn next_if_any(&mut self) -> Option<Event> {
        within("an event or the end of an answer", async {
            loop {
                if let Some(event) = self.take_event() {
                    return Some(event);
                }
                let chunk = self.response.chunk().await.ok()??;
                self.buffer.extend_from_slice(&chunk);
            }
        })
        .await
    }

    /// The next event of what was received already.
    fn take_event(&mut self) -> Option<Event> {
        let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
        let event: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
        Some(Event::parse(std::str::from_utf8(&event).expect("an event in UTF-8")))
    }

    /// What the access log calls this request.
    ///
    /// # Panics
    /// If the response does not say.
    pub fn request_id(&self) -> String {
        let id = self.response.headers().get("x-request-id").and_then(|value| value.to_str().ok());
        id.expect("a request id").to_owned()
    }

    /// Whether nothing more comes: the answer has ended, or breaks off.
    ///
    /// # Panics
    /// If neither happens.
    pub async fn is_over(&mut self) -> bool {
        self.buffer.is_empty()
            && !matches!(within("the end of an answer", self.response.chunk()).await, Ok(Some(_)))
    }

    /// The next event that carries a message.
    ///
    /// # Panics
    /// As [`Self::next`], and at the end of the answer.
    pub async fn next_message(&mut self) -> Value {
        loop {
            let event = self.next().await.expect("another event");
            if let Some(message) = event.message() {
                return message;
            }
        }
    }
}
