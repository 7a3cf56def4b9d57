//! An MCP client that signs in by hand, step by step: for stories about what its tokens may do, and when they end. The
//! SDKs do all this by themselves ([`crate::sdk`]).

use anyhow::Context as _;
use reqwest::{Response, Url};
use serde_json::{Value, json};

/// Nobody listens there: what the browser would bring is read out of the address.
const REDIRECT_URI: &str = "http://127.0.0.1:1/callback";

const STATE: &str = "the-state-of-this-client";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-x";
/// S256 of [`VERIFIER`].
const CHALLENGE: &str = "jL8osqXeMCXbVEXJ15QLlPOO0xcWFXrSy7NFE3Tb2Uk";

/// A client that has registered itself.
#[derive(Debug)]
pub struct OAuthClient {
    http: reqwest::Client,
    gateway: String,
    pub id: String,
}

/// What it got.
#[derive(Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    /// As granted.
    pub scope: String,
}

impl OAuthClient {
    /// `gateway` is the public URL.
    pub async fn register(gateway: &str) -> anyhow::Result<Self> {
        let http = crate::http::client().build()?;
        let metadata = json!({
            "client_name": "A client of the tests",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        });
        let request = http.post(format!("{gateway}/oauth/register")).json(&metadata);
        let registered: Value = request.send().await?.error_for_status()?.json().await?;
        let id = registered["client_id"].as_str().context("no client_id")?.to_owned();
        Ok(Self { http, gateway: gateway.to_owned(), id })
    }

    /// Where its person has to go.
    pub fn authorization_url(&self, resource: &str, scope: &str) -> anyhow::Result<String> {
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT_URI),
            ("state", STATE),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", resource),
            ("scope", scope),
        ];
        Ok(Url::parse_with_params(&format!("{}/oauth/authorize", self.gateway), parameters)?.into())
    }

    /// The browser has come to `arrival`.
    pub async fn redeem(&self, arrival: &Url, resource: &str) -> anyhow::Result<Tokens> {
        let answer = |name: &str| {
            let found = arrival.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).with_context(|| format!("no {name}: {arrival}"))
        };
        anyhow::ensure!(arrival.as_str().starts_with(REDIRECT_URI), "the browser is at {arrival}");
        anyhow::ensure!(answer("state")? == STATE && answer("iss")? == self.gateway, "of another: {arrival}");
        let code = answer("code")?;
        let response = self
            .ask(&[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", REDIRECT_URI),
                ("code_verifier", VERIFIER),
                ("resource", resource),
            ])
            .await?;
        tokens(&response.error_for_status()?.json().await?)
    }

    /// Asks for the next access token; the answer may be a refusal.
    pub async fn refresh(&self, refresh_token: &str) -> anyhow::Result<Response> {
        self.ask(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
    }

    async fn ask(&self, parameters: &[(&str, &str)]) -> anyhow::Result<Response> {
        let mut form = vec![("client_id", self.id.as_str())];
        form.extend_from_slice(parameters);
        Ok(self.http.post(format!("{}/oauth/token", self.gateway)).form(&form).send().await?)
    }
}

/// Out of the answer of the token endpoint.
pub fn tokens(answer: &Value) -> anyhow::Result<Tokens> {
    let text = |name: &str| {
        answer[name].as_str().map(str::to_owned).with_context(|| format!("the answer has no {name}"))
    };
    Ok(Tokens { access: text("access_token")?, refresh: text("refresh_token")?, scope: text("scope")? })
}
