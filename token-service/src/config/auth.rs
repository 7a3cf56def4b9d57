//! The `auth` of a server.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::reader::{At, Fields};
use super::{AuthConfig, HeaderConfig, secret};
use crate::domain::auth_draft::{
    AuthDraft, AuthorizationServerDraft, ClientDraft, ClientMethod, DraftKind, Fault, Step,
};
use crate::domain::header::{HeaderName, check_value};
use crate::presets;

/// What was read of an `auth`.
#[derive(Default)]
pub(super) struct Read {
    /// `None` if a problem was reported.
    pub(super) auth: Option<AuthConfig>,
    /// Whether a preset is named, known or not.
    pub(super) names_preset: bool,
    pub(super) preset_url: Option<&'static str>,
}

const OAUTH: [&str; 7] = [
    "preset",
    "client",
    "scopes",
    "authorize_parameters",
    "token_parameters",
    "authorization_server",
    "assume_pkce",
];

/// The URL of the preset that is named; the rest of the `auth` is not looked at.
pub(super) fn preset_url(at: &At<'_>) -> Option<&'static str> {
    let fields = fields(at)?;
    let at = fields.get("preset")?;
    let preset = presets::named(at.text()?).map_err(|fault| at.report(&fault.problem, &fault.remedy));
    preset.ok().map(|preset| preset.url.as_str())
}

fn fields<'a>(at: &At<'a>) -> Option<Fields<'a>> {
    let known: Vec<&str> = ["type", "headers"].into_iter().chain(OAUTH).collect();
    at.fields(&known)
}

pub(super) fn read(at: &At<'_>) -> Read {
    let Some(fields) = fields(at) else { return Read::default() };
    let Some(type_at) = fields.require("type") else { return Read::default() };
    let unfitting = |names: &[&str], remedy: &str| {
        for at in names.iter().filter_map(|name| fields.get(name)) {
            at.report("this type has no use for it", remedy);
        }
    };
    match type_at.text() {
        Some("none") => {
            if let Some(headers) = fields.get("headers") {
                headers.report("type none sends no headers", "remove the headers, or write type: headers");
            }
            unfitting(&OAUTH, "remove it, or write type: oauth");
            Read { auth: Some(AuthConfig::None), ..Read::default() }
        }
        Some("headers") => {
            unfitting(&OAUTH, "remove it, or write type: oauth");
            Read { auth: fields.require("headers").and_then(headers), ..Read::default() }
        }
        Some(kind @ ("oauth" | "client_credentials")) => {
            unfitting(&["headers"], "remove the headers, or write type: headers");
            let kind = if kind == "oauth" { DraftKind::OAuth } else { DraftKind::ClientCredentials };
            authorized(at, &fields, kind)
        }
        Some(other) => {
            let remedy = "write none, headers, oauth or client_credentials";
            type_at.report(format_args!("{other:?} is not an auth type"), remedy);
            Read::default()
        }
        None => Read::default(),
    }
}

fn headers(at: &At<'_>) -> Option<AuthConfig> {
    let mut headers: Vec<HeaderConfig> = Vec::new();
    for (text, at) in at.entries()? {
        let name = HeaderName::parse(text)
            .map_err(|error| at.report(error, "name the header that the server reads its credential from"));
        let value = secret::read(&at, check_value);
        if let (Ok(name), Some(value)) = (name, value) {
            if headers.iter().any(|header| header.name == name) {
                at.report(
                    "this header is given twice (names do not differ by case)",
                    "remove one of the two",
                );
            }
            headers.push(HeaderConfig { name, value });
        }
    }
    if at.entries()?.is_empty() {
        at.report("there is no header", "give at least one header, or write type: none");
    }
    Some(AuthConfig::Headers(headers))
}

fn authorized(at: &At<'_>, fields: &Fields<'_>, kind: DraftKind) -> Read {
    let names_preset = fields.get("preset").is_some();
    // What cannot be read is reported already, and the rest is checked all the same.
    let (mut draft, unread) = draft(fields, kind);
    let report = |fault: &Fault| {
        let known = matches!(fault.field.0.first(), Some(Step::Key(key)) if unread.contains(&key.as_str()));
        if !known {
            at.descend(&fault.field).report(in_words(fault), &fault.remedy);
        }
    };
    let preset_url = match presets::complete(&mut draft) {
        Ok(url) => url,
        Err(fault) => {
            report(&fault);
            return Read { auth: None, names_preset, preset_url: None };
        }
    };
    let auth = match draft.check() {
        Ok(auth) => Some(AuthConfig::OAuth(Box::new(auth))).filter(|_| unread.is_empty()),
        Err(faults) => {
            faults.iter().for_each(report);
            None
        }
    };
    Read { auth, names_preset, preset_url }
}

