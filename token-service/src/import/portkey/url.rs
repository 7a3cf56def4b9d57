//! Where a server is.

use url::Url;

use super::item::Item;
use crate::domain::url::{PlainHttp, ServerUrl};

/// A URL that `portcullis.yaml` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) text: String,
    pub(super) plain: bool,
}

/// Words in the names of parameters that may be secrets.
const SECRET: [&str; 7] = ["key", "token", "secret", "pass", "auth", "sig", "cred"];

/// `None` where something was noted.
pub(super) fn read(integration: &Item<'_>) -> Option<Address> {
    let Some(item) = integration.get("url") else {
        integration.note("it has no url, so it is left out", "give it the URL of the server");
        return None;
    };
    let given = item.text()?;
    transport(integration);
    let text = without_secrets(&item, &given);
    // The error may name the path, where some servers have a secret too.
    let url = ServerUrl::parse(&text, PlainHttp::Allowed).map_err(|_| {
        let remedy =
            "write its entry by hand: https://host/path in normal form, without user name or fragment";
        item.note("this URL cannot be used here, so the server is left out", remedy);
    });
    let url = url.ok()?;
    let plain = !url.upstream().tls;
    if plain {
        item.note("the server is called by plain http", "have it speak https, or keep allow_http: true");
    }
    Some(Address { text: url.to_string(), plain })
}

/// Without the parameters of the query that look like secrets.
fn without_secrets(item: &Item<'_>, given: &str) -> String {
    let Ok(mut url) = Url::parse(given) else { return given.to_owned() };
    let Some(query) = url.query().map(str::to_owned) else { return given.to_owned() };
    let is_secret = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default().to_ascii_lowercase();
        SECRET.iter().any(|word| name.contains(word))
    };
    let (secret, kept): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_secret);
    if secret.is_empty() {
        return given.to_owned();
    }
    let names: Vec<&str> = secret.iter().filter_map(|part| part.split('=').next()).collect();
    item.note(
        format!("its query holds what looks like a secret ({}), and is written without it", names.join(", ")),
        "give the credential as a header, if the server takes one; URLs are shown and logged",
    );
    url.set_query((!kept.is_empty()).then(|| kept.join("&")).as_deref());
    url.to_string()
}

fn transport(integration: &Item<'_>) {
    let Some(transport) = integration.text_at("transport").filter(|transport| transport != "http") else {
        return;
    };
    let place = integration.get("transport").unwrap_or_else(|| integration.clone());
    place.note(
        format!("the transport {transport} is not spoken here"),
        "give the URL of the server's Streamable HTTP endpoint; `portcullis check-server` tells whether it is one",
    );
}
