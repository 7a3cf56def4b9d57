//! What tokens have to say, for all servers or for one.

use std::time::Duration;

use super::super::reader::{At, Fields};
use crate::domain::token_rules::{ClaimPath, ClaimRule, ClaimTest, Pattern, TokenRules};

pub(super) const FIELDS: [&str; 3] = ["audiences", "claims", "max_age"];

const LONGEST_AGE: Duration = Duration::from_hours(24);

/// What is absent is as in `general`. `None` only where a problem was reported.
pub(super) fn read(fields: &Fields<'_>, general: Option<&TokenRules>) -> Option<TokenRules> {
    let mut rules = general.cloned().unwrap_or_default();
    if fields.get("audiences").is_some() {
        let items = fields.items("audiences");
        let audiences: Option<Vec<String>> = items.iter().map(audience).collect();
        rules.audiences = audiences?;
    }
    if fields.get("claims").is_some() {
        let claims: Vec<Option<ClaimRule>> = fields.items("claims").iter().map(claim_rule).collect();
        rules.claims = claims.into_iter().collect::<Option<_>>()?;
    }
    if let Some(at) = fields.get("max_age") {
        rules.max_age = Some(at.duration(Duration::from_secs(1), LONGEST_AGE)?.as_secs());
    }
    Some(rules)
}

fn audience(at: &At<'_>) -> Option<String> {
    at.parsed("write a value that the tokens have in `aud`", |text| {
        if text.is_empty() || text.len() > 1024 { Err("not an audience") } else { Ok(text.to_owned()) }
    })
}

fn claim_rule(at: &At<'_>) -> Option<ClaimRule> {
    let fields = at.fields(&["claim", "equals", "contains", "matches"])?;
    let claim = fields.require("claim").and_then(claim_path);
    let tests = ["equals", "contains", "matches"];
    let mut tests = tests.into_iter().filter_map(|name| fields.get(name).map(|at| (name, at)));
    let (Some((name, value)), None) = (tests.next(), tests.next()) else {
        at.report("a claim is judged by one test", "write one of equals, contains and matches");
        return None;
    };
    let test = match name {
        "equals" => plain(value).map(ClaimTest::Equals),
        "contains" => plain(value).map(ClaimTest::Contains),
        _ => value
            .parsed(
                "write a regular expression (crate regex); it has to match the whole value",
                Pattern::parse,
            )
            .map(ClaimTest::Matches),
    };
    Some(ClaimRule { claim: claim?, test: test? })
}

/// A text, a number, or true or false.
fn plain(at: &At<'_>) -> Option<serde_json::Value> {
    if at.is_scalar() {
        return Some(at.to_json());
    }
    at.report("a claim is compared with one plain value", "write a text, a number, or true or false");
    None
}

pub(super) fn claim_path(at: &At<'_>) -> Option<ClaimPath> {
    at.parsed("name a claim, or write a JSON pointer such as /realm_access/roles", |text| {
        ClaimPath::parse(text).ok_or("neither a claim nor a JSON pointer into one")
    })
}
