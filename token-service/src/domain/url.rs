//! Where a server's MCP endpoint is.

use std::fmt;

use portcullis_wire::watch::Upstream;
use url::{Position, Url};

/// The URL of a server. Host and scheme are canonical, path and query are kept exactly as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    upstream: Upstream,
}

/// Whether a URL may be plain `http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    Allowed,
    Refused,
}

/// Why a text is not a [`ServerUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerUrlError {
    #[error("not a URL: {0}")]
    Malformed(String),
    #[error("the URL must be https; plain http has to be allowed for this server explicitly")]
    PlainHttp,
    #[error("the URL's scheme must be https")]
    Scheme,
    #[error("the URL must not hold a user name or password; give a credential as a header")]
    UserInfo,
    #[error("the URL must not hold a fragment (#…)")]
    Fragment,
    #[error("the path would be read as {0:?}; write it that way")]
    PathNotNormal(String),
    #[error("the URL is longer than 2048 bytes")]
    TooLong,
}

const MAX_LENGTH: usize = 2048;

impl ServerUrl {
    pub fn parse(text: &str, plain_http: PlainHttp) -> Result<Self, ServerUrlError> {
        if text.len() > MAX_LENGTH {
            return Err(ServerUrlError::TooLong);
        }
        let url = Url::parse(text).map_err(|error| ServerUrlError::Malformed(error.to_string()))?;
        let tls = match (url.scheme(), plain_http) {
            ("https", _) => true,
            ("http", PlainHttp::Allowed) => false,
            ("http", PlainHttp::Refused) => return Err(ServerUrlError::PlainHttp),
            _ => return Err(ServerUrlError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() || raw_authority(text).contains('@') {
            return Err(ServerUrlError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(ServerUrlError::Fragment);
        }
        // Two programs that normalise differently would call two endpoints, so only the normal form is taken.
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let given = raw_path(text);
        if given != path && !(given.is_empty() && path == "/") {
            return Err(ServerUrlError::PathNotNormal(path.to_owned()));
        }
        let authority = url[Position::BeforeHost..Position::AfterPort].to_owned();
        Ok(Self { upstream: Upstream { tls, authority, path: path.to_owned() } })
    }

    pub fn upstream(&self) -> Upstream {
        self.upstream.clone()
    }

    /// Scheme, host and port: whom a credential is for.
    pub fn origin(&self) -> String {
        let scheme = if self.upstream.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.upstream.authority)
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.origin(), self.upstream.path)
    }
}

fn after_scheme(text: &str) -> &str {
    text.split_once("://").map_or("", |(_, rest)| rest)
}

fn raw_authority(text: &str) -> &str {
    let rest = after_scheme(text);
    rest.split_once(['/', '?', '#']).map_or(rest, |(authority, _)| authority)
}

fn raw_path(text: &str) -> &str {
    let rest = after_scheme(text);
    rest.find(['/', '?', '#']).and_then(|start| rest.get(start..)).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<ServerUrl, ServerUrlError> {
        ServerUrl::parse(text, PlainHttp::Refused)
    }

    #[test]
    fn kept_exactly() {
        for (text, origin, path) in [
            ("https://mcp.linear.app/mcp", "https://mcp.linear.app", "/mcp"),
            ("https://MCP.Linear.app:443/Mcp/", "https://mcp.linear.app", "/Mcp/"),
            ("https://a.example:8443/x//y?z=%20a&b", "https://a.example:8443", "/x//y?z=%20a&b"),
            ("https://[::1]:9/", "https://[::1]:9", "/"),
            ("https://a.example", "https://a.example", "/"),
            ("https://bücher.example/é%C3", "", ""),
        ] {
            let parsed = parse(text);
            if origin.is_empty() {
                assert_eq!(parsed, Err(ServerUrlError::PathNotNormal("/%C3%A9%C3".into())));
            } else {
                let url = parsed.expect(text);
                assert_eq!((url.origin().as_str(), url.upstream().path.as_str()), (origin, path));
            }
        }
    }

    #[test]
    fn refused() {
        for (text, error) in [
            ("http://a.example/mcp", ServerUrlError::PlainHttp),
            ("ftp://a.example/mcp", ServerUrlError::Scheme),
            ("https://me@a.example/mcp", ServerUrlError::UserInfo),
            ("https://@a.example/mcp", ServerUrlError::UserInfo),
            ("https://me:pw@a.example/mcp", ServerUrlError::UserInfo),
            ("https://a.example/mcp#x", ServerUrlError::Fragment),
            ("https://a.example/mcp#", ServerUrlError::Fragment),
            ("https://a.example/a/../mcp", ServerUrlError::PathNotNormal("/mcp".into())),
            ("https://a.example/a/%2e%2e/mcp", ServerUrlError::PathNotNormal("/mcp".into())),
            ("https://a.example/a b", ServerUrlError::PathNotNormal("/a%20b".into())),
            ("https://a.example\\mcp", ServerUrlError::PathNotNormal("/mcp".into())),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert!(matches!(parse("linear"), Err(ServerUrlError::Malformed(_))));
        assert_eq!(parse(&format!("https://a.example/{}", "a".repeat(2048))), Err(ServerUrlError::TooLong));
    }

    #[test]
    fn plain_http_only_where_allowed() {
        let url = ServerUrl::parse("http://127.0.0.1:80/mcp", PlainHttp::Allowed).expect("allowed");
        assert_eq!(
            url.upstream(),
            Upstream { tls: false, authority: "127.0.0.1".into(), path: "/mcp".into() }
        );
    }

    proptest! {
        #[test]
        fn what_is_accepted_reads_back_the_same(text in "https?://[a-zA-Z0-9.:@-]{1,12}[/a-z0-9.%?#=&]{0,12}") {
            if let Ok(url) = ServerUrl::parse(&text, PlainHttp::Allowed) {
                prop_assert_eq!(ServerUrl::parse(&url.to_string(), PlainHttp::Allowed), Ok(url.clone()));
                prop_assert!(text.ends_with(&url.upstream().path) || url.upstream().path == "/");
            }
        }
    }
}
