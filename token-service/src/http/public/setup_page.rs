//! What the templates of `/setup` get.

use askama::Template;

use super::page::{Person, RowState};
use crate::domain::client_setup::{ClientSetup, Step};

#[derive(Template)]
#[template(path = "setup.html")]
pub(super) struct SetupPage {
    pub(super) person: Person,
    pub(super) rows: Vec<SetupRow>,
}

/// A server that somebody may use, as a member of one workspace.
pub(super) struct SetupRow {
    pub(super) server: String,
    pub(super) host: String,
    pub(super) workspace: String,
    /// The path of its page.
    pub(super) page: String,
    /// At which clients call it.
    pub(super) url: String,
    /// `None` if it wants no account.
    pub(super) account: Option<RowState>,
}

#[derive(Template)]
#[template(path = "setup_server.html")]
pub(super) struct ServerPage<'a> {
    pub(super) person: Person,
    pub(super) server: &'a str,
    pub(super) host: &'a str,
    pub(super) workspace: &'a str,
    /// At which clients call it.
    pub(super) url: &'a str,
    /// Whether that names the workspace.
    pub(super) names_workspace: bool,
    /// `None` if it wants no account.
    pub(super) account: Option<RowState>,
    pub(super) console: Option<&'a str>,
    pub(super) key_variable: &'a str,
    pub(super) keep_key: [Step; 2],
    /// Whether any of the clients can do without a key.
    pub(super) somebody_signs_in: bool,
    pub(super) clients: Vec<ClientSetup>,
    /// The path of this page.
    pub(super) page: String,
}
