//! npm `oidc-provider`, a certified authorization server that nobody here wrote, as a process (`tests/oidc/server.mjs`).

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::artifacts::repository;
use crate::fetched;
use crate::patience::poll;
use crate::port::Reserved;
use crate::process::{Process, Program};
use crate::upstream::protected::Introspection;

/// What the protected server shows when it asks about tokens.
const INTROSPECTION_SECRET: &str = "introspection-secret-41c9";

/// The secret of the gateway's client.
const COMPANY_SECRET: &str = "company-client-secret-77a0";

/// What the company's provider has to know: where the gateway's sign-ins come back to, and its people.
#[derive(Clone, Debug)]
pub struct Company {
    pub redirect_uris: Vec<String>,
    /// By login: `name` and `groups`.
    pub people: Value,
}

/// A running server.
#[derive(Debug)]
pub struct Oidc {
    address: SocketAddr,
    process: Process,
    _directory: TempDir,
}

/// Something that it did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// `grant.success`, `grant.error`, `grant.revoked` or `registration_create.success`.
    pub event: String,
    pub grant_type: Option<String>,
    pub client_id: Option<String>,
    pub subject: Option<String>,
    pub error: Option<String>,
}

impl Oidc {
    /// Starts it. `None` if it is not on this machine, which has then been reported.
    pub async fn start(access_lifetime: Duration) -> anyhow::Result<Option<Self>> {
        Self::launch(access_lifetime, Vec::new()).await
    }

    /// Starts it as the identity provider of a company.
    pub async fn of_company(company: &Company) -> anyhow::Result<Option<Self>> {
        let more = vec![
            ("COMPANY_SECRET".into(), COMPANY_SECRET.into()),
            ("COMPANY_REDIRECTS".into(), company.redirect_uris.join(" ")),
            ("COMPANY_PEOPLE".into(), company.people.to_string()),
        ];
        Self::launch(Duration::from_mins(5), more).await
    }

    /// The section `sign_in` for a gateway of the company. Its secret lies in `secret`, a file that this makes.
    pub fn sign_in(&self, secret: &std::path::Path, memberships: &Value) -> anyhow::Result<Value> {
        std::fs::write(secret, COMPANY_SECRET)?;
        Ok(json!({"oidc": {
            "issuer": self.issuer(),
            "client": {"id": "portcullis", "secret": {"file": secret}},
            "scopes": ["profile", "groups"],
            "memberships": memberships,
        }}))
    }

    /// The entry of `issuers` for a gateway that asks it about tokens. The client's secret lies in `secret`, a file that
    /// this makes.
    pub fn asked_about_tokens(&self, secret: &std::path::Path) -> anyhow::Result<Value> {
        std::fs::write(secret, INTROSPECTION_SECRET)?;
        Ok(json!({"issuer": self.issuer(), "introspection": {
            "endpoint": format!("{}/token/introspection", self.issuer()),
            "client": {"id": "protected", "secret": {"file": secret}},
            "cache": "1s",
        }}))
    }

