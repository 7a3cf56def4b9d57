//! How the gateway authenticates to a server.

use std::collections::BTreeMap;

use portcullis_wire::names::Slug;
use serde_json::{Value, json};

use super::item::Item;
use super::url::Address;
use crate::domain::auth_text as text;
use crate::domain::header::HeaderName;
use crate::presets::{self, Preset, Registration};

/// What of `configurations` has a place here.
const CARRIED: [&str; 7] =
    ["headers", "oauth_metadata", "client_id", "client_secret", "scope", "token_endpoint", "token_url"];

/// What of `oauth_metadata` only describes the client that is registered. The gateway describes itself.
const DESCRIPTIONS: [&str; 12] = [
    "client_name",
    "client_uri",
    "logo_uri",
    "software_id",
    "software_version",
    "grant_types",
    "response_types",
    "contacts",
    "tos_uri",
    "policy_uri",
    "redirect_uris",
    "scopes_supported",
];

/// The `auth` of `portcullis.yaml`.
pub(super) fn read(integration: &Item<'_>, slug: &Slug, url: &Address) -> Value {
    let parsed = embedded(integration);
    let configurations = integration.get("configurations").map(|item| match &parsed {
        Some(value) => Item::new(value, item.place(), integration.report()),
        None => item,
    });
    let secrets = Mappings::of(integration);
    let context = Context { slug, secrets: &secrets, url };
    let kind = integration.text_at("auth_type").unwrap_or_default();
    let auth = match kind.as_str() {
        "oauth_auto" | "oauth" | "oauth2" | "oauth_2_1" => {
            oauth(integration, configurations.as_ref(), &context)
        }
        "oauth_client_credentials" | "client_credentials" => {
            shared(integration, configurations.as_ref(), &context)
        }
        "headers" | "custom" => headers(integration, configurations.as_ref(), &context),
        "none" => no_credential(configurations.as_ref()),
        _ => {
            integration.note(
                "its auth_type is none of oauth_auto, oauth_client_credentials, headers and none, so it is written \
                 without a credential",
                "write its auth by hand; `portcullis check-server` tells what the server wants",
            );
            json!({"type": "none"})
        }
    };
    if let Some(configurations) = &configurations {
        rest(configurations, &kind);
    }
    secrets.note_unused();
    auth
}

struct Context<'a> {
    slug: &'a Slug,
    secrets: &'a Mappings<'a>,
    url: &'a Address,
}

impl Context<'_> {
    /// A reference to a file in place of a secret.
    fn secret(&self, name: &str, item: &Item<'_>, field: &str) -> Value {
        let place = match self.secrets.take(field) {
            Some(vault) => format!("{} ({vault})", item.place()),
            None => item.place().to_owned(),
        };
        json!({"file": item.report().secret(&format!("{}-{name}", self.slug), &place)})
    }
}

/// Terraform and exports have `configurations` as a text.
fn embedded(integration: &Item<'_>) -> Option<Value> {
    let item = integration.get("configurations")?;
    let Value::String(text) = item.value() else {
        if !item.value().is_object() {
            item.note("this is no object, and was not read", "correct it and import again");
        }
        return None;
    };
    let parsed = serde_json::from_str(text).ok().filter(Value::is_object);
    if parsed.is_none() {
        item.note("this text is no JSON object, and was not read", "correct it and import again");
    }
    parsed
}

fn no_credential(configurations: Option<&Item<'_>>) -> Value {
    if let Some(item) = configurations.and_then(|item| item.get("headers")) {
        item.note(
            "its auth_type is none, so headers are not sent",
            "write type: headers with them, if it needs them",
        );
    }
    json!({"type": "none"})
}

