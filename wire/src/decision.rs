//! Decision ids: all that is needed to say later why a request was denied, as a text for the access log.
//!
//! The filter keeps nothing of a denied request, so the id itself says who asked for what, what refused it, and when. It is
//! opaque to people and no secret: it holds nothing that the record beside it does not hold. It is not signed either, so
//! whoever reads one takes it for somebody's word and asks anew what holds now.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::digest::Digest;
use crate::policy::{Kind, Level};

/// What every decision id begins with.
pub const PREFIX: &str = "dec_";

/// No decision id is longer, in bytes.
pub const MAX_LENGTH: usize = 1_600;

/// Of this encoding. Another one gets another number, and the old one stays readable.
const VERSION: u8 = 1;

/// The longest text in it, in bytes. A longer one is cut, and gets a digest of the whole in place of the rest.
const LONGEST_TEXT: usize = 160;
const KEPT_OF_A_CUT_TEXT: usize = 140;

/// What there is to say about one denied request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeniedRequest {
    /// Milliseconds since the epoch.
    pub at_ms: u64,
    /// Of HTTP.
    pub status: u16,
    /// As in the response-code details, without their prefix.
    pub reason: String,
    /// As in the access log's field of that name.
    pub rule: String,
    pub who: Option<Who>,
    /// Slugs, as far as they are known.
    pub workspace: Option<String>,
    pub server: Option<String>,
    pub target: Option<(Kind, String)>,
    /// The commit that the decision rests on, if it rests on one.
    pub revision: Option<u64>,
}

/// Who asked, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By id.
    Member(String),
    /// By the public part of the key.
    Key(String),
    /// A client's sign-in, by id.
    Session(String),
    /// Somebody whom a verified token names.
    Subject { issuer: String, subject: String },
}

impl DeniedRequest {
    /// The level whose rule decided, if it was one.
    pub fn level(&self) -> Option<Level> {
        let (level, _) = self.rule.split_once('/')?;
        [Level::Organization, Level::Workspace, Level::Member, Level::Key]
            .into_iter()
            .find(|known| known.as_str() == level)
    }

    /// What was asked for, if its name is here as a whole.
    pub fn whole_target(&self) -> Option<(Kind, &str)> {
        let (kind, name) = self.target.as_ref()?;
        let is_cut = name.len() > KEPT_OF_A_CUT_TEXT && name.rfind('#') == name.len().checked_sub(17);
        (!is_cut).then_some((*kind, name.as_str()))
    }

    /// The decision id.
    pub fn spell(&self) -> String {
        let (who, first, second) = match &self.who {
            None => (0, "", ""),
            Some(Who::Member(id)) => (1, id.as_str(), ""),
            Some(Who::Key(id)) => (2, id.as_str(), ""),
            Some(Who::Session(id)) => (3, id.as_str(), ""),
            Some(Who::Subject { issuer, subject }) => (4, issuer.as_str(), subject.as_str()),
        };
        let (kind, name) = match &self.target {
            None => (0, ""),
            Some((Kind::Tool, name)) => (1, name.as_str()),
            Some((Kind::Prompt, name)) => (2, name.as_str()),
            Some((Kind::Resource, name)) => (3, name.as_str()),
        };
        let mut bytes = vec![VERSION];
        bytes.extend(self.at_ms.to_be_bytes());
        // No commit has the number 0.
        bytes.extend(self.revision.unwrap_or(0).to_be_bytes());
        bytes.extend(self.status.to_be_bytes());
        bytes.extend([who, kind]);
        let workspace = self.workspace.as_deref().unwrap_or_default();
        let server = self.server.as_deref().unwrap_or_default();
        for text in [self.reason.as_str(), self.rule.as_str(), workspace, server, name, first, second] {
            let text = cut(text);
            bytes.push(u8::try_from(text.len()).unwrap_or(0));
            bytes.extend(text.as_bytes());
        }
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a decision id; `None` if it is none, or of a later version.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let mut reader = Reader(&bytes);
        let [VERSION] = reader.array()? else { return None };
        let at_ms = u64::from_be_bytes(reader.array()?);
        let revision = Some(u64::from_be_bytes(reader.array()?)).filter(|revision| *revision > 0);
        let status = u16::from_be_bytes(reader.array()?);
        let [who, kind] = reader.array()?;
        let (reason, rule) = (reader.text()?, reader.text()?);
        let (workspace, server) = (reader.text()?, reader.text()?);
        let (name, first, second) = (reader.text()?, reader.text()?, reader.text()?);
        let who = match who {
            0 => None,
            1 => Some(Who::Member(first)),
            2 => Some(Who::Key(first)),
            3 => Some(Who::Session(first)),
            4 => Some(Who::Subject { issuer: first, subject: second }),
            _ => return None,
        };
        let kind = match kind {
            0 => None,
            1 => Some(Kind::Tool),
            2 => Some(Kind::Prompt),
            3 => Some(Kind::Resource),
            _ => return None,
        };
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        let (workspace, server) = (known(workspace), known(server));
        let target = kind.map(|kind| (kind, name));
        let read = Self { at_ms, status, reason, rule, who, workspace, server, target, revision };
        // One request has one id: what the fields leave no room for is no part of one.
        (reader.0.is_empty() && read.spell() == text).then_some(read)
    }
}

