//! How a provider behaves, as data: `Shape { iss: Iss::Absent, ..Shape::linear() }` is Linear with one thing changed.

use std::time::Duration;

use super::clients::Client;

#[derive(Clone, Debug)]
pub struct Shape {
    /// What its sign-in page calls it.
    pub name: &'static str,
    /// Path of the issuer: empty, or such as `/tenant-1` where several share one host.
    pub path: &'static str,
    pub metadata: Metadata,
    pub registration: Registration,
    /// Registered by hand; others can be added while it runs.
    pub clients: Vec<Client>,
    pub pkce: Pkce,
    pub iss: Iss,
    pub refresh: Refresh,
    /// `None`: access tokens have no end, and `expires_in` is not told.
    pub access_lifetime: Option<Duration>,
    pub resource: Resource,
    /// `scopes_supported`. A request that names none gets the first.
    pub scopes: Vec<&'static str>,
    pub words: Words,
    pub named: Named,
}

/// Where the metadata are (RFC 8414, section 3 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// `/.well-known/oauth-authorization-server<path>`
    OAuth,
    /// `/.well-known/openid-configuration<path>`
    OpenId,
    /// `<path>/.well-known/openid-configuration`
    OpenIdAppended,
    /// Nowhere: clients have to be told the endpoints.
    Nowhere,
}

/// How a stranger becomes a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// RFC 7591.
    Dynamic,
    /// An administrator enters it.
    ByHand,
    /// The client id is the URL of its metadata.
    MetadataDocument,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkce {
    /// S256, demanded and advertised.
    Required,
    /// Checked where it is sent, and not advertised.
    Unadvertised,
    /// Says that it knows `plain` only.
    PlainOnly,
}

/// The `iss` parameter of authorization responses (RFC 9207).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Iss {
    /// Advertised and sent.
    Sent,
    /// Neither advertised nor sent.
    Absent,
    /// Advertised and not sent.
    Forgotten,
    /// Advertised, and somebody else's is sent.
    Wrong(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// No refresh tokens.
    Never,
    /// One refresh token for good. `access_type=offline` (Google) may be needed to get it.
    Kept { answer: KeptAnswer, only_offline: bool },
    /// Each refresh gives a new one. One that was used before is taken once more within `grace` of its first use;
    /// later, or without grace, all tokens of that sign-in are revoked (RFC 9700, section 4.14.2).
    Rotated { grace: Option<Duration> },
}

/// What an answer to a refresh says of a refresh token that stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptAnswer {
    Omitted,
    Repeated,
    /// `"refresh_token": ""`
    Empty,
}

/// The `resource` parameter (RFC 8707).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Must name a resource that it knows; tokens are good for that one only.
    Required,
    /// Not looked at.
    Ignored,
}

/// How the token endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// RFC 6749, section 5.
    Standard,
    /// Status 200 with `ok` also for errors, codes of its own, `token_type` `user`, scopes with commas.
    Slack,
}

/// Where the provider says what an account is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Nowhere,
    /// For the scope `openid`.
    InIdToken,
    /// For the scope `openid`.
    AtUserinfo,
    /// `team.name` in the answer of the token endpoint.
    ByTeam,
}

impl Shape {
    /// Linear: clients register themselves, public ones included; refresh tokens rotate, and reuse revokes.
    pub fn linear() -> Self {
        Self {
            name: "Linear",
            path: "",
            metadata: Metadata::OAuth,
            registration: Registration::Dynamic,
            clients: Vec::new(),
            pkce: Pkce::Required,
            iss: Iss::Absent,
            refresh: Refresh::Rotated { grace: None },
            access_lifetime: Some(Duration::from_hours(24)),
            resource: Resource::Required,
            scopes: vec!["read", "write", "export"],
            words: Words::Standard,
            named: Named::Nowhere,
        }
    }

    /// Notion: as Linear, with shorter access tokens.
    pub fn notion() -> Self {
        Self { name: "Notion", access_lifetime: Some(Duration::from_hours(1)), ..Self::linear() }
    }

    /// GitHub: an application registered by hand, tokens without an end and without a refresh token, an issuer with a
    /// path, no word of PKCE's methods.
    pub fn github(client: Client) -> Self {
        Self {
            name: "GitHub",
            path: "/login/oauth",
            metadata: Metadata::OAuth,
            registration: Registration::ByHand,
            clients: vec![client],
            pkce: Pkce::Unadvertised,
            iss: Iss::Absent,
            refresh: Refresh::Never,
            access_lifetime: None,
            resource: Resource::Ignored,
            scopes: vec!["repo", "read:org", "export"],
            words: Words::Standard,
            named: Named::Nowhere,
        }
    }

    /// Slack with token rotation: no metadata to go by, and words of its own.
    pub fn slack(client: Client) -> Self {
        Self {
            name: "Slack",
            path: "/oauth/v2",
            metadata: Metadata::Nowhere,
            refresh: Refresh::Rotated { grace: None },
            access_lifetime: Some(Duration::from_hours(12)),
            scopes: vec!["search:read", "chat:write", "export"],
            words: Words::Slack,
            named: Named::ByTeam,
            ..Self::github(client)
        }
    }

    /// Google: a refresh token only for `access_type=offline`; it stays the same and is not repeated.
    pub fn google(client: Client) -> Self {
        Self {
            name: "Google",
            path: "",
            metadata: Metadata::OpenId,
            pkce: Pkce::Required,
            refresh: Refresh::Kept { answer: KeptAnswer::Omitted, only_offline: true },
            access_lifetime: Some(Duration::from_hours(1)),
            scopes: vec!["openid", "calendar", "export"],
            named: Named::InIdToken,
            ..Self::github(client)
        }
    }

    /// A strict one by the newest MCP revision: metadata documents, `iss`, rotation, audiences.
    pub fn strict() -> Self {
        Self {
            name: "Strict",
            registration: Registration::MetadataDocument,
            iss: Iss::Sent,
            access_lifetime: Some(Duration::from_mins(5)),
            ..Self::linear()
        }
    }

    /// For machines: `client` fetches tokens with its own credentials.
    pub fn machines(client: Client) -> Self {
        Self {
            name: "Machines",
            registration: Registration::ByHand,
            clients: vec![client],
            refresh: Refresh::Never,
            access_lifetime: Some(Duration::from_mins(5)),
            ..Self::linear()
        }
    }

    /// The same with an issuer of its own on a host that it shares.
    #[must_use]
    pub fn tenant(self, path: &'static str) -> Self {
        Self { path, ..self }
    }
}
