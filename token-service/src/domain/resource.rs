//! What an access token is for: the URL by which a client calls one server.

use std::fmt;

use portcullis_wire::names::Slug;

/// A path of the form `/{server}/mcp` or `/{workspace}/{server}/mcp`. There is one spelling of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourcePath {
    /// Given by the longer form only; otherwise the caller's own workspace is meant.
    pub workspace: Option<Slug>,
    pub server: Slug,
}

impl ResourcePath {
    pub fn parse(path: &str) -> Option<Self> {
        let names = path.strip_prefix('/')?.strip_suffix("/mcp")?;
        let (workspace, server) = match names.split_once('/') {
            None => (None, names),
            Some((workspace, server)) => (Some(Slug::parse(workspace).ok()?), server),
        };
        Some(Self { workspace, server: Slug::parse(server).ok()? })
    }

    /// Reads a resource indicator (RFC 8707). `public_url` has no slash at its end.
    pub fn of_url(public_url: &str, url: &str) -> Option<Self> {
        Self::parse(url.strip_prefix(public_url)?)
    }

    pub fn url(&self, public_url: &str) -> String {
        format!("{public_url}{self}")
    }
}

/// Writes the path.
impl fmt::Display for ResourcePath {
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

    const GATEWAY: &str = "https://mcp.example.com";

    #[test]
    fn both_forms() {
        for (url, workspace, server) in [
            ("https://mcp.example.com/linear/mcp", None, "linear"),
            ("https://mcp.example.com/core/linear/mcp", Some("core"), "linear"),
        ] {
            let resource = ResourcePath::of_url(GATEWAY, url).expect("a resource");
            assert_eq!(resource.workspace.as_ref().map(Slug::as_str), workspace);
            assert_eq!(resource.server.as_str(), server);
            assert_eq!(resource.url(GATEWAY), url);
        }
    }

    #[test]
    fn every_other_spelling_is_nobodys() {
        for url in [
            "",
            "/linear/mcp",
            "https://mcp.example.com",
            "https://mcp.example.com/",
            "https://mcp.example.com/mcp",
            "https://mcp.example.com/linear",
            "https://mcp.example.com/linear/mcp/",
            "https://mcp.example.com/Linear/mcp",
            "https://mcp.example.com//linear/mcp",
            "https://mcp.example.com/a/b/c/mcp",
            "https://mcp.example.com/oauth/mcp",
            "https://mcp.example.com/linear/mcp?x",
            "https://mcp.example.com/linear/mcp#x",
            "https://mcp.example.com:443/linear/mcp",
            "http://mcp.example.com/linear/mcp",
            "https://mcp.example.com.evil.example/linear/mcp",
            "https://evil.example/linear/mcp",
            "https://mcp.example.com/linear%2Fmcp",
        ] {
            assert_eq!(ResourcePath::of_url(GATEWAY, url), None, "{url}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(path in "(/[a-z0-9-]{0,4}){1,3}(/mcp)?") {
            if let Some(resource) = ResourcePath::parse(&path) {
                prop_assert_eq!(resource.to_string(), path);
            }
        }
    }
}
