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
    /// As the authorization server describes itself.
    metadata: Value,
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
    /// `issuer` is the public URL, or that of another authorization server.
    pub async fn register(issuer: &str) -> anyhow::Result<Self> {
        let http = crate::http::client().build()?;
        let metadata: Value =
            http.get(format!("{issuer}/.well-known/openid-configuration")).send().await?.json().await?;
        let client = json!({
            "client_name": "A client of the tests",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        });
        let request = http.post(text(&metadata, "registration_endpoint")?).json(&client);
        let registered: Value = request.send().await?.error_for_status()?.json().await?;
        Ok(Self { http, id: text(&registered, "client_id")?, metadata })
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
        Ok(Url::parse_with_params(&text(&self.metadata, "authorization_endpoint")?, parameters)?.into())
    }

    /// The browser has come to `arrival`.
    pub async fn redeem(&self, arrival: &Url, resource: &str) -> anyhow::Result<Tokens> {
        let answer = |name: &str| {
            let found = arrival.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).with_context(|| format!("no {name}: {arrival}"))
        };
        anyhow::ensure!(arrival.as_str().starts_with(REDIRECT_URI), "the browser is at {arrival}");
        let issuer = text(&self.metadata, "issuer")?;
        anyhow::ensure!(answer("state")? == STATE && answer("iss")? == issuer, "of another: {arrival}");
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
        Ok(self.http.post(text(&self.metadata, "token_endpoint")?).form(&form).send().await?)
    }
}

/// Out of the answer of the token endpoint.
pub fn tokens(answer: &Value) -> anyhow::Result<Tokens> {
    Ok(Tokens {
        access: text(answer, "access_token")?,
        refresh: text(answer, "refresh_token")?,
        scope: text(answer, "scope")?,
    })
}

fn text(answer: &Value, name: &str) -> anyhow::Result<String> {
    answer[name].as_str().map(str::to_owned).with_context(|| format!("the answer has no {name}"))
}
