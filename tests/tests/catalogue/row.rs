//! The rows as they are written in `tests/catalogue`.

use std::collections::BTreeMap;

use portcullis_tests::artifacts::repository;
use serde::Deserialize;

use super::bytes::Bytes;
use super::expect::Expected;

/// One kind of attack, with everything that shows what becomes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) id: String,
    /// What comes in.
    pub(crate) what: String,
    /// What has to become of it, where the inputs do not say so.
    pub(crate) expected: Option<String>,
    /// What must not happen, besides what must not happen in any row.
    pub(crate) never: Option<String>,
    /// Why the gateway does something else than one might expect.
    #[expect(dead_code, reason = "for people")]
    pub(crate) because: Option<String>,
    /// Requests, which are sent.
    #[serde(default)]
    pub(crate) inputs: Vec<Input>,
    /// Functions of `stories`, which are run.
    #[serde(default)]
    pub(crate) stories: Vec<String>,
    /// Tests, `<file below the repository>::<name>`, which are run with all tests.
    #[serde(default)]
    pub(crate) proved_by: Vec<String>,
    /// Why nothing here can be attacked in this way.
    pub(crate) does_not_apply: Option<String>,
}

/// What makes sure of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Data,
    Story,
    ProvedBy,
    DoesNotApply,
}

/// A request that would be served, with something spoilt.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub(crate) what: String,
    /// In which protocol it is sent.
    #[serde(default = "both_eras")]
    pub(crate) eras: Vec<EraName>,
    /// Slug of the server that is asked.
    #[serde(default = "sample")]
    pub(crate) server: String,
    /// What `${each}` stands for, one after the other.
    pub(crate) each: Option<Vec<Bytes>>,
    /// In place of the request line.
    pub(crate) line: Option<Bytes>,
    /// Headers to replace.
    #[serde(default)]
    pub(crate) set: BTreeMap<String, Bytes>,
    /// Headers to add, whatever is there.
    #[serde(default)]
    pub(crate) add: Vec<(Bytes, Bytes)>,
    /// Headers to leave out.
    #[serde(default)]
    pub(crate) without: Vec<String>,
    /// Another method, with `params`, or with none but `_meta`.
    pub(crate) method: Option<Bytes>,
    /// Another tool.
    pub(crate) tool: Option<Bytes>,
    /// The whole body.
    pub(crate) body: Option<Bytes>,
    /// The members of `params`.
    pub(crate) params: Option<Bytes>,
    /// The arguments of the call.
    pub(crate) arguments: Option<Bytes>,
    /// All members of the message but `params`.
    pub(crate) envelope: Option<Bytes>,
    /// Of how many bytes each chunk of the body is; without it the body's length is declared.
    pub(crate) chunks: Option<usize>,
    /// Headers behind a body in chunks.
    #[serde(default)]
    pub(crate) trailers: Vec<(Bytes, Bytes)>,
    /// In place of the usual ends of lines.
    pub(crate) line_ends: Option<String>,
    /// Everything, byte by byte, in place of all of that.
    pub(crate) raw: Option<Bytes>,
    /// What the scripted server says to it.
    pub(crate) answer: Option<Answer>,
    pub(crate) expect: PerEra,
    /// What is looked for in what has reached the server.
    #[serde(default)]
    pub(crate) reached: Content,
    /// What is looked for in the answer, head and body.
    #[serde(default)]
    pub(crate) reply: Content,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EraName {
    Modern,
    Legacy,
}

/// What an upstream answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// The media type, where it is not JSON.
    #[serde(default = "json")]
    pub(crate) media_type: Option<String>,
    #[serde(default)]
    pub(crate) headers: Vec<(Bytes, Bytes)>,
    pub(crate) body: Bytes,
    /// Of how many bytes each piece is that is sent.
    pub(crate) chunks: Option<usize>,
}

/// Texts that are, or are not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    #[serde(default)]
    pub(crate) has: Vec<Bytes>,
    #[serde(default)]
    pub(crate) lacks: Vec<Bytes>,
}

/// The same in both, or different.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum PerEra {
    Same(Expected),
    Differs(Differing),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Differing {
    modern: Expected,
    legacy: Expected,
}

fn both_eras() -> Vec<EraName> {
    vec![EraName::Modern, EraName::Legacy]
}

fn sample() -> String {
    portcullis_tests::stack::SAMPLE.to_owned()
}

fn ok() -> u16 {
    200
}

// An answer without a media type is one of the cases.
#[expect(clippy::unnecessary_wraps, reason = "serde asks for the type of the field")]
fn json() -> Option<String> {
    Some("application/json".to_owned())
}

impl PerEra {
    pub(crate) fn of(&self, era: EraName) -> Expected {
        match (self, era) {
            (Self::Same(expected), _) => *expected,
            (Self::Differs(differing), EraName::Modern) => differing.modern,
            (Self::Differs(differing), EraName::Legacy) => differing.legacy,
        }
    }
}

impl Row {
    /// What makes sure of it, by what says most.
    pub(crate) fn kind(&self) -> Option<Kind> {
        let kinds = [
            (!self.inputs.is_empty(), Kind::Data),
            (!self.stories.is_empty(), Kind::Story),
            (!self.proved_by.is_empty(), Kind::ProvedBy),
            (self.does_not_apply.is_some(), Kind::DoesNotApply),
        ];
        kinds.into_iter().find(|(is, _)| *is).map(|(_, kind)| kind)
    }
}

/// The rows of a file.
///
/// # Panics
/// If it cannot be read.
pub(crate) fn read(file: &str) -> Vec<Row> {
    let path = repository().join(format!("tests/catalogue/{file}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
