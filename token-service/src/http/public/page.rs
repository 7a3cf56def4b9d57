//! The pages: what each template gets, and how it is sent.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::guard::SignedIn;
use crate::domain::redirect_uri::Destination;

/// Where the one stylesheet is.
pub(super) const STYLESHEET: &str = "/assets/portcullis.css";

/// What the top of a page shows of whoever is signed in.
pub(super) struct Person {
    pub(super) name: String,
    pub(super) csrf: String,
}

impl Person {
    pub(super) fn of(browser: &SignedIn) -> Self {
        Self { name: browser.session.name.clone(), csrf: browser.csrf() }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInPage<'a> {
    pub(super) csrf: String,
    pub(super) next: String,
    pub(super) people: &'a [Choice],
}

/// Somebody to sign in as.
pub(super) struct Choice {
    /// The id of a member or of an administrator.
    pub(super) member: String,
    pub(super) name: String,
    /// Workspaces, and the role of an administrator.
    pub(super) belongs_to: Vec<String>,
}

#[derive(Template)]
#[template(path = "signed_out.html")]
pub(super) struct SignedOutPage {}

#[derive(Template)]
#[template(path = "consent.html")]
pub(super) struct ConsentPage<'a> {
    pub(super) person: Person,
    pub(super) server: &'a str,
    pub(super) host: &'a str,
    pub(super) workspace: &'a str,
    pub(super) client_name: Option<&'a str>,
    pub(super) scopes: Vec<&'a str>,
    pub(super) destination: &'a str,
    pub(super) started: String,
    pub(super) started_at: String,
    pub(super) action: String,
    /// What was shown; something else is not agreed to.
    pub(super) plan: String,
}

#[derive(Template)]
#[template(path = "onward.html")]
pub(super) struct OnwardPage<'a> {
    pub(super) person: Person,
    pub(super) server: &'a str,
    pub(super) destination: &'a str,
    pub(super) url: &'a str,
}

#[derive(Template)]
#[template(path = "allow.html")]
pub(super) struct AllowPage<'a> {
    pub(super) person: Person,
    pub(super) client: &'a str,
    pub(super) vouching: Vouching,
    pub(super) destination: Destination,
    pub(super) server: &'a str,
    /// None if the person may not use it, or if there is no such server.
    pub(super) memberships: Vec<Membership>,
    /// Asked for.
    pub(super) everything: bool,
    pub(super) request: &'a str,
    /// What was shown; something else is not agreed to.
    pub(super) shown: String,
}

/// Who says that a client is called what it is called.
pub(super) enum Vouching {
    Administrator,
    Host(String),
    /// It registered itself, so long ago.
    Nobody(String),
}

/// A workspace that somebody is in.
pub(super) struct Membership {
    pub(super) member: String,
    pub(super) workspace: String,
}

#[derive(Template)]
#[template(path = "chain.html")]
pub(super) struct ChainPage<'a> {
    pub(super) person: Person,
    pub(super) client: &'a str,
    pub(super) server: &'a str,
    pub(super) host: &'a str,
    pub(super) workspace: &'a str,
    pub(super) scopes: Vec<&'a str>,
    pub(super) destination: &'a str,
    pub(super) request: &'a str,
    /// What was shown; something else is not agreed to.
    pub(super) plan: String,
}

#[derive(Template)]
#[template(path = "back.html")]
pub(super) struct BackPage<'a> {
    pub(super) person: Person,
    pub(super) client: &'a str,
    pub(super) allowed: bool,
    pub(super) url: &'a str,
}

#[derive(Template)]
#[template(path = "connected.html")]
pub(super) struct ConnectedPage<'a> {
    pub(super) person: Person,
    pub(super) server: &'a str,
    pub(super) server_id: &'a str,
    pub(super) workspace: &'a str,
    pub(super) member: &'a str,
    pub(super) account: Option<&'a str>,
    pub(super) scopes: Vec<&'a str>,
}

#[derive(Template)]
#[template(path = "connections.html")]
pub(super) struct ConnectionsPage {
    pub(super) person: Person,
    pub(super) rows: Vec<ConnectionRow>,
    pub(super) clients: Vec<ClientRow>,
}

/// A client that is signed in as this person.
pub(super) struct ClientRow {
    pub(super) session: String,
    pub(super) name: String,
    pub(super) server: String,
    pub(super) workspace: String,
    pub(super) everything: bool,
    /// In words and for machines.
    pub(super) created_at: (String, String),
    pub(super) last_used_at: (String, String),
}

/// A server that somebody may use, connected or not.
pub(super) struct ConnectionRow {
    pub(super) server: String,
    pub(super) server_id: String,
    pub(super) host: String,
    pub(super) workspace: String,
    pub(super) member: String,
    pub(super) state: RowState,
    pub(super) account: Option<String>,
    pub(super) scopes: Vec<String>,
    /// In words and for machines.
    pub(super) connected_at: Option<(String, String)>,
    pub(super) refreshed_at: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowState {
    NotConnected,
    Connected,
    /// The text says why.
    NeedsReauth(&'static str),
    Quarantined,
}

impl RowState {
    /// For the stylesheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::NotConnected => "off",
            Self::Connected => "on",
            Self::NeedsReauth(_) | Self::Quarantined => "attention",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::NotConnected => "Not connected",
            Self::Connected => "Connected",
            Self::NeedsReauth(_) => "Connect again",
            Self::Quarantined => "On hold",
        }
    }

    fn explanation(self) -> Option<&'static str> {
        match self {
            Self::NotConnected | Self::Connected => None,
            Self::NeedsReauth(why) => Some(why),
            Self::Quarantined => Some(
                "The server has moved to another address. An administrator decides whether your connection moves \
                 with it.",
            ),
        }
    }

    fn connect_label(self) -> &'static str {
        if self == Self::NotConnected { "Connect" } else { "Reconnect" }
    }

    pub(super) fn is_fine(self) -> bool {
        self == Self::Connected
    }

    fn can_disconnect(self) -> bool {
        self != Self::NotConnected
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
pub(super) struct ProblemPage<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    /// Where to go, and what it is called.
    pub(super) next: Option<(&'a str, &'a str)>,
    pub(super) incident: &'a str,
}

/// A page, rendered. Templates write into a string and cannot fail.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Response {
    (status, Html(page.render().unwrap_or_default())).into_response()
}

/// 303: whatever the request was, the next one is a `GET` without its body.
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/connections"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

pub(super) async fn stylesheet() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, include_str!("../../../templates/portcullis.css")).into_response()
}
