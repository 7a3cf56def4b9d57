//! What a level takes away on a server: the rules whole, as the API has them.

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::entry::Refused;
use super::form::{Sent, applied, body};
use super::shell::{Visit, page, see_other, segment};
use crate::domain::Revision;
use crate::domain::access::Operation;
use crate::domain::policy::ServerRules;
use crate::http::admin::acting::Acting;
use crate::http::admin::commit::IfMatch;
use crate::http::admin::policies;
use crate::http::admin::servers::ServerView;
use crate::http::admin::workspaces;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

/// Which level a page is about: `organization` if nothing is said.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    level: Option<String>,
}

/// A level to choose.
pub(super) struct Choice {
    pub(super) target: String,
    pub(super) name: String,
    pub(super) is_chosen: bool,
}

/// What one level says of one server.
pub(super) struct Level {
    pub(super) target: String,
    pub(super) rules: ServerRules,
    /// The revision that a change is based on: 0 where nothing was said yet.
    pub(super) revision: u64,
    pub(super) is_declared: bool,
}

impl At {
    pub(super) fn target(&self) -> String {
        self.level.clone().unwrap_or_else(|| "organization".to_owned())
    }
}

impl Level {
    pub(super) async fn find(app: &Acting, target: &str, server: &ServerView) -> Result<Self, ApiError> {
        let Json(found) = policies::list(app.clone(), Path(target.to_owned())).await?;
        let entry = found.policies.into_iter().find(|policy| policy.server == server.id);
        let target = target.to_owned();
        Ok(match entry {
            Some(entry) => Self {
                target,
                is_declared: entry.origin == "config",
                revision: entry.revision,
                rules: entry.rules,
            },
            None => Self { target, rules: ServerRules::default(), revision: 0, is_declared: false },
        })
    }

    /// Puts `rules` in place of what the level says, if that is what the page had shown; of nothing, the entry goes.
    pub(super) async fn replace(
        self,
        app: &Acting,
        server: &str,
        shown: &str,
        rules: &Value,
    ) -> Result<(), ApiError> {
        if shown != self.revision.to_string() {
            return Err(ApiError::Stale);
        }
        let path = Path((self.target, server.to_owned()));
        let wait = applied();
        if *rules == serde_json::json!({}) {
            if self.revision > 0 {
                policies::delete(app.clone(), path, wait).await?;
            }
            return Ok(());
        }
        let expected = match self.revision {
            0 => IfMatch::default(),
            revision => IfMatch::of(Revision(revision)),
        };
        policies::set(app.clone(), path, wait, expected, body(rules)?).await?;
        Ok(())
    }
}

/// The organization and all workspaces, and a level of another kind if it is the one that is shown.
pub(super) async fn choices(app: &Acting, chosen: &str) -> Result<Vec<Choice>, ApiError> {
    let mut choices = vec![("organization".to_owned(), "Organization".to_owned())];
    for workspace in workspaces::list(app.clone()).await?.0.workspaces {
        choices.push((format!("workspace:{}", workspace.slug), workspace.name));
    }
    if !choices.iter().any(|(target, _)| target == chosen) {
        choices.push((chosen.to_owned(), named(app, chosen).await?));
    }
    let choice = |(target, name): (String, String)| Choice { is_chosen: target == chosen, target, name };
    Ok(choices.into_iter().map(choice).collect())
}

async fn named(app: &Acting, target: &str) -> Result<String, ApiError> {
    Ok(match target.split_once(':') {
        Some(("member", id)) => format!("Member {}", app.find_member(id, Operation::See).await?.name),
        Some(("key", id)) => format!("Key {}", app.find_key(id, Operation::See).await?.settings.name),
        _ => target.to_owned(),
    })
}

#[derive(Template)]
#[template(path = "console/rules.html")]
struct Page<'a> {
    visit: &'a Visit,
    slug: &'a str,
    name: &'a str,
    file: &'a str,
    levels: Vec<Choice>,
    level: Level,
    json: String,
}

pub(super) async fn show(
    app: Acting,
    visit: Visit,
    Path(name): Path<String>,
    StrictQuery(at): StrictQuery<At>,
) -> Result<Response, Refused> {
    let server = ServerView::of(app.find_server(&name, Operation::Administer).await?, &app);
    let level = Level::find(&app, &at.target(), &server).await?;
    let json =
        serde_json::to_string_pretty(&level.rules).map_err(|error| ApiError::Internal(error.into()))?;
    let content = Page {
        visit: &visit,
        slug: &server.slug,
        name: &server.name,
        file: &app.settings.config_file,
        levels: choices(&app, &level.target).await?,
        level,
        json,
    };
    Ok(page(&visit, &format!("Rules of {}", server.name), &content))
}

pub(super) async fn change(
    app: Acting,
    Path(name): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let server = ServerView::of(app.find_server(&name, Operation::Administer).await?, &app);
    let target = form.given("level").unwrap_or("organization").to_owned();
    let text = form.given("rules").unwrap_or("{}");
    let rules: Value = serde_json::from_str(text).map_err(|error| {
        let problem = format!("is not JSON: line {}, column {}", error.line(), error.column());
        ApiError::invalid("rules", problem, "mend it there; the example below the form has all that there is")
    })?;
    let level = Level::find(&app, &target, &server).await?;
    level.replace(&app, &server.slug, form.text("revision"), &rules).await?;
    Ok(see_other(&format!("/servers/{}/rules?level={}", segment(&name), segment(&target))))
}
