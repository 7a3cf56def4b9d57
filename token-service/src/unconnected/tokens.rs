//! The two texts that clients carry: a `requestState` and a session id.

use std::time::Duration;

use portcullis_wire::digest::Digest;
use portcullis_wire::unconnected::{SESSION_PREFIX, STATE_PREFIX};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::sealed;
use crate::clock::Timestamp;
use crate::domain::ids::{MemberId, ServerId};
use crate::vault::{Place, Vault};

/// How long a call may be retried with the same state: as long as its link is good.
const STATE_LIFE: Duration = Duration::from_mins(10);

/// The most that is carried for the upstream, its state and the client's answers together, in bytes of JSON.
const LARGEST_CARRIED: usize = 64 * 1024;

/// How long a session id is good.
pub(super) const SESSION_LIFE: Duration = Duration::from_hours(24);

/// Capabilities above this size, in bytes of JSON, are told to the upstream without settings: the session id is a
/// header of every request.
const LARGEST_CAPABILITIES: usize = 1024;

/// Longest text of a client's name for itself, in characters.
const LONGEST_INFO: usize = 80;

/// What is between the question to connect and the retried call. Whose it is, and for which request, is what it is
/// sealed to.
///
/// It may be used more than once: all it can do is to let the same call of the same member through, which the member
/// may make anyway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RequestState {
    expires_at: Timestamp,
    /// The upstream's own state, which the client carried before.
    pub(super) upstream: Option<String>,
    /// The client's answers to the upstream, JSON.
    pub(super) input_responses: Option<String>,
}

impl RequestState {
    /// `None` if that is more than can be carried.
    pub(super) fn new(
        now: Timestamp,
        request_state: Option<String>,
        input_responses: Option<String>,
    ) -> Option<Self> {
        let length =
            |text: &Option<String>| text.as_deref().map_or(0, |text| Value::from(text).to_string().len());
        let carried = length(&request_state).saturating_add(length(&input_responses));
        (carried <= LARGEST_CARRIED).then(|| Self {
            expires_at: now.plus(STATE_LIFE),
            upstream: request_state,
            input_responses,
        })
    }

    /// The same with a new life, for the next question.
    pub(super) fn renewed(self, now: Timestamp) -> Self {
        Self { expires_at: now.plus(STATE_LIFE), ..self }
    }

    pub(super) fn seal(
        &self,
        vault: &Vault,
        member: &MemberId,
        server: &ServerId,
        request: &Digest,
    ) -> String {
        let sealed = sealed::seal(vault, &Place::request_state(member, server, request), self);
        format!("{STATE_PREFIX}{sealed}")
    }

    /// `text` without its prefix. `None` if it is another's, for another request, changed, or expired.
    pub(super) fn open(
        vault: &Vault,
        member: &MemberId,
        server: &ServerId,
        request: &Digest,
        text: &str,
        now: Timestamp,
    ) -> Option<Self> {
        let place = Place::request_state(member, server, request);
        sealed::open(vault, &place, text).filter(|state: &Self| now < state.expires_at)
    }
}

/// A session that was opened here because the upstream could not be asked yet. Whose it is, is what it is sealed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    /// What `initialize` was answered with.
    pub(super) version: String,
    /// The client's, for the handshake with the upstream.
    pub(super) capabilities: Value,
    /// The client's `name`, `version` and `title`.
    pub(super) client_info: Value,
    created_at: Timestamp,
}

impl Session {
    pub(super) fn new(
        version: &str,
        capabilities: Option<&Value>,
        info: Option<&Value>,
        now: Timestamp,
    ) -> Self {
        Self {
            version: version.to_owned(),
            capabilities: bounded_capabilities(capabilities),
            client_info: bounded_info(info),
            created_at: now,
        }
    }

    pub(super) fn expires_at(&self) -> Timestamp {
        self.created_at.plus(SESSION_LIFE)
    }

    pub(super) fn seal(&self, vault: &Vault, member: &MemberId, server: &ServerId) -> String {
        format!("{SESSION_PREFIX}{}", sealed::seal(vault, &Place::session(member, server), self))
    }

    /// `None` if it is not ours, another's, changed, or over.
    pub(super) fn open(
        vault: &Vault,
        member: &MemberId,
        server: &ServerId,
        text: &str,
        now: Timestamp,
    ) -> Option<Self> {
        let sealed = text.strip_prefix(SESSION_PREFIX)?;
        sealed::open(vault, &Place::session(member, server), sealed)
            .filter(|session: &Self| now < session.expires_at())
    }
}

fn bounded_capabilities(capabilities: Option<&Value>) -> Value {
    let Some(all @ Value::Object(fields)) = capabilities else { return Value::Object(Map::new()) };
    if all.to_string().len() <= LARGEST_CAPABILITIES {
        return all.clone();
    }
    // The core's own, and of elicitation its modes, without which a server may not use them.
    let kept = ["roots", "sampling", "elicitation"].into_iter().filter_map(|name| {
        let modes = ["form", "url"]
            .into_iter()
            .filter(|mode| fields.get(name).is_some_and(|of| of.get(mode).is_some()));
        let modes: Map<_, _> = modes.map(|mode| (mode.to_owned(), Value::Object(Map::new()))).collect();
        fields.get(name).map(|_| (name.to_owned(), Value::Object(modes)))
    });
    Value::Object(kept.collect())
}

