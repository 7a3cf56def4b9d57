//! Asking a server, before it is added or at any time, how it wants to be signed in to.

use askama::Template;
use axum::Json;
use axum::response::Response;
use serde_json::json;

use super::entry::Refused;
use super::form::{Sent, body};
use super::shell::part;
use crate::http::admin::acting::Acting;
use crate::http::admin::server_checks::{self, CheckView};

#[derive(Template)]
#[template(path = "console/check.html")]
struct Check {
    check: CheckView,
}

pub(super) async fn server(app: Acting, Sent(form): Sent) -> Result<Response, Refused> {
    let sent = json!({"url": form.text("url"), "allow_http": form.is_ticked("allow_http")});
    let Json(check) = server_checks::check(app, body(&sent)?).await?;
    Ok(part(&Check { check }))
}
