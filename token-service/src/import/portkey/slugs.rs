//! Slugs, which are part of the addresses that clients have.

use std::collections::BTreeMap;

use portcullis_wire::names::Slug;

use super::item::Item;

/// Which integration has taken a slug.
#[derive(Debug, Default)]
pub(super) struct Slugs(BTreeMap<Slug, String>);

impl Slugs {
    /// The slug that a server gets, which is its own wherever that is possible.
    pub(super) fn choose(
        &mut self,
        named: &Item<'_>,
        integration: &Item<'_>,
        workspace: Option<&Slug>,
    ) -> Option<Slug> {
        let Some(given) = ["slug", "name"].iter().find_map(|name| named.text_at(name)) else {
            named.note("it has neither slug nor name, so it is left out", "give it a slug and import again");
            return None;
        };
        let Some(wanted) = slug(&given) else {
            named.note(
                "no slug can be made of its slug or name, so it is left out",
                "give it a slug of letters",
            );
            return None;
        };
        let owner = integration.place().to_owned();
        let mut slug = wanted.clone();
        let mut number = 1_u32;
        while self.0.get(&slug).is_some_and(|other| *other != owner) {
            number += 1;
            let suffix = match workspace {
                Some(workspace) if number == 2 => workspace.to_string(),
                _ => number.to_string(),
            };
            slug = cut(&format!("{}-{suffix}", wanted.as_str().get(..40).unwrap_or(wanted.as_str())))?;
        }
        if slug.as_str() != given {
            let what = format!("the slug {given} cannot be used here, so it is {slug}");
            named.note(what, format!("clients have to call /{slug}/mcp in place of /{given}/mcp"));
        }
        self.0.insert(slug.clone(), owner);
        Some(slug)
    }
}

/// The slug that is nearest to a text.
pub(super) fn slug(text: &str) -> Option<Slug> {
    let letter = |letter: char| {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '-' }
    };
    let text: String = text.chars().take(200).map(letter).collect();
    cut(&text).or_else(|| cut(&format!("mcp-{text}")))
}

fn cut(text: &str) -> Option<Slug> {
    let text = text.trim_matches('-');
    let text = text.get(..63).unwrap_or(text).trim_end_matches('-');
    Slug::parse(text).ok()
}