    async fn launch(access_lifetime: Duration, more: Vec<(String, String)>) -> anyhow::Result<Option<Self>> {
        let Some(node) = fetched::node_with_packages() else { return Ok(None) };
        let directory = tempfile::tempdir()?;
        let reserved = Reserved::take(None)?;
        let address = reserved.address()?;
        drop(reserved);
        let program = Program {
            name: "oidc-provider",
            path: node,
            arguments: vec![repository().join("tests/oidc/server.mjs").into()],
            environment: [
                ("PORT".into(), address.port().to_string()),
                ("INTROSPECTION_SECRET".into(), INTROSPECTION_SECRET.into()),
                ("ACCESS_TOKEN_SECONDS".into(), access_lifetime.as_secs().to_string()),
            ]
            .into_iter()
            .chain(more)
            .collect(),
        };
        let mut process = Process::start(&program, directory.path())?;
        let answered = poll(async || {
            if let Ok(Some(status)) = process.ended() {
                return Some(Err(status));
            }
            tokio::net::TcpStream::connect(address).await.ok().map(|_| Ok(()))
        })
        .await;
        match answered {
            Some(Ok(())) => Ok(Some(Self { address, process, _directory: directory })),
            Some(Err(status)) => bail!("it has ended: {status}\n{}", process.log_tail()),
            None => bail!("it does not get ready\n{}", process.log_tail()),
        }
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// For the verifier of a [`Protected`](crate::upstream::protected::Protected) server.
    pub fn introspection(&self) -> anyhow::Result<Introspection> {
        Ok(Introspection {
            url: format!("{}/token/introspection", self.issuer()),
            client_id: "protected".into(),
            client_secret: INTROSPECTION_SECRET.into(),
            http: crate::http::client().build()?,
        })
    }

    /// An access token has expired, as if time had passed; its refresh token has not.
    pub async fn expire(&self, access_token: &str) -> anyhow::Result<()> {
        let request = crate::http::client()
            .build()?
            .get(format!("{}/expire", self.issuer()))
            .query(&[("token", access_token)]);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// What it has done so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.process.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use url::Url;
    use url::form_urlencoded::Serializer;

    use super::*;
    use crate::browser::tests::landing;
    use crate::browser::{Browser, Person};
    use crate::mcp::{Agent, Era};
    use crate::upstream::protected::{Protected, Protection, ResourceMetadata, Verifier};

    const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-x";
    /// S256 of [`VERIFIER`].
    const CHALLENGE: &str = "jL8osqXeMCXbVEXJ15QLlPOO0xcWFXrSy7NFE3Tb2Uk";

    #[tokio::test]
    async fn a_person_signs_in_and_the_protected_server_knows_them() -> anyhow::Result<()> {
        let Some(oidc) = Oidc::start(Duration::from_mins(5)).await? else { return Ok(()) };
        let Some(browser) = Browser::start().await? else { return Ok(()) };
        let (_landing, redirect_uri) = landing().await?;
        let redirect_uri = redirect_uri.as_str();
        let protection = Protection {
            verifier: Verifier::Introspection(oidc.introspection()?),
            authorization_servers: vec![oidc.issuer()],
            metadata: ResourceMetadata::Named,
            scope: "read",
        };
        let protected = Protected::start(TcpListener::bind("127.0.0.1:0").await?, protection)?;
        let http = crate::http::client().build()?;
        let metadata: Value = http
            .get(format!("{}/.well-known/openid-configuration", oidc.issuer()))
            .send()
            .await?
            .json()
            .await?;
        let endpoint = |name: &str| metadata[name].as_str().expect("an endpoint").to_owned();
        let registration = json!({
            "redirect_uris": [redirect_uri], "application_type": "native", "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        });
        let client: Value =
            http.post(endpoint("registration_endpoint")).json(&registration).send().await?.json().await?;
        let client_id = client["client_id"].as_str().expect("an id");
        let resource = protected.url();
        let parameters = [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("scope", "read"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
        ];
        let person = browser.person("ada").await;
        person.goto(Url::parse_with_params(&endpoint("authorization_endpoint"), parameters)?.as_str()).await;
        let code = sign_in(&person, "ada", redirect_uri).await;
        let common = [("client_id", client_id), ("resource", resource.as_str())];
        let redeem = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", redirect_uri),
        ];
        let ask = async |parameters: &[(&str, &str)]| -> anyhow::Result<Value> {
            let form = Serializer::new(String::new()).extend_pairs(parameters).extend_pairs(common).finish();
            let request = http.post(endpoint("token_endpoint")).body(form);
            let kind = ("content-type", "application/x-www-form-urlencoded");
            Ok(request.header(kind.0, kind.1).send().await?.json().await?)
        };
        let tokens = ask(&redeem).await?;
        let access = tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
        let agent = Agent::new(protected.url(), Some(access), Era::Modern);
        let answer = agent.call_tool("whoami", json!({})).await.answer();
        assert_eq!(answer["result"]["content"][0]["text"], "ada", "{answer}");

        let refresh_token = tokens["refresh_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let refreshed = ask(&refresh).await?;
        assert_ne!(refreshed["refresh_token"].as_str().expect("a new one"), refresh_token);
        assert_eq!(ask(&refresh).await?["error"], "invalid_grant", "it notices reuse");
        assert_eq!(agent.call_tool("whoami", json!({})).await.status, 401, "and revokes everything");
        let events = oidc.events();
        let of_refreshes = events.iter().filter(|event| event.grant_type.as_deref() == Some("refresh_token"));
        let outcomes: Vec<_> = of_refreshes.map(|event| event.event.as_str()).collect();
        assert!(outcomes.contains(&"grant.success") && outcomes.contains(&"grant.error"), "{outcomes:?}");
        Ok(())
    }

    /// Through the server's own pages; the code that the browser comes back with.
    async fn sign_in(person: &Person, name: &str, redirect_uri: &str) -> String {
        person.fill("Enter any login", name).await;
        person.fill("and password", "anything").await;
        person.click("button", "Sign-in").await;
        person.click("button", "Continue").await;
        person.wait_for_url(redirect_uri).await;
        let url = Url::parse(&person.url().await).expect("a URL");
        let code = url.query_pairs().find(|(name, _)| name == "code");
        code.unwrap_or_else(|| panic!("no code: {url}")).1.into_owned()
    }
}
