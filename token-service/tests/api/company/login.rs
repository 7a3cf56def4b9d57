//! The company's OpenID Connect provider, as good or as bad as a test wants it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::prelude::{
    Claims, Duration, ECDSAP256KeyPairLike as _, ES256KeyPair, HS256Key, JWTClaims, MACLike as _,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::browser::Departure;
use crate::harness::{CANARY, START};

pub(crate) const CLIENT: &str = "portcullis";
const ACCESS_TOKEN: &str = "canary-company-access-31b7";

/// What is wrong with an ID token.
pub(crate) type Tamper = fn(&mut Map<String, Value>);

/// How a token is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Signature {
    #[default]
    Good,
    /// `alg: none`
    None,
    /// HS256 with the client secret.
    Secret,
    /// By a key of somebody else that says it is the provider's.
    Foreign,
}

/// How the provider behaves at present.
#[derive(Default)]
pub(crate) struct Behaviour {
    pub(crate) tamper: Option<Tamper>,
    pub(crate) signature: Signature,
    /// In place of the answer to a code.
    pub(crate) token_answer: Option<(u16, Value)>,
    /// Members of the metadata in place of its own.
    pub(crate) metadata: Map<String, Value>,
    /// Answers 503 to everything.
    pub(crate) down: bool,
}

struct Shared {
    url: String,
    behaviour: Mutex<Behaviour>,
    key: Mutex<ES256KeyPair>,
    codes: Mutex<HashMap<String, Begun>>,
    /// How often which path was asked.
    asked: Mutex<BTreeMap<&'static str, usize>>,
    /// Seconds since the epoch.
    now: Mutex<u64>,
}

#[derive(Clone)]
struct Begun {
    nonce: String,
    challenge: String,
    redirect_uri: String,
    claims: Value,
}

/// Runs until it is dropped.
pub(crate) struct Login {
    shared: Arc<Shared>,
    running: tokio::task::JoinHandle<()>,
}

impl Login {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            url,
            behaviour: Mutex::default(),
            key: Mutex::new(ES256KeyPair::generate().with_key_id("one")),
            codes: Mutex::default(),
            asked: Mutex::default(),
            now: Mutex::new(START.0 / 1000),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        let running = tokio::spawn(async move { axum::serve(listener, routes).await.expect("serves") });
        Self { shared, running }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.shared.url
    }

    /// `sign_in` of `portcullis.yaml`, with these rules; and what it takes to reach loopback.
    pub(crate) fn configuration(&self, rules: &str) -> String {
        format!(
            "
egress: {{development_loopback: true}}
sign_in:
  oidc:
    issuer: '{}'
    client: {{id: {CLIENT}, secret: {{env: CANARY}}}}
    scopes: [profile, groups]
    memberships: [{rules}]
",
            self.shared.url
        )
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *locked(&self.shared.behaviour) = behaviour;
    }

    pub(crate) fn rotate_keys(&self) {
        *locked(&self.shared.key) = ES256KeyPair::generate().with_key_id("two");
    }

    pub(crate) fn advance(&self, seconds: u64) {
        *locked(&self.shared.now) += seconds;
    }

    /// How often a path was asked: `metadata`, `keys` or `token`.
    pub(crate) fn asked(&self, what: &str) -> usize {
        locked(&self.shared.asked).get(what).copied().unwrap_or_default()
    }

    /// The person signs in at the provider; the query that the browser comes back with.
    pub(crate) fn agree(&self, departure: &Departure, claims: Value) -> Vec<(&'static str, String)> {
        let parameter = |name: &str| departure.parameter(name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(parameter("response_type"), "code");
        assert_eq!(parameter("client_id"), CLIENT);
        assert_eq!(parameter("code_challenge_method"), "S256");
        assert_eq!(parameter("scope"), "openid profile groups");
        let code = format!("canary-company-code-{}", locked(&self.shared.codes).len());
        let begun = Begun {
            nonce: parameter("nonce"),
            challenge: parameter("code_challenge"),
            redirect_uri: parameter("redirect_uri"),
            claims,
        };
        locked(&self.shared.codes).insert(code.clone(), begun);
        vec![("code", code), ("state", departure.state.clone())]
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Shared {
    fn note(&self, what: &'static str) -> Option<Response> {
        *locked(&self.asked).entry(what).or_default() += 1;
        locked(&self.behaviour).down.then(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
    }

    fn id_token(&self, begun: &Begun) -> String {
        let now = *locked(&self.now);
        let mut claims = json!({
            "iss": self.url, "aud": CLIENT, "nonce": begun.nonce, "iat": now, "exp": now + 300,
            "at_hash": half_hash(ACCESS_TOKEN),
        });
        let claims = claims.as_object_mut().expect("claims");
        claims.extend(begun.claims.as_object().expect("claims").clone());
        let behaviour = locked(&self.behaviour);
        if let Some(tamper) = behaviour.tamper {
            tamper(claims);
        }
        let claims = without_times(claims.clone());
        let signed = match behaviour.signature {
            Signature::Good => locked(&self.key).sign(claims),
            Signature::Foreign => ES256KeyPair::generate().with_key_id("one").sign(claims),
            Signature::Secret => HS256Key::from_bytes(CANARY.as_bytes()).authenticate(claims),
            Signature::None => {
                let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let payload = serde_json::to_value(&claims.custom).expect("JSON");
                return format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&payload));
            }
        };
        signed.expect("signs")
    }
}

/// Just these claims; the library adds none.
fn without_times(claims: Map<String, Value>) -> JWTClaims<Map<String, Value>> {
    let mut claims = Claims::with_custom_claims(claims, Duration::from_secs(1));
    (claims.issued_at, claims.expires_at, claims.invalid_before) = (None, None, None);
    claims
}

pub(crate) fn half_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(token.as_bytes())[..16])
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(down) = shared.note("metadata") {
        return down;
    }
    let url = &shared.url;
    let mut document = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
    });
    let members = locked(&shared.behaviour).metadata.clone();
    document.as_object_mut().expect("a document").extend(members);
    Json(document).into_response()
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(down) = shared.note("keys") {
        return down;
    }
    let key: Value = serde_json::from_str(&locked(&shared.key).public_key().to_jwk()).expect("JSON");
    Json(json!({"keys": [key, {"kty": "unheard-of", "kid": "x"}]})).into_response()
}

/// As strict as it should be: a code is good once, with its verifier, its redirect URI, and the client's secret.
async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    if let Some(down) = shared.note("token") {
        return down;
    }
    let secret = url::form_urlencoded::byte_serialize(CANARY.as_bytes()).collect::<String>();
    let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{secret}")));
    assert_eq!(headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()), Some(&*expected));
    if let Some((status, answer)) = locked(&shared.behaviour).token_answer.clone() {
        return (StatusCode::from_u16(status).expect("a status"), Json(answer)).into_response();
    }
    let begun = locked(&shared.codes).remove(&form["code"]);
    let verifier = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    let Some(begun) = begun.filter(|it| it.challenge == verifier && it.redirect_uri == form["redirect_uri"])
    else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    };
    let id_token = shared.id_token(&begun);
    Json(
        json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 60, "id_token": id_token}),
    )
    .into_response()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