/// A text that fits.
fn cut(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let mut end = KEPT_OF_A_CUT_TEXT;
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let digest = Digest::of("decision", &[text.as_bytes()]).to_string();
    let digest: String = digest.chars().take(16).collect();
    format!("{}#{digest}", text.get(..end).unwrap_or_default())
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn text(&mut self) -> Option<String> {
        let [length] = self.array()?;
        let (text, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST_TEXT).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn denied() -> DeniedRequest {
        DeniedRequest {
            at_ms: 1_700_000_000_123,
            status: 200,
            reason: "policy_denied".into(),
            rule: "workspace/tools.deny:delete_*".into(),
            who: Some(Who::Key("AbCdEfGhIj".into())),
            workspace: Some("core".into()),
            server: Some("linear".into()),
            target: Some((Kind::Tool, "delete_issue".into())),
            revision: Some(42),
        }
    }

    #[test]
    fn there_and_back() {
        let whole = denied();
        let text = whole.spell();
        assert!(text.starts_with("dec_"), "{text}");
        assert_eq!(DeniedRequest::read(&text), Some(whole.clone()));
        assert_eq!(whole.level(), Some(Level::Workspace));
        let nothing = DeniedRequest::default();
        assert_eq!(DeniedRequest::read(&nothing.spell()), Some(nothing));
        let subject = Who::Subject { issuer: "https://idp.example".into(), subject: "ada".into() };
        let by_token = DeniedRequest { who: Some(subject), rule: "server/unknown".into(), ..denied() };
        assert_eq!(DeniedRequest::read(&by_token.spell()), Some(by_token.clone()));
        assert_eq!(by_token.level(), None);
    }

    #[test]
    fn long_names_are_cut_and_told_apart() {
        let named = |name: &str| DeniedRequest { target: Some((Kind::Resource, name.into())), ..denied() };
        let (one, other) = (named(&format!("{}a", "é".repeat(500))), named(&format!("{}b", "é".repeat(500))));
        assert_ne!(one.spell(), other.spell());
        let read = DeniedRequest::read(&one.spell()).expect("reads");
        assert!(read.target.expect("a target").1.len() <= LONGEST_TEXT);
        let long = "x".repeat(5_000);
        let longest = DeniedRequest {
            reason: long.clone(),
            rule: long.clone(),
            who: Some(Who::Subject { issuer: long.clone(), subject: long.clone() }),
            workspace: Some(long.clone()),
            server: Some(long.clone()),
            target: Some((Kind::Tool, long)),
            ..denied()
        };
        assert!(longest.spell().len() <= MAX_LENGTH, "{}", longest.spell().len());
        assert!(DeniedRequest::read(&longest.spell()).is_some());
    }

    #[test]
    fn what_is_no_decision_id_is_not_read() {
        let good = denied().spell();
        let later = format!("dec_{}", URL_SAFE_NO_PAD.encode([2_u8; 40]));
        let truncated = good.get(..good.len() - 4).expect("a part").to_owned();
        for bad in [
            "",
            "dec_",
            "dec_%",
            "nothing",
            &format!("{good}AA"),
            &good.replace("dec_", "dek_"),
            &later,
            &truncated,
        ] {
            assert_eq!(DeniedRequest::read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_panics_or_has_two_spellings(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for text in [format!("dec_{}", URL_SAFE_NO_PAD.encode(&bytes)), String::from_utf8_lossy(&bytes).into_owned()] {
                if let Some(read) = DeniedRequest::read(&text) {
                    prop_assert_eq!(read.spell(), text);
                }
            }
        }

        #[test]
        fn a_byte_that_is_changed_is_another_request_or_none(position in 4_usize..100, byte in "[A-Za-z0-9_-]") {
            let good = denied().spell();
            let mut changed = good.clone();
            changed.replace_range(position..=position, &byte);
            if changed != good {
                prop_assert_ne!(DeniedRequest::read(&changed), Some(denied()));
            }
        }
    }
}
