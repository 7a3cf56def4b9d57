//! Who calls: an identity provider with a key of each kind, and the requests with its tokens.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{
    Claims, Duration, ECDSAP256KeyPairLike as _, ECDSAP256PublicKeyLike as _, ES256KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike as _, RS256KeyPair, RSAKeyPairLike as _,
};
use serde_json::{Value, json};

use crate::idp::AUDIENCE;
use crate::mcp::{Era, LATEST_LEGACY, MODERN, message};
use crate::seed::{ISSUER, SUBJECT};

/// The gateway's own, wherever it listens.
pub const HOST: &str = "localhost:10000";

/// An identity provider that signs with whatever it is asked to.
#[derive(Debug)]
pub struct Provider {
    eddsa: Ed25519KeyPair,
    es256: ES256KeyPair,
    rs256: RS256KeyPair,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    EdDsa,
    Es256,
    Rs256,
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// As in a token's header (RFC 7518, RFC 8037).
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

impl Provider {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            eddsa: Ed25519KeyPair::generate().with_key_id(Algorithm::EdDsa.name()),
            es256: ES256KeyPair::generate().with_key_id(Algorithm::Es256.name()),
            rs256: RS256KeyPair::generate(2048)?.with_key_id(Algorithm::Rs256.name()),
        })
    }

    /// RFC 7517.
    pub fn jwks(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = self.es256.public_key().public_key().to_bytes_uncompressed();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        let rsa = self.rs256.public_key().to_components();
        let key = |algorithm: Algorithm, mut key: Value| {
            let name = algorithm.name();
            key["kid"] = json!(name);
            key["alg"] = json!(name);
            key["use"] = json!("sig");
            key
        };
        let eddsa = encode(&self.eddsa.public_key().to_bytes());
        json!({"keys": [
            key(Algorithm::EdDsa, json!({"kty": "OKP", "crv": "Ed25519", "x": eddsa})),
            key(Algorithm::Es256, json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})),
            key(Algorithm::Rs256, json!({"kty": "RSA", "n": encode(&rsa.n), "e": encode(&rsa.e)})),
        ]})
    }

    /// The `issuers` section of `portcullis.yaml` that trusts it.
    pub fn issuers(&self) -> Value {
        json!([{"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": self.jwks()}])
    }

    /// Tokens of the seeded member, each with an id of its own.
    ///
    /// # Errors
    /// If one cannot be signed.
    pub fn tokens(&self, algorithm: Algorithm, count: usize) -> anyhow::Result<Vec<String>> {
        (0..count)
            .map(|_| {
                let claims = Claims::create(Duration::from_hours(12))
                    .with_issuer(ISSUER)
                    .with_subject(SUBJECT)
                    .with_audience(AUDIENCE)
                    .with_jwt_id(format!("{:032x}", fastrand::u128(..)));
                Ok(match algorithm {
                    Algorithm::EdDsa => self.eddsa.sign(claims)?,
                    Algorithm::Es256 => self.es256.sign(claims)?,
                    Algorithm::Rs256 => self.rs256.sign(claims)?,
                })
            })
            .collect()
    }

    /// The same with signatures that are of another key, and look no worse.
    ///
    /// # Errors
    /// If one cannot be signed.
    pub fn forged(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let forger = Self { es256: ES256KeyPair::generate().with_key_id("ES256"), ..Self::new()? };
        let _ = self;
        forger.tokens(Algorithm::Es256, count)
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Message {
    pub server: &'static str,
    pub method: &'static str,
    pub params: Value,
    /// The id of a session makes it a legacy request.
    pub session: Option<String>,
}

impl Message {
    /// `tools/call` with arguments of about so many bytes.
    pub fn call(server: &'static str, bytes: usize) -> Self {
        let query = "logins that time out ".repeat(bytes / 21 + 1);
        let params = json!({"name": "search_issues", "arguments": {"query": query, "limit": 20}});
        Self { server, method: "tools/call", params, session: None }
    }

    pub fn list(server: &'static str) -> Self {
        Self { server, method: "tools/list", params: json!({}), session: None }
    }

    #[must_use]
    pub fn legacy(self, session: &str) -> Self {
        Self { session: Some(session.to_owned()), ..self }
    }

    /// As it is sent with `credential`.
    pub fn request(&self, credential: &str) -> Vec<u8> {
        let era = if self.session.is_some() { Era::Legacy(LATEST_LEGACY) } else { Era::Modern };
        let body = message(era, self.method, self.params.clone()).to_string();
        let mut headers = match &self.session {
            Some(session) => {
                format!("mcp-protocol-version: {LATEST_LEGACY}\r\nmcp-session-id: {session}\r\n")
            }
            None => format!("mcp-protocol-version: {MODERN}\r\nmcp-method: {}\r\n", self.method),
        };
        if let (None, Some(name)) = (&self.session, self.params["name"].as_str()) {
            headers = headers + "mcp-name: " + name + "\r\n";
        }
        text(self.server, credential, &headers, &body)
    }
}

/// The handshake of a legacy client.
pub fn initialize(server: &str, credential: &str) -> Vec<u8> {
    let client = json!({"name": "portcullis-bench", "version": "0"});
    let params = json!({"protocolVersion": LATEST_LEGACY, "capabilities": {}, "clientInfo": client});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
    text(server, credential, "", &body)
}

/// A legacy client's request for the stream of the server's own messages.
pub fn stream(server: &str, credential: &str) -> Vec<u8> {
    format!(
        "GET /{server}/mcp HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {credential}\r\n\
         accept: text/event-stream\r\n\r\n"
    )
    .into_bytes()
}

/// The session in the answer to [`initialize`].
pub fn session_of(answer: &str) -> anyhow::Result<String> {
    let mut lines = answer.lines().filter_map(|line| line.split_once(": "));
    let session = lines.find(|(name, _)| name.eq_ignore_ascii_case("mcp-session-id"));
    Ok(session.with_context(|| format!("no session: {answer}"))?.1.to_owned())
}

fn text(server: &str, credential: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /{server}/mcp HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {credential}\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         user-agent: portcullis-bench/0\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
