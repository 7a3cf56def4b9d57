//! What there is and who may use it: values and decisions, no IO, no clock.
//!
//! - [`ids`]: one type per kind of id.
//! - [`server`], [`url`], [`header`]: a registered MCP server, where it is, and the credential headers it gets.
//! - [`payload`]: what records hold of its requests.
//! - [`auth_draft`], [`auth_text`]: what somebody writes about a server's authorization, checked.
//! - [`connection`], [`connecting`]: upstream credentials that come and go, and how a member gets one.
//! - [`people`]: workspaces, members, API keys and administrators.
//! - [`access`]: who may do what on the admin side.
//! - [`policy`], [`provisioning`]: what each level takes away, and which members a server is for.
//! - [`limit`]: how often something may be called.
//! - [`quarantine`]: what is switched off in an emergency.
//! - [`sign_in`]: what the company's groups mean here.
//! - [`issuer`], [`jwks`]: whose tokens are accepted, and their keys.
//! - [`oauth_client`], [`redirect_uri`]: MCP clients that sign in with OAuth, and where they may be sent back to.
//! - [`client_session`], [`resource`], [`signing`]: what a member has allowed a client, on which server, and the keys
//!   that sign the tokens for it.
//! - [`client_setup`]: what to put into a client so that it calls a server here.
//! - [`resolve`]: all of it together, turned into a lease or a reason why not.
//! - [`denial`], [`explain`]: what it was judged by, and what that means.

pub mod access;
pub mod auth_draft;
pub mod auth_text;
pub mod catalogue;
pub mod client_session;
pub mod client_setup;
pub mod connecting;
pub mod connection;
pub mod denial;
pub mod explain;
pub mod header;
pub mod ids;
pub mod issuer;
pub mod jwks;
pub mod limit;
pub mod oauth_client;
pub mod payload;
pub mod people;
pub mod policy;
pub mod provisioning;
pub mod quarantine;
pub mod redirect_uri;
pub mod resolve;
pub mod resource;
pub mod server;
pub mod sign_in;
pub mod signing;
pub mod staleness;
pub mod token_rules;
pub mod url;

use serde::{Deserialize, Serialize};

/// Who owns an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Declared in `portcullis.yaml`: the admin API and the console show it but cannot change it.
    Config,
    /// Made by the admin API or the console, or by a member's first token.
    Api,
    /// Made by somebody's sign-in at the company's provider, and kept up to date by the next.
    SignIn,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Api => "api",
            Self::SignIn => "sign_in",
        }
    }
}

/// The number of a commit. Commits become visible in the order of their numbers, with none left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl std::fmt::Display for Revision {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}