/// A fault about a field that is not there is reported where the field would be, so it has to name the field.
fn in_words(fault: &Fault) -> String {
    if fault.problem.starts_with("is missing") {
        format!("`{}` {}", fault.field, fault.problem)
    } else {
        fault.problem.clone()
    }
}

/// The draft, and what could not be read.
fn draft(fields: &Fields<'_>, kind: DraftKind) -> (AuthDraft<SecretString>, Vec<&'static str>) {
    let mut unread = Vec::new();
    let mut noted = |name: &'static str, failed: bool| {
        if failed {
            unread.push(name);
        }
    };
    let mut draft = AuthDraft::new(kind);
    if let Some(at) = fields.get("preset") {
        draft.preset = at.text().map(str::to_owned);
        noted("preset", draft.preset.is_none());
    }
    if let Some(at) = fields.get("client") {
        draft.client = client(at);
        noted("client", draft.client.is_none());
    }
    if let Some(at) = fields.get("scopes") {
        draft.scopes = texts(at);
        noted("scopes", draft.scopes.is_none());
    }
    for (name, parameters) in [
        ("authorize_parameters", &mut draft.authorize_parameters),
        ("token_parameters", &mut draft.token_parameters),
    ] {
        if let Some(at) = fields.get(name) {
            let entries = text_entries(at);
            noted(name, entries.is_none());
            *parameters = entries.unwrap_or_default();
        }
    }
    if let Some(at) = fields.get("authorization_server") {
        draft.authorization_server = authorization_server(at);
        noted("authorization_server", draft.authorization_server.is_none());
    }
    if let Some(at) = fields.get("assume_pkce") {
        draft.assume_pkce = at.boolean();
        noted("assume_pkce", draft.assume_pkce.is_none());
    }
    (draft, unread)
}

fn client(at: &At<'_>) -> Option<ClientDraft<SecretString>> {
    let fields = at.fields(&["id", "secret", "method", "private_key", "key_id"])?;
    let id = fields.require("id").and_then(At::text);
    let method = optional(&fields, "method", |at| {
        at.parsed(&format!("write {}", ClientMethod::NAMES), |text| {
            ClientMethod::parse(text).ok_or("not a client authentication method")
        })
    });
    // Whether it can be used is checked with the rest of the client.
    let unchecked = |at: &At<'_>| secret::read(at, |_| Ok::<_, std::convert::Infallible>(()));
    let secret = optional(&fields, "secret", unchecked);
    let private_key = optional(&fields, "private_key", unchecked);
    let key_id = optional(&fields, "key_id", |at| at.text().map(str::to_owned));
    Some(ClientDraft {
        id: id?.to_owned(),
        secret: secret?,
        private_key: private_key?,
        key_id: key_id?,
        method: method?,
    })
}

fn authorization_server(at: &At<'_>) -> Option<AuthorizationServerDraft> {
    let fields = at.fields(&[
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "registration_endpoint",
        "revocation_endpoint",
    ])?;
    let issuer = fields.require("issuer").and_then(At::text);
    let endpoint = |name| optional(&fields, name, |at| at.text().map(str::to_owned));
    let (authorization, token) = (endpoint("authorization_endpoint"), endpoint("token_endpoint"));
    let (registration, revocation) = (endpoint("registration_endpoint"), endpoint("revocation_endpoint"));
    Some(AuthorizationServerDraft {
        issuer: issuer?.to_owned(),
        authorization_endpoint: authorization?,
        token_endpoint: token?,
        registration_endpoint: registration?,
        revocation_endpoint: revocation?,
    })
}

/// `None` if a problem was reported; `Some(None)` if the field is absent.
#[expect(clippy::option_option, reason = "absent and unreadable are two things")]
fn optional<'a, T>(
    fields: &Fields<'a>,
    name: &str,
    read: impl FnOnce(&At<'a>) -> Option<T>,
) -> Option<Option<T>> {
    match fields.get(name) {
        Some(at) => read(at).map(Some),
        None => Some(None),
    }
}

fn texts(at: &At<'_>) -> Option<Vec<String>> {
    let texts: Vec<_> = at.list()?.iter().map(|at| at.text().map(str::to_owned)).collect();
    texts.into_iter().collect()
}

fn text_entries(at: &At<'_>) -> Option<BTreeMap<String, String>> {
    let entries: Vec<_> =
        at.entries()?.into_iter().map(|(key, at)| Some((key.to_owned(), at.text()?.to_owned()))).collect();
    entries.into_iter().collect()
}
