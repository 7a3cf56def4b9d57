//! Whose tokens are accepted, and which workspace they speak for.

use portcullis_wire::names::Slug;
use portcullis_wire::watch::{IssuerEntry, VerificationKey};

use super::{Origin, Revision};

/// An issuer whose tokens are a gateway credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Compared byte for byte with a token's `iss`.
    pub issuer: String,
    /// Accepted values of `aud`; empty means the URL of the server path that is called.
    pub audiences: Vec<String>,
    /// Whether `typ` must be `at+jwt` (RFC 9068).
    pub require_at_jwt: bool,
    pub keys: Vec<VerificationKey>,
    pub workspaces: WorkspaceMapping,
    /// Whether a valid token makes its subject a member of the mapped workspace on first use.
    pub auto_provision_members: bool,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
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
    /// What every filter is told about it.
    pub fn entry(&self) -> IssuerEntry {
        IssuerEntry {
            issuer: self.issuer.clone(),
            audiences: self.audiences.clone(),
            require_at_jwt: self.require_at_jwt,
            workspace_claim: match &self.workspaces {
                WorkspaceMapping::Claim(claim) => Some(claim.clone()),
                WorkspaceMapping::Fixed(_) | WorkspaceMapping::Membership => None,
            },
            claims: Vec::new(),
            accepts_resource: false,
            clock_tolerance: None,
            introspected: false,
            gateway: false,
            keys: self.keys.clone(),
        }
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
