//! What to put into a client so that it calls a server here: `/setup`, and a page for each server that somebody may use.
//!
//! A page for each, because one has every client and both ways in: a hundred servers on one page would be nobody's help.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use portcullis_wire::names::Slug;

use super::connections::{connection_id, row_state};
use super::guard::SignedIn;
use super::next::Next;
use super::page::{self, Person, RowState};
use super::setup_page::{ServerPage, SetupPage, SetupRow};
use super::trouble::PageError;
use crate::connect::{Access, Usable};
use crate::domain::client_setup::{Client, ClientSetup, SignIn, Target, keep_key};
use crate::domain::resource::ResourcePath;
use crate::domain::server::ServerAuth;
use crate::state::{Service, Settings, Shared};

/// `GET /setup`: every server, each with a link to its page.
pub(super) async fn list(State(app): State<Shared>, headers: HeaderMap) -> Result<Response, PageError> {
    let Some(browser) = SignedIn::of(&app, &headers).await? else {
        return Ok(page::see_other(&Next::Setup.sign_in()));
    };
    let usable = app.usable_servers(&browser.session.identity).await?;
    let mut rows = Vec::new();
    for access in &usable.accesses {
        let target = target(&app, access, usable.in_several_workspaces)?;
        rows.push(SetupRow {
            server: access.server.settings.name.clone(),
            host: access.server.settings.url.upstream().authority,
            workspace: access.workspace.name.clone(),
            page: page_of(access).path(),
            url: target.url().to_owned(),
            account: account(&app, access).await?,
        });
    }
    Ok(page::html(StatusCode::OK, &SetupPage { person: Person::of(&browser), rows }))
}

/// `GET /setup/{workspace}/{server}`
pub(super) async fn of_server(
    State(app): State<Shared>,
    Path((workspace, server)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let (workspace, server) = slugs(&workspace, &server)?;
    let Some(browser) = SignedIn::of(&app, &headers).await? else {
        return Ok(page::see_other(&Next::SetupOf { workspace, server }.sign_in()));
    };
    let (access, target) = find(&app, &browser, &workspace, &server).await?;
    let clients = clients(&app, &target);
    let page = ServerPage {
        person: Person::of(&browser),
        server: &access.server.settings.name,
        host: &access.server.settings.url.upstream().authority,
        workspace: &access.workspace.name,
        url: target.url(),
        names_workspace: target.names_workspace(),
        account: account(&app, &access).await?,
        console: console(&app.settings),
        key_variable: target.key_variable(),
        keep_key: keep_key(&target),
        somebody_signs_in: clients.iter().any(|setup| setup.sign_in.is_some()),
        clients,
        page: page_of(&access).path(),
    };
    Ok(page::html(StatusCode::OK, &page))
}

/// `GET /setup/{workspace}/{server}/{client}/{credential}/{step}`: what is to be copied in a step, and nothing else, for
/// whoever selects without a mouse or saves it as a file.
pub(super) async fn snippet(
    State(app): State<Shared>,
    Path((workspace, server, client, credential, step)): Path<(String, String, String, String, usize)>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let (workspace, server) = slugs(&workspace, &server)?;
    let Some(browser) = SignedIn::of(&app, &headers).await? else {
        return Ok(page::see_other(&Next::SetupOf { workspace, server }.sign_in()));
    };
    let (_, target) = find(&app, &browser, &workspace, &server).await?;
    let setup = clients(&app, &target).into_iter().find(|setup| setup.client.slug() == client);
    let setup = setup.ok_or(PageError::NotFound)?;
    let way = setup.ways().find(|way| way.credential.slug() == credential).ok_or(PageError::NotFound)?;
    let step = step.checked_sub(1).and_then(|index| way.all_steps().nth(index));
    let snippet = step.and_then(|step| step.snippet.as_ref()).ok_or(PageError::NotFound)?;
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, format!("{}\n", snippet.text)).into_response())
}

fn slugs(workspace: &str, server: &str) -> Result<(Slug, Slug), PageError> {
    let slug = |text: &str| Slug::parse(text).map_err(|_| PageError::NotFound);
    Ok((slug(workspace)?, slug(server)?))
}

/// A server that is not there and one that is not for this person look alike.
async fn find(
    app: &Service,
    browser: &SignedIn,
    workspace: &Slug,
    server: &Slug,
) -> Result<(Access, Target), PageError> {
    let usable = app.usable_by(&browser.session.identity, server).await?;
    let Usable { accesses, in_several_workspaces } = usable;
    let access = accesses.into_iter().find(|access| access.workspace.slug == *workspace);
    let access = access.ok_or(PageError::NoAccess)?;
    let target = target(app, &access, in_several_workspaces)?;
    Ok((access, target))
}

/// The address names the workspace where it would not be clear otherwise.
fn target(app: &Service, access: &Access, names_workspace: bool) -> Result<Target, PageError> {
    let workspace = names_workspace.then(|| access.workspace.slug.clone());
    let resource = ResourcePath { workspace, server: access.server.slug.clone() };
    Target::new(&app.settings.public_url, &resource)
        .map_err(|error| PageError::Internal { cause: error.to_string() })
}

fn clients(app: &Service, target: &Target) -> Vec<ClientSetup> {
    let sign_in = SignIn { dynamic_registration: app.settings.authorization.dynamic_registration };
    Client::ALL.into_iter().map(|client| client.set_up(target, sign_in)).collect()
}

fn page_of(access: &Access) -> Next {
    Next::SetupOf { workspace: access.workspace.slug.clone(), server: access.server.slug.clone() }
}

/// What there is of the account that the server wants of each member; `None` if it wants none.
async fn account(app: &Service, access: &Access) -> Result<Option<RowState>, PageError> {
    if !matches!(access.server.settings.auth, ServerAuth::OAuth(_)) {
        return Ok(None);
    }
    let connection = app.store.connection(&connection_id(access)).await?;
    Ok(Some(row_state(connection.as_ref())))
}

/// Where members make their own keys. An address on plain http is one of this machine, which is of no use to those who
/// come to a gateway elsewhere.
fn console(settings: &Settings) -> Option<&str> {
    let is_https = |url: &str| url.starts_with("https://");
    let is_reached = is_https(&settings.admin_url) || !is_https(&settings.public_url);
    is_reached.then_some(settings.admin_url.as_str())
}
