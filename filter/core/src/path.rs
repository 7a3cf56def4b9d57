//! Which server a request path names.
//!
//! Exactly one spelling reaches a server. Envoy has normalised the path before the filter sees it; whatever is still
//! not in that one spelling is nobody's.

use std::fmt;

use portcullis_wire::names::{RESERVED_SLUGS, Slug};

/// What the paths of all endpoints end with.
const LAST_PART: &str = "mcp";

/// What a path of the form `/{server}/mcp` or `/{workspace}/{server}/mcp` names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Given by the longer form only; otherwise the caller's own workspace is meant.
    pub workspace: Option<Slug>,
    pub server: Slug,
}

/// Reads the value of `:path`. A query is dropped: MCP has none, and a token must not travel in one.
pub fn parse(path_with_query: &[u8]) -> Option<Route> {
    let path = path_with_query.split(|byte| *byte == b'?').next()?;
    let path = std::str::from_utf8(path).ok()?;
    let names = path.strip_prefix('/')?.strip_suffix("/mcp")?;
    match names.split_once('/') {
        None => Some(Route { workspace: None, server: Slug::parse(names).ok()? }),
        Some((workspace, server)) => {
            Some(Route { workspace: Some(Slug::parse(workspace).ok()?), server: Slug::parse(server).ok()? })
        }
    }
}

/// Whether `:path` has the form of an MCP endpoint's, be there one or not: its last part is `mcp`, in whatever spelling,
/// and its first is not one of the gateway's own words, under which the token-service has its pages.
pub fn is_endpoint(path_with_query: &[u8]) -> bool {
    let path = path_with_query.split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default();
    let is_page = |word: &&str| word.as_bytes() == first && *word != LAST_PART;
    let is_own = first.starts_with(b".") || RESERVED_SLUGS.iter().any(is_page);
    !is_own && parts.next_back().unwrap_or(first).eq_ignore_ascii_case(LAST_PART.as_bytes())
}

/// The URL that identifies the resource behind a route (RFC 8707), which is what a token's `aud` has to name.
/// `public_url` has no slash at its end, as in [`crate::config::Config::public_url`].
pub fn resource_url(public_url: &str, route: &Route) -> String {
    format!("{public_url}{route}")
}

/// Where a client finds out how to get a token for a route: its protected resource metadata (RFC 9728, section 3.1). They
/// are there for every route, so that the address says nothing of what exists.
pub fn metadata_url(public_url: &str, route: &Route) -> String {
    format!("{public_url}/.well-known/oauth-protected-resource{route}")
}

/// Writes the path.
impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(workspace) = &self.workspace {
            write!(formatter, "/{workspace}")?;
        }
        write!(formatter, "/{}/mcp", self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_and_their_resource_urls() {
        for (path, workspace, server, url) in [
            ("/linear/mcp", None, "linear", "https://gw.example/linear/mcp"),
            ("/core/linear/mcp", Some("core"), "linear", "https://gw.example/core/linear/mcp"),
            ("/linear/mcp?access_token=x", None, "linear", "https://gw.example/linear/mcp"),
            ("/linear/mcp?", None, "linear", "https://gw.example/linear/mcp"),
            ("/linear/mcp?a=/b/mcp", None, "linear", "https://gw.example/linear/mcp"),
        ] {
            let route = parse(path.as_bytes()).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(route.workspace.as_ref().map(Slug::as_str), workspace);
            assert_eq!(route.server.as_str(), server);
            assert_eq!(resource_url("https://gw.example", &route), url);
            let metadata = url.replace(".example/", ".example/.well-known/oauth-protected-resource/");
            assert_eq!(metadata_url("https://gw.example", &route), metadata);
        }
    }

    #[test]
    fn every_other_spelling_is_nobodys() {
        for path in [
            "",
            "/",
            "/mcp",
            "//mcp",
            "/linear",
            "/linear/",
            "/linear/mcp/",
            "/linear/mcp.",
            "/linear/MCP",
            "/LINEAR/mcp",
            "/linear//mcp",
            "//linear/mcp",
            "/a/../linear/mcp",
            "/./linear/mcp",
            "/a/b/linear/mcp",
            "/%6cinear/mcp",
            "/linear%2Fmcp",
            "/linear/mcp%00",
            "/linear;x=1/mcp",
            "/linear/mcp;x=1",
            "/linear/mcp#x",
            "/linear\\mcp",
            "/linear /mcp",
            " /linear/mcp",
            "linear/mcp",
            "http://gw.example/linear/mcp",
            "/connect/mcp",
            "/core/connect/mcp",
            "/mcp/mcp",
            "*",
        ] {
            assert_eq!(parse(path.as_bytes()), None, "{path:?}");
        }
        assert_eq!(parse(b"/lin\xffear/mcp"), None);
        assert_eq!(parse("/línear/mcp".as_bytes()), None);
    }

    #[test]
    fn what_looks_like_an_endpoint_is_one_and_pages_are_not() {
        for path in [
            "/linear/mcp",
            "/linear/mcp?x=1",
            "/core/linear/mcp/",
            "//linear/MCP",
            "/a/b/c/mcp",
            "/mcp",
            "mcp",
        ] {
            assert!(is_endpoint(path.as_bytes()), "{path}");
        }
        for path in [
            "",
            "/",
            "*",
            "/linear",
            "/mcp/x",
            "/connect/mcp",
            "/.well-known/oauth-protected-resource/linear/mcp",
        ] {
            assert!(!is_endpoint(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_an_endpoint(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(parse(&path).is_none() || is_endpoint(&path));
        }

        #[test]
        fn what_is_accepted_has_one_spelling(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(route) = parse(&path) {
                let written = route.to_string();
                let with_query = format!("{written}?");
                prop_assert!(path == written.as_bytes() || path.starts_with(with_query.as_bytes()));
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            workspace in proptest::option::of("[a-z0-9][a-z0-9-]{0,62}"),
            server in "[a-z0-9][a-z0-9-]{0,62}",
        ) {
            let slugs = (workspace.as_deref().map(Slug::parse).transpose(), Slug::parse(&server));
            if let (Ok(workspace), Ok(server)) = slugs {
                let route = Route { workspace, server };
                prop_assert_eq!(parse(route.to_string().as_bytes()), Some(route));
            }
        }
    }
}