fn headers(integration: &Item<'_>, configurations: Option<&Item<'_>>, context: &Context<'_>) -> Value {
    let mut headers: BTreeMap<String, Value> = BTreeMap::new();
    // In the order in which they win over each other.
    for group in ["headers", "passthrough_headers"] {
        for (name, item) in configurations.and_then(|item| item.get(group)).iter().flat_map(Item::entries) {
            let Ok(known) = HeaderName::parse(name) else {
                item.note(
                    "this header cannot carry a credential",
                    "leave it out; the gateway sets what frames requests",
                );
                continue;
            };
            headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
            let secret = context.secret(known.as_str(), &item, &format!("configurations.{group}.{name}"));
            headers.insert(name.to_owned(), secret);
        }
    }
    for (name, vault) in context.secrets.headers() {
        if let Ok(known) = HeaderName::parse(&name)
            && !headers.keys().any(|other| other.eq_ignore_ascii_case(&name))
        {
            let file = integration.report().secret(&format!("{}-{}", context.slug, known.as_str()), &vault);
            headers.insert(name, json!({"file": file}));
        }
    }
    if headers.is_empty() {
        integration.note(
            "its headers are not in the file, so an Authorization is written for them",
            "name the headers that the server reads its credential from",
        );
        let file =
            integration.report().secret(&format!("{}-authorization", context.slug), integration.place());
        headers.insert("Authorization".to_owned(), json!({"file": file}));
    }
    json!({"type": "headers", "headers": headers})
}

/// What is said about OAuth, under `oauth_metadata` or right in `configurations`.
fn metadata<'a>(configurations: Option<&Item<'a>>) -> Option<Item<'a>> {
    let configurations = configurations?;
    configurations.get("oauth_metadata").or_else(|| Some(configurations.clone()))
}

fn oauth(integration: &Item<'_>, configurations: Option<&Item<'_>>, context: &Context<'_>) -> Value {
    let mut auth = json!({"type": "oauth"});
    let preset = presets::all().iter().find(|preset| preset.url == context.url.text);
    let metadata = metadata(configurations);
    if let Some(client) = metadata.as_ref().and_then(|item| client(item, preset, context)) {
        auth["client"] = client;
    }
    if let Some(metadata) = &metadata {
        common(metadata, &mut auth);
        let parameters = parameters(metadata, "authorization_params");
        if !parameters.is_empty() {
            auth["authorize_parameters"] = json!(parameters);
        }
    }
    match preset {
        Some(preset)
            if preset.registration == Registration::PreRegistered && auth.get("client").is_none() =>
        {
            let how: Vec<&str> = preset.enter.iter().map(|enter| enter.how.as_str()).collect();
            let what = format!("{} takes only clients that were registered there by hand", preset.title);
            integration
                .note(what, format!("add client and preset: {} to its auth. {}", preset.name, how.join(" ")));
        }
        Some(preset) => auth["preset"] = json!(preset.name),
        None => {}
    }
    auth
}

fn shared(integration: &Item<'_>, configurations: Option<&Item<'_>>, context: &Context<'_>) -> Value {
    let mut auth = json!({"type": "client_credentials"});
    let metadata = metadata(configurations);
    let client = metadata.as_ref().and_then(|item| client(item, None, context));
    auth["client"] = client.unwrap_or_else(|| {
        integration.note("it has no client_id", "write the id of the client in place of `unknown`");
        json!({"id": "unknown"})
    });
    if auth["client"].get("secret").is_none() {
        let name = format!("{}-client", context.slug);
        auth["client"]["secret"] = json!({"file": integration.report().secret(&name, integration.place())});
        integration.note(
            "its client has no secret in the file",
            "put the client's secret into the file that is named",
        );
        if let Some(client) = auth["client"].as_object_mut() {
            client.remove("method");
        }
    }
    if let Some(metadata) = &metadata {
        common(metadata, &mut auth);
        let mut parameters = parameters(metadata, "token_params");
        let audience = metadata.text_at("audience");
        if let Some(value) = audience.filter(|value| text::check_parameter("audience", value).is_ok()) {
            parameters.insert("audience".to_owned(), value);
        }
        if !parameters.is_empty() {
            auth["token_parameters"] = json!(parameters);
        }
    }
    auth
}

