//! Learning what a server says about itself: how it is spoken to, what it can do, and its lists.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message::{LEGACY, MODERN};
use super::profile::list_field;
use super::upstream::{LARGEST_ANSWER, Said, Speech, Upstream, UpstreamError, client_info};
use crate::clock::Timestamp;
use crate::egress::EgressError;
use crate::store::connections::Catalogue;

/// The most pages of a list that are asked for, and the most bytes of all lists. Of a longer list the beginning is
/// kept.
const MOST_PAGES: u32 = 50;
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Which capability says that a server has a list.
const LISTS: [(&str, &str); 4] = [
    ("tools", "tools/list"),
    ("prompts", "prompts/list"),
    ("resources", "resources/templates/list"),
    ("resources", "resources/list"),
];

/// Asks for everything. An error means that nothing is known; a list that cannot be had is left out.
pub(super) async fn learn(upstream: &Upstream<'_>, now: Timestamp) -> Result<Catalogue, UpstreamError> {
    let (speech, method, said) = introduce(upstream).await?;
    let capabilities = serde_json::from_str::<Value>(&said.result).ok();
    let capabilities =
        capabilities.and_then(|result| result.get("capabilities").cloned()).unwrap_or_default();
    let mut results = BTreeMap::from([(method.to_owned(), said.result)]);
    let (mut left, mut cut) = (MOST_BYTES, BTreeSet::new());
    for (_, method) in LISTS.into_iter().filter(|(capability, _)| capabilities.get(capability).is_some()) {
        match whole_list(upstream, &speech, method, &mut left).await {
            Ok(Some(list)) => {
                results.insert(method.to_owned(), list.result);
                if list.is_cut {
                    cut.insert(method.to_owned());
                }
            }
            Ok(None) => {}
            Err(error) => tracing::info!(method, %error, "a list of the server cannot be had"),
        }
    }
    upstream.end(&speech).await;
    Ok(Catalogue { learnt_at: now, results, cut })
}

/// Discovers, or shakes hands with a server that does not know how to be discovered.
async fn introduce(upstream: &Upstream<'_>) -> Result<(Speech, &'static str, Said), UpstreamError> {
    match upstream.ask(&Speech::Modern, "server/discover", json!({}), LARGEST_ANSWER).await {
        Ok(said) if is_modern(&said.result) => return Ok((Speech::Modern, "server/discover", said)),
        Err(error @ (UpstreamError::Egress(_) | UpstreamError::Credential { .. })) => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let newest = LEGACY.last().copied().unwrap_or_default();
    let (speech, said) = shake_hands(upstream, newest, &json!({}), &client_info()).await?;
    Ok((speech, "initialize", said))
}

/// The legacy handshake (MCP 2025-11-25, basic/lifecycle).
pub(super) async fn shake_hands(
    upstream: &Upstream<'_>,
    version: &str,
    capabilities: &Value,
    client_info: &Value,
) -> Result<(Speech, Said), UpstreamError> {
    let params = json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": client_info});
    let said = upstream.ask(&Speech::Handshake, "initialize", params, LARGEST_ANSWER).await?;
    let agreed: Agreed = serde_json::from_str(&said.result).map_err(|_| UpstreamError::Malformed)?;
    // A version that the filter has no rules for would be refused on every request of the session.
    if !LEGACY.contains(&&*agreed.protocol_version) {
        return Err(UpstreamError::Rpc(i64::from(super::reply::code::INVALID_PARAMS)));
    }
    let speech = Speech::Legacy { version: agreed.protocol_version, session: said.session.clone() };
    upstream.tell(&speech, "notifications/initialized").await?;
    Ok((speech, said))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Agreed {
    protocol_version: String,
}

fn is_modern(discovered: &str) -> bool {
    let discovered: Value = serde_json::from_str(discovered).unwrap_or_default();
    discovered["supportedVersions"].as_array().is_some_and(|all| all.iter().any(|version| version == MODERN))
}

/// All pages of a list in one result.
struct WholeList {
    result: String,
    /// It goes on.
    is_cut: bool,
}

/// Asks for page after page. `None` for what is not to be kept.
async fn whole_list(
    upstream: &Upstream<'_>,
    speech: &Speech,
    method: &str,
    left: &mut usize,
) -> Result<Option<WholeList>, UpstreamError> {
    let Some(field) = list_field(method) else { return Ok(None) };
    let (mut items, mut is_cut) = (Vec::new(), true);
    let mut params = json!({});
    for _ in 0..MOST_PAGES {
        let said = match upstream.ask(speech, method, params, LARGEST_ANSWER.min(*left)).await {
            Err(UpstreamError::Egress(EgressError::TooLarge)) if !items.is_empty() => break,
            said => said?,
        };
        *left = left.saturating_sub(said.bytes);
        let page = Page::read(&said.result, field)?;
        // Names of resources can be those of a member's own documents.
        if method == "resources/list" && !page.is_public {
            return Ok(None);
        }
        items.extend(page.items);
        let Some(cursor) = page.next else {
            is_cut = false;
            break;
        };
        params = json!({"cursor": cursor});
    }
    let result = serde_json::to_string(&BTreeMap::from([(field, items)])).ok();
    Ok(result.map(|result| WholeList { result, is_cut }))
}

/// One page, its items as the server wrote them.
struct Page {
    items: Vec<Box<RawValue>>,
    /// An empty text is a cursor too (MCP, server/utilities/pagination).
    next: Option<String>,
    /// The server says that everybody sees the same.
    is_public: bool,
}

impl Page {
    fn read(result: &str, field: &str) -> Result<Self, UpstreamError> {
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_str(result).map_err(|_| UpstreamError::Malformed)?;
        let text =
            |name: &str| fields.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let items = fields.get(field).and_then(|raw| serde_json::from_str(raw.get()).ok());
        Ok(Self {
            items: items.ok_or(UpstreamError::Malformed)?,
            next: text("nextCursor"),
            is_public: text("cacheScope").as_deref() == Some("public"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_without_a_cursor_and_an_empty_one_goes_on() {
        let page = |text| Page::read(text, "tools").map(|page| (page.items.len(), page.next, page.is_public));
        assert_eq!(
            page(r#"{"tools":[{"b":1}],"nextCursor":""}"#).expect("reads"),
            (1, Some(String::new()), false)
        );
        assert_eq!(
            page(r#"{"tools":[],"nextCursor":null,"cacheScope":"public"}"#).expect("reads"),
            (0, None, true)
        );
        for bad in ["[]", "{}", r#"{"tools":{}}"#] {
            assert!(matches!(page(bad), Err(UpstreamError::Malformed)), "{bad}");
        }
    }
}
