//! Whose tokens are accepted, for which servers, and which workspace they speak for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_wire::lease::DenyReason;
use portcullis_wire::names::Slug;
use portcullis_wire::watch::{IssuerEntry, VerificationKey};
use serde::{Deserialize, Serialize};
use url::Url;

use super::token_rules::{ClaimPath, TokenRules, TokenView};
use super::{Origin, Revision};
use crate::clock::Timestamp;

/// How far an issuer's clock may be off unless its settings say otherwise, in seconds.
pub const CLOCK_TOLERANCE: u32 = 30;

/// An issuer whose tokens are a gateway credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Compared byte for byte with a token's `iss`.
    pub issuer: String,
    /// What its tokens have to say, for servers without rules of their own.
    pub rules: TokenRules,
    pub settings: IssuerSettings,
    /// Whether `typ` must be `at+jwt` (RFC 9068).
    pub require_at_jwt: bool,
    pub source: TokenSource,
    /// As given or fetched; none where tokens are introspected.
    pub keys: Vec<VerificationKey>,
    /// When they were fetched last.
    pub keys_fetched_at: Option<Timestamp>,
    pub workspaces: WorkspaceMapping,
    /// Whether a valid token makes its subject a member of the mapped workspace on first use.
    pub auto_provision_members: bool,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
}

/// What else there is to say about an issuer; kept as one JSON value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerSettings {
    /// In place of [`Issuer::rules`] for these servers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<Slug, TokenRules>,
    /// Tokens are accepted for these servers only; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<Slug>>,
    /// Seconds; [`CLOCK_TOLERANCE`] if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_tolerance: Option<u32>,
    /// What a new member is called; by its subject if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_claim: Option<ClaimPath>,
}

/// How a token is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// By the keys in the configuration.
    #[default]
    Given,
    /// By the keys at this address, which are fetched from time to time.
    Jwks(Url),
    /// By asking the issuer (RFC 7662).
    Introspection(Introspection),
}

/// An introspection endpoint, and the client that it knows the gateway as. The client's secret is not kept here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introspection {
    pub endpoint: Url,
    pub client_id: String,
    /// In the body and not by the scheme `Basic`.
    #[serde(default)]
    pub secret_post: bool,
    /// How long an answer is believed, in seconds; a token that is revoked meanwhile is accepted for as long.
    pub cache: u64,
}

/// How a token's workspace is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkspaceMapping {
    /// Every token of the issuer speaks for this workspace.
    Fixed(Slug),
    /// The value of this claim is the workspace's slug.
    Claim(String),
    /// The token's subject is a declared member somewhere: of the workspace that the path names, or of one only.
    Membership,
}

impl Issuer {
    /// What every filter is told about it. What differs between servers is left to [`Issuer::judge`].
    pub fn entry(&self) -> IssuerEntry {
        let audiences: BTreeSet<&String> = self.all_rules().flat_map(|rules| &rules.audiences).collect();
        let accepts_resource = self.all_rules().any(|rules| rules.audiences.is_empty());
        let named = self.all_rules().flat_map(|rules| &rules.claims).map(|rule| rule.claim.name());
        let claims: BTreeSet<String> =
            named.chain(self.settings.name_claim.as_ref().map(ClaimPath::name)).collect();
        IssuerEntry {
            issuer: self.issuer.clone(),
            audiences: audiences.into_iter().cloned().collect(),
            require_at_jwt: self.require_at_jwt,
            workspace_claim: match &self.workspaces {
                WorkspaceMapping::Claim(claim) => Some(claim.clone()),
                WorkspaceMapping::Fixed(_) | WorkspaceMapping::Membership => None,
            },
            claims: claims.into_iter().collect(),
            accepts_resource,
            clock_tolerance: self.settings.clock_tolerance,
            introspected: self.is_introspected(),
            gateway: false,
            keys: self.keys.clone(),
        }
    }

    pub fn is_introspected(&self) -> bool {
        matches!(self.source, TokenSource::Introspection(_))
    }

    fn all_rules(&self) -> impl Iterator<Item = &TokenRules> {
        std::iter::once(&self.rules).chain(self.settings.servers.values())
    }

    /// Whether its tokens are for this server at all.
    pub fn serves(&self, server: &Slug) -> bool {
        self.settings.only.as_ref().is_none_or(|only| only.contains(server))
    }

    /// Whether a token that is good may be used for this server, where `resource` is the URL that was called.
    pub fn judge(
        &self,
        server: &Slug,
        token: TokenView<'_>,
        resource: &str,
        now: Timestamp,
    ) -> Result<(), DenyReason> {
        if !self.serves(server) {
            return Err(DenyReason::NotForThisServer);
        }
        let rules = self.settings.servers.get(server).unwrap_or(&self.rules);
        rules.judge(token, resource, self.clock_tolerance(), now)
    }

    /// What a token calls its subject, where the settings name a claim for it.
    pub fn first_name<'a>(&self, token: TokenView<'a>) -> Option<&'a str> {
        let name = self.settings.name_claim.as_ref()?.find(token.claims)?.as_str()?;
        let shown =
            !name.trim().is_empty() && name.chars().count() <= 200 && !name.chars().any(char::is_control);
        shown.then_some(name)
    }

    pub fn clock_tolerance(&self) -> Duration {
        Duration::from_secs(self.settings.clock_tolerance.unwrap_or(CLOCK_TOLERANCE).into())
    }

    /// The workspace that the mapping names for a token with this value of the workspace claim. `None` if it names
    /// none, be it for want of a claim or because the claim's value is not a slug.
    pub fn mapped_workspace(&self, claim: Option<&str>) -> Option<Slug> {
        match &self.workspaces {
            WorkspaceMapping::Fixed(slug) => Some(slug.clone()),
            WorkspaceMapping::Claim(_) => Slug::parse(claim?).ok(),
            WorkspaceMapping::Membership => None,
        }
    }
}