/// A client that was registered by hand.
fn client(metadata: &Item<'_>, preset: Option<&Preset>, context: &Context<'_>) -> Option<Value> {
    let id = metadata.text_at("client_id")?;
    if text::check_client_id(&id).is_err() {
        let place = metadata.get("client_id")?;
        place.note("no client has such an id", "copy the id from the provider's settings");
        return None;
    }
    let mut client = json!({"id": id});
    let field = |name: &str| {
        ["configurations.oauth_metadata.", "configurations."].map(|place| format!("{place}{name}"))
    };
    let mapped = field("client_secret").into_iter().find(|field| context.secrets.has(field));
    let item = metadata.get("client_secret").or_else(|| mapped.as_ref().map(|_| metadata.clone()));
    let has_secret = item.is_some();
    if let Some(item) = item {
        client["secret"] = context.secret("client", &item, mapped.as_deref().unwrap_or_default());
    }
    match metadata.text_at("token_endpoint_auth_method").as_deref() {
        Some(method @ ("client_secret_basic" | "client_secret_post")) if has_secret => {
            client["method"] = json!(method);
        }
        None | Some("none") if !has_secret && preset.is_some_and(|preset| preset.client_method.is_some()) => {
            // Otherwise the preset's way would count, which wants a secret.
            client["method"] = json!("none");
        }
        Some("none") if !has_secret => {}
        None => {}
        Some(_) => metadata.note(
            "its token_endpoint_auth_method does not go with what else is there, and is left out",
            "write method under client, with the secret or private key that it needs",
        ),
    }
    Some(client)
}

/// Scopes, and the authorization server if it is not to be discovered.
fn common(metadata: &Item<'_>, auth: &mut Value) {
    if let Some(item) = metadata.get("scope") {
        let scopes: Vec<String> = match item.value() {
            Value::Array(_) => item.listed().iter().filter_map(Item::text).collect(),
            _ => item.text().iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect(),
        };
        let (good, bad): (Vec<_>, Vec<_>) =
            scopes.into_iter().partition(|scope| text::check_scope(scope).is_ok());
        if !bad.is_empty() {
            item.note(
                "some of these are no scopes, and are left out",
                "write each as the provider spells it",
            );
        }
        auth["scopes"] = json!(good);
    }
    let endpoint = |names: &[&str]| {
        let item = names.iter().find_map(|name| metadata.get(name))?;
        let endpoint = item.text().filter(|endpoint| text::check_endpoint(endpoint).is_ok());
        if endpoint.is_none() {
            item.note(
                "this is no https URL of a provider, and is left out",
                "write it under authorization_server",
            );
        }
        endpoint
    };
    let token = endpoint(&["token_endpoint", "token_url"]);
    let authorization = endpoint(&["authorization_endpoint"]);
    let issuer = metadata.get("issuer");
    let good = issuer.as_ref().and_then(Item::text).filter(|issuer| text::check_issuer(issuer).is_ok());
    let is_shared = auth["type"] == "client_credentials";
    match (good, token, authorization) {
        (Some(issuer), Some(token), Some(authorization)) if !is_shared => {
            auth["authorization_server"] =
                json!({"issuer": issuer, "token_endpoint": token, "authorization_endpoint": authorization});
        }
        (Some(issuer), Some(token), None) if is_shared => {
            auth["authorization_server"] = json!({"issuer": issuer, "token_endpoint": token});
        }
        (Some(issuer), token, authorization) => {
            auth["authorization_server"] = json!({"issuer": issuer});
            if token.is_some() || authorization.is_some() {
                metadata.note(
                    "endpoints are given that are not all there are, so the issuer's metadata are read instead",
                    "write all endpoints under authorization_server, or leave it so",
                );
            }
        }
        (None, None, None) if issuer.is_none() => {}
        (None, ..) => metadata.note(
            "endpoints without the issuer that they belong to are not used; the server is asked for its provider",
            "write authorization_server with issuer and endpoints, if the server does not name it",
        ),
    }
}

fn parameters(metadata: &Item<'_>, name: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    for (key, item) in metadata.get(name).iter().flat_map(Item::entries) {
        match item.text().filter(|value| text::check_parameter(key, value).is_ok()) {
            Some(value) => {
                parameters.insert(key.to_owned(), value);
            }
            None => item.note("this parameter cannot be set", "leave it out, or give it by its own setting"),
        }
    }
    parameters
}

