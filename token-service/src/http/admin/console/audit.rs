//! What administrators and programs have changed.

use askama::Template;
use axum::Json;
use axum::response::Response;

use super::entry::Refused;
use super::shell::{Visit, filters, page};
use crate::http::admin::acting::Acting;
use crate::http::admin::audit::{self, AuditQuery, AuditView};
use crate::http::read::StrictQuery;

#[derive(Template)]
#[template(path = "console/audit.html")]
struct Page {
    entries: Vec<AuditView>,
    before: Option<u64>,
}

pub(super) async fn list(
    app: Acting,
    visit: Visit,
    StrictQuery(query): StrictQuery<AuditQuery>,
) -> Result<Response, Refused> {
    let Json(found) = audit::list(app, StrictQuery(query)).await?;
    let before = found.entries.last().map(|entry| entry.sequence).filter(|sequence| *sequence > 1);
    Ok(page(&visit, "Audit log", &Page { entries: found.entries, before }))
}
