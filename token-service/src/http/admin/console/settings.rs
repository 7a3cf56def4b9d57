//! Administrators, where tokens and sign-ins come from, what is in quarantine, and the gateways.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::entry::Refused;
use super::form::{Sent, applied, body};
use super::shell::{Visit, filters, page, see_other};
use crate::http::admin::acting::Acting;
use crate::http::admin::administrators::{self, AdministratorView};
use crate::http::admin::issuers::{self, IssuerView};
use crate::http::admin::me;
use crate::http::admin::quarantines::{self, QuarantineView};
use crate::http::admin::signing_keys::{self, SigningKeyView};
use crate::http::admin::status::{self, Status};

#[derive(Template)]
#[template(path = "console/settings.html")]
struct Page<'a> {
    visit: &'a Visit,
    administrators: Vec<AdministratorView>,
    issuers: Vec<IssuerView>,
    signing_keys: Vec<SigningKeyView>,
    quarantines: Vec<QuarantineView>,
    status: Status,
    issuer: String,
    public_url: &'a str,
    file: &'a str,
}

pub(super) async fn show(app: Acting, visit: Visit) -> Result<Response, Refused> {
    let issuer = app.company.as_ref().map_or_else(String::new, |company| company.issuer().to_owned());
    let content = Page {
        visit: &visit,
        administrators: administrators::list(app.clone()).await?.0.administrators,
        issuers: issuers::list(app.clone()).await?.0.issuers,
        signing_keys: signing_keys::list(app.clone()).await?.0.signing_keys,
        quarantines: quarantines::list(app.clone()).await?.0.quarantines,
        status: status::show(app.clone()).await?.0,
        issuer,
        public_url: &app.settings.public_url,
        file: &app.settings.config_file,
    };
    Ok(page(&visit, "Settings", &content))
}

pub(super) async fn appoint(app: Acting, Sent(form): Sent) -> Result<Response, Refused> {
    let sent = json!({
        "issuer": form.text("issuer"),
        "subject": form.text("subject"),
        "name": form.given("name"),
        "role": form.text("role"),
    });
    administrators::create(app, applied(), body(&sent)?).await?;
    Ok(see_other("/settings"))
}

pub(super) async fn change(
    app: Acting,
    Path(id): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let sent = json!({"role": form.text("role")});
    administrators::change(app, Path(id), applied(), form.expected(), body(&sent)?).await?;
    Ok(see_other("/settings"))
}

pub(super) async fn dismiss(app: Acting, Path(id): Path<String>) -> Result<Response, Refused> {
    administrators::delete(app, Path(id), applied()).await?;
    Ok(see_other("/settings"))
}

pub(super) async fn sign_out(app: Acting) -> Result<Response, Refused> {
    me::sign_out(app).await?;
    Ok(super::shell::signed_out())
}
