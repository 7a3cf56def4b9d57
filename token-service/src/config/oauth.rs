//! The section `oauth`: how MCP clients sign in at the gateway.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis_wire::watch::Algorithm;
use secrecy::ExposeSecret as _;
use url::Url;

use super::reader::{At, Fields};
use super::secret;
use crate::authorization_server::AuthorizationSettings;
use crate::domain::auth_text::check_client_secret;
use crate::domain::oauth_client::{
    DYNAMIC_PREFIX, KnownBy, MAX_CLIENT_ID, OAuthClient, SecretCheck, secret_digest,
};
use crate::domain::redirect_uri::{self, Schemes};
use crate::domain::signing::LONGEST_TOKEN;

/// Only a digest is kept, without anything that would slow down guessing, so it must not be guessable.
const SHORTEST_SECRET: usize = 32;

const SHORTEST_TOKEN: Duration = Duration::from_mins(1);

pub(super) fn read(sections: &Fields<'_>) -> Option<AuthorizationSettings> {
    let mut settings = AuthorizationSettings::default();
    let Some(at) = sections.get("oauth") else { return Some(settings) };
    let fields = at.fields(&[
        "signing_algorithm",
        "access_token_ttl",
        "browser_origins",
        "dynamic_registration",
        "clients",
    ])?;
    if let Some(at) = fields.get("signing_algorithm") {
        settings.signing_algorithm = at.parsed("write ES256 or EdDSA", algorithm)?;
    }
    if let Some(at) = fields.get("access_token_ttl") {
        settings.access_token_life = at.duration(SHORTEST_TOKEN, LONGEST_TOKEN)?;
    }
    if let Some(at) = fields.get("dynamic_registration") {
        settings.dynamic_registration = at.boolean()?;
    }
    settings.browser_origins = fields.items("browser_origins").iter().filter_map(origin).collect();
    let mut seen = BTreeSet::new();
    settings.clients = fields.items("clients").iter().filter_map(|at| client(at, &mut seen)).collect();
    Some(settings)
}

fn algorithm(text: &str) -> Result<Algorithm, &'static str> {
    match text {
        "ES256" => Ok(Algorithm::Es256),
        "EdDSA" => Ok(Algorithm::EdDsa),
        _ => Err("not an algorithm that access tokens are signed with"),
    }
}

fn origin(at: &At<'_>) -> Option<String> {
    at.parsed(
        "write scheme, host and port as browsers send them, such as https://inspector.example",
        |text| {
            let url = Url::parse(text).map_err(|error| error.to_string())?;
            let origin = url.origin().ascii_serialization();
            let web = matches!(url.scheme(), "https" | "http");
            if web && text == origin { Ok(origin) } else { Err("this is not an origin".to_owned()) }
        },
    )
}

fn client(at: &At<'_>, seen: &mut BTreeSet<String>) -> Option<OAuthClient> {
    let fields = at.fields(&["id", "name", "redirect_uris", "secret", "method"])?;
    let id = fields.require("id").and_then(|at| {
        let id = at.parsed("write the id that the client sends as client_id", client_id)?;
        if !seen.insert(id.clone()) {
            at.report("there are two clients with this id", "give each client an id of its own");
        }
        Some(id)
    });
    let name = fields.get("name").map_or_else(|| id.clone(), At::name);
    let redirect_uris = fields.require("redirect_uris").and_then(|at| {
        let uris: Vec<Option<String>> = at.list()?.iter().map(redirect_uri).collect();
        if uris.is_empty() {
            at.report("a client that nobody is sent back to cannot sign in", "list its redirect URIs");
        }
        uris.into_iter().collect::<Option<Vec<_>>>()
    });
    let secret = fields.get("secret").map(|at| secret::read(at, client_secret));
    let (has_secret, secret) = (secret.is_some(), secret.flatten());
    let method = fields.get("method");
    let basic = match method.map(|at| (at, at.text())) {
        None | Some((_, Some("client_secret_basic"))) => true,
        Some((_, Some("client_secret_post"))) => false,
        Some((_, None)) => return None,
        Some((at, Some(_))) => {
            at.report("this is not a method", "write client_secret_basic or client_secret_post");
            return None;
        }
    };
    if let Some(at) = method.filter(|_| !has_secret) {
        at.report("a client without a secret has no method", "add a secret, or leave the method out");
    }
    let id = id?;
    let authentication = if has_secret {
        let digest = secret_digest(&id, secret?.expose_secret());
        if basic { SecretCheck::Basic(digest) } else { SecretCheck::Post(digest) }
    } else {
        SecretCheck::None
    };
    Some(OAuthClient {
        id,
        name: name?,
        redirect_uris: redirect_uris?,
        authentication,
        known_by: KnownBy::Configuration,
    })
}

fn client_id(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > MAX_CLIENT_ID || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a client id has 1 to 256 visible ASCII characters");
    }
    if text.contains("://") || text.starts_with(DYNAMIC_PREFIX) {
        return Err(
            "ids with :// are those of metadata documents, ids with dyn_ of clients that register themselves",
        );
    }
    Ok(text.to_owned())
}

fn redirect_uri(at: &At<'_>) -> Option<String> {
    at.parsed("write it exactly as the client sends it", |text| {
        redirect_uri::check(text, Schemes::Any).map(|()| text.to_owned())
    })
}

fn client_secret(text: &str) -> Result<(), String> {
    check_client_secret(text).map_err(|error| error.to_string())?;
    if text.len() < SHORTEST_SECRET {
        return Err(
            "the client's secret must have at least 32 characters; make one with `openssl rand -hex 32`"
                .to_owned(),
        );
    }
    Ok(())
}
