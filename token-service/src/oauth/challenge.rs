//! `WWW-Authenticate` (RFC 9110, section 11.6.1), read tolerantly.

/// What a Bearer challenge says that concerns us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BearerChallenge {
    pub resource_metadata: Option<String>,
    pub scope: Option<String>,
    pub error: Option<String>,
}

/// The first Bearer challenge among the values of the header.
pub fn bearer(_values: &[&str]) -> Option<BearerChallenge> {
    todo!()
}