/// `name` and `version` are required (MCP, `Implementation`).
fn bounded_info(info: Option<&Value>) -> Value {
    let text = |name: &str| {
        let text = info.and_then(|info| info.get(name)?.as_str())?;
        Some(Value::from(text.chars().take(LONGEST_INFO).collect::<String>()))
    };
    let required =
        ["name", "version"].map(|name| (name.to_owned(), text(name).unwrap_or_else(|| "unknown".into())));
    let title = text("title").map(|title| ("title".to_owned(), title));
    Value::Object(required.into_iter().chain(title).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::unconnected::testing::vault;

    const NOW: Timestamp = Timestamp(1_000);
    static VAULT: LazyLock<Vault> = LazyLock::new(vault);

    fn ids() -> (MemberId, ServerId) {
        ("mem_1".into(), "srv_1".into())
    }

    #[test]
    fn a_state_carries_what_the_upstream_asked_and_expires() {
        let (member, server) = ids();
        let digest = Digest::of("test", &[]);
        let state = RequestState::new(NOW, Some("theirs".into()), Some("{}".into())).expect("small");
        let text = state.seal(&VAULT, &member, &server, &digest);
        assert!(!text.contains("theirs"));
        let text = text.strip_prefix(STATE_PREFIX).expect("the prefix");
        let open = |now| RequestState::open(&VAULT, &member, &server, &digest, text, now);
        assert_eq!(open(NOW), Some(state));
        assert_eq!(open(NOW.plus(STATE_LIFE)), None);
        assert_eq!(RequestState::new(NOW, Some("x".repeat(LARGEST_CARRIED + 1)), None), None);
    }

    #[test]
    fn a_session_is_over_after_a_day() {
        let (member, server) = ids();
        let session = Session::new("2025-11-25", Some(&json!({"roots": {}})), None, NOW);
        let text = session.seal(&VAULT, &member, &server);
        let open = |now| Session::open(&VAULT, &member, &server, &text, now);
        assert_eq!(open(NOW), Some(session.clone()));
        assert_eq!(open(NOW.plus(SESSION_LIFE)), None);
        assert_eq!(Session::open(&VAULT, &"mem_2".into(), &server, &text, NOW), None);
        assert_eq!(Session::open(&VAULT, &member, &"srv_2".into(), &text, NOW), None);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "MCP wants visible ASCII");
    }

    #[test]
    fn a_session_id_stays_small() {
        let (member, server) = ids();
        let much = "x".repeat(100_000);
        let capabilities =
            json!({"elicitation": {"url": {"a": &much}}, "sampling": {}, "experimental": {&much: 1}});
        let session = Session::new("2025-11-25", Some(&capabilities), Some(&json!({"name": much})), NOW);
        assert_eq!(session.capabilities, json!({"elicitation": {"url": {}}, "sampling": {}}));
        assert_eq!(session.client_info["version"], "unknown");
        assert!(session.seal(&VAULT, &member, &server).len() < 3 * 1024);
    }

    proptest! {
        #[test]
        fn no_state_opens_for_another(
            member in "[a-c]{1,2}", server in "[a-c]{1,2}", request in any::<[u8; 2]>(),
            other_member in "[a-c]{1,2}", other_server in "[a-c]{1,2}", other_request in any::<[u8; 2]>(),
        ) {
            let place = |member: &str, server: &str, request: &[u8]| {
                (MemberId::from(member), ServerId::from(server), Digest::of("test", &[request]))
            };
            let own = place(&member, &server, &request);
            let other = place(&other_member, &other_server, &other_request);
            let state = RequestState::new(NOW, None, None).expect("small");
            let text = state.seal(&VAULT, &own.0, &own.1, &own.2);
            let text = text.strip_prefix(STATE_PREFIX).expect("the prefix");
            let opened = RequestState::open(&VAULT, &other.0, &other.1, &other.2, text, NOW);
            prop_assert_eq!(opened.is_some(), own == other);
        }

        #[test]
        fn a_changed_state_does_not_open(position in any::<prop::sample::Index>(), replacement in "[0-9A-Za-z_-]") {
            let (member, server) = ids();
            let digest = Digest::of("test", &[]);
            let text = RequestState::new(NOW, None, None).expect("small").seal(&VAULT, &member, &server, &digest);
            let text = text.strip_prefix(STATE_PREFIX).expect("the prefix");
            let position = position.index(text.len());
            let mut changed = text.to_owned();
            changed.replace_range(position..=position, &replacement);
            prop_assume!(changed != text);
            prop_assert_eq!(RequestState::open(&VAULT, &member, &server, &digest, &changed, NOW), None);
        }
    }
}
