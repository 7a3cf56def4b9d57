//! The first page: what goes on, and what to do first.

use std::time::Duration;

use askama::Template;
use axum::response::Response;

use super::entry::Refused;
use super::shell::{Visit, filters, page};
use crate::http::admin::acting::Acting;
use crate::http::admin::records::{self, SummaryQuery, SummaryView};
use crate::http::admin::status::{self, Status};
use crate::http::admin::{servers, time, workspaces};
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

/// Spans of time to choose among: what a link says, what people read, and seconds.
const SPANS: [(&str, &str, u64); 4] = [
    ("hour", "Hour", 3_600),
    ("day", "Day", 86_400),
    ("week", "Week", 7 * 86_400),
    ("month", "30 days", 30 * 86_400),
];

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    span: Option<String>,
}

#[derive(Template)]
#[template(path = "console/overview.html")]
struct Overview<'a> {
    visit: &'a Visit,
    /// Path, name, and whether it is the one that is shown.
    spans: Vec<(&'static str, &'static str, bool)>,
    /// `None` where no records are kept.
    summary: Option<SummaryView>,
    /// For administrators.
    status: Option<Status>,
    has_servers: bool,
    has_workspaces: bool,
}

impl Overview<'_> {
    fn has_requests(&self) -> bool {
        self.summary.as_ref().is_some_and(|summary| summary.total.requests > 0)
    }

    fn connected(&self) -> usize {
        let filters = self.status.as_ref().map_or(&[][..], |status| status.filters.as_slice());
        filters.iter().filter(|filter| filter.connected).count()
    }
}

pub(super) async fn show(
    app: Acting,
    visit: Visit,
    StrictQuery(which): StrictQuery<Which>,
) -> Result<Response, Refused> {
    let span = SPANS.iter().find(|(word, ..)| which.span.as_deref() == Some(word)).unwrap_or(&SPANS[1]);
    let summary = match records::summary(app.clone(), StrictQuery(last(&app, span.2))).await {
        Ok(summary) => Some(summary.0),
        // Where records go somewhere else, there is nothing to sum up.
        Err(ApiError::Conflict { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let status = if visit.administers { Some(status::show(app.clone()).await?.0) } else { None };
    let content = Overview {
        visit: &visit,
        spans: SPANS.iter().map(|each| (each.0, each.1, each.0 == span.0)).collect(),
        summary,
        status,
        has_servers: !servers::list(app.clone()).await?.0.servers.is_empty(),
        has_workspaces: !workspaces::list(app).await?.0.workspaces.is_empty(),
    };
    Ok(page(&visit, "Overview", &content))
}

/// The last so many seconds.
fn last(app: &Acting, seconds: u64) -> SummaryQuery {
    let from = app.clock.now().minus(Duration::from_secs(seconds));
    SummaryQuery { from: Some(time::spell(from)), ..SummaryQuery::default() }
}