/// What else is configured, each with what to do about it.
fn rest(configurations: &Item<'_>, kind: &str) {
    for (name, item) in configurations.entries() {
        let (what, remedy) = match name {
            "headers" if matches!(kind, "headers" | "custom" | "none") => continue,
            "headers" => (
                "headers besides OAuth are not sent",
                "see whether the server needs them; if so, write type: headers",
            ),
            "passthrough_headers" if matches!(kind, "headers" | "custom") => continue,
            "passthrough_headers" => (
                "static headers besides another credential are not sent",
                "see whether the server needs them",
            ),
            "forward_headers" => (
                "headers of clients are not forwarded, but for those of MCP, accept-language, user-agent and traces",
                "give the server what it needs as headers of its own, or connect an account for each member",
            ),
            "user_identity_forwarding" => (
                "who calls is not told to the server",
                "connect an account for each member (type: oauth), so that the server knows by its own token",
            ),
            "jwt_validation" => (
                "which tokens are accepted is said once for the gateway and not for each server",
                "write an entry under issuers: issuer, jwks_url or introspection, audiences and claims; what differs for \
                 this server goes under its servers",
            ),
            "external_auth_config" => (
                "people do not sign in through each server",
                "write the company's provider under sign_in.oidc, and its tokens under issuers",
            ),
            "oauth_metadata" if kind.contains("oauth") || kind.contains("client") => {
                describe(&item);
                continue;
            }
            _ if CARRIED.contains(&name) && (kind.contains("oauth") || kind.contains("client")) => continue,
            _ if kind.contains("oauth") && (DESCRIPTIONS.contains(&name) || OAUTH.contains(&name)) => {
                continue;
            }
            _ => (
                "this setting is not known here",
                "see whether portcullis.example.yaml has something like it",
            ),
        };
        item.note(what, remedy);
    }
}

/// What of `oauth_metadata` is read above.
const OAUTH: [&str; 12] = [
    "client_id",
    "client_secret",
    "scope",
    "token_endpoint_auth_method",
    "authorization_params",
    "token_params",
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "token_url",
    "audience",
    "oauth_metadata",
];

fn describe(metadata: &Item<'_>) {
    let keys = metadata.keys();
    let described: Vec<&str> = keys.iter().copied().filter(|key| DESCRIPTIONS.contains(key)).collect();
    if !described.is_empty() {
        metadata.note(
            format!("the gateway describes itself to providers, without {}", described.join(", ")),
            "nothing, unless the provider goes by one of them: then register a client by hand",
        );
    }
    let unknown: Vec<&str> =
        keys.into_iter().filter(|key| !DESCRIPTIONS.contains(key) && !OAUTH.contains(key)).collect();
    if !unknown.is_empty() {
        metadata.note(
            format!("not known here: {}", unknown.join(", ")),
            "see whether portcullis.example.yaml has something like it",
        );
    }
}

/// Secrets that are in a vault there.
struct Mappings<'a> {
    all: Vec<(String, String, Item<'a>)>,
    taken: std::cell::RefCell<Vec<String>>,
}

impl<'a> Mappings<'a> {
    fn of(integration: &Item<'a>) -> Self {
        let items = integration.get("secret_mappings").map(|item| item.listed()).unwrap_or_default();
        let mapping = |item: Item<'a>| {
            let field = item.text_at("target_field")?;
            let id = item.text_at("secret_reference_id").unwrap_or_default();
            let key = item.text_at("secret_key").map(|key| format!(", key {key}")).unwrap_or_default();
            Some((field, format!("secret reference {id}{key}"), item))
        };
        Self { all: items.into_iter().filter_map(mapping).collect(), taken: std::cell::RefCell::default() }
    }

    fn has(&self, field: &str) -> bool {
        self.all.iter().any(|(other, ..)| other == field)
    }

    /// Where the secret for a field is.
    fn take(&self, field: &str) -> Option<String> {
        let (field, vault, _) = self.all.iter().find(|(other, ..)| other == field)?;
        self.taken.borrow_mut().push(field.clone());
        Some(vault.clone())
    }

    /// Headers whose value is in a vault: names, and where.
    fn headers(&self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (field, vault, _) in &self.all {
            let name = ["configurations.headers.", "configurations.passthrough_headers."]
                .iter()
                .find_map(|group| field.strip_prefix(group));
            if let Some(name) = name.filter(|name| HeaderName::parse(name).is_ok()) {
                self.taken.borrow_mut().push(field.clone());
                headers.push((name.to_owned(), vault.clone()));
            }
        }
        headers
    }

    fn note_unused(&self) {
        for (field, vault, item) in &self.all {
            if !self.taken.borrow().contains(field) {
                item.note(
                    format!("{vault} for {field} has no place here"),
                    "write {file: …} where the secret belongs, and have it put there",
                );
            }
        }
    }
}
