//! Where metadata may be, in the order in which to look. Pure.

use url::Url;

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// RFC 9728, section 3.1: before the path of the server's URL, then at the root.
pub(super) fn resource_metadata(server: &Url) -> Vec<Url> {
    let root = at(server, RESOURCE);
    let (path, query) = (server.path(), server.query());
    let mut locations = Vec::new();
    if path != "/" || query.is_some() {
        let mut inserted = at(server, &format!("{RESOURCE}{}", if path == "/" { "" } else { path }));
        inserted.set_query(query);
        locations.push(inserted);
        // Servers made with the SDKs know themselves without the last slash.
        if path != "/" && path.ends_with('/') {
            locations.push(at(server, &format!("{RESOURCE}{}", path.trim_end_matches('/'))));
        }
    }
    locations.push(root);
    locations
}

/// RFC 8414, section 3.1, and OpenID Connect Discovery, in the order that MCP prescribes. The root is never asked
/// about an issuer with a path: that would be another issuer.
pub(super) fn authorization_server(issuer: &Url) -> Vec<Url> {
    match issuer.path().trim_end_matches('/') {
        "" => vec![at(issuer, OAUTH), at(issuer, OPENID)],
        path => vec![
            at(issuer, &format!("{OAUTH}{path}")),
            at(issuer, &format!("{OPENID}{path}")),
            at(issuer, &format!("{path}{OPENID}")),
        ],
    }
}

/// RFC 8707, section 2: the server's URL as an identifier. A slash that stands for no path is left away.
pub(super) fn canonical(server: &Url) -> String {
    if server.path() == "/" && server.query().is_none() {
        server.origin().ascii_serialization()
    } else {
        server.to_string()
    }
}

fn at(url: &Url, path: &str) -> Url {
    let mut location = url.clone();
    location.set_query(None);
    location.set_fragment(None);
    location.set_path(path);
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(locations: Vec<Url>) -> Vec<String> {
        locations.into_iter().map(String::from).collect()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn of_a_resource() {
        let at = |text: &str| texts(resource_metadata(&url(text)));
        assert_eq!(at("https://a.example/"), ["https://a.example/.well-known/oauth-protected-resource"]);
        assert_eq!(
            at("https://a.example:8443/public/mcp"),
            [
                "https://a.example:8443/.well-known/oauth-protected-resource/public/mcp",
                "https://a.example:8443/.well-known/oauth-protected-resource",
            ]
        );
        assert_eq!(
            at("https://a.example/mcp/?team=%20x"),
            [
                "https://a.example/.well-known/oauth-protected-resource/mcp/?team=%20x",
                "https://a.example/.well-known/oauth-protected-resource/mcp",
                "https://a.example/.well-known/oauth-protected-resource",
            ]
        );
    }

    #[test]
    fn of_an_issuer() {
        let at = |text: &str| texts(authorization_server(&url(text)));
        for root in ["https://as.example", "https://as.example/"] {
            assert_eq!(
                at(root),
                [
                    "https://as.example/.well-known/oauth-authorization-server",
                    "https://as.example/.well-known/openid-configuration",
                ]
            );
        }
        for tenant in ["https://as.example/t1/x", "https://as.example/t1/x/"] {
            assert_eq!(
                at(tenant),
                [
                    "https://as.example/.well-known/oauth-authorization-server/t1/x",
                    "https://as.example/.well-known/openid-configuration/t1/x",
                    "https://as.example/t1/x/.well-known/openid-configuration",
                ]
            );
        }
    }

    #[test]
    fn canonical_identifiers() {
        for (text, canonical_text) in [
            ("https://A.example:443", "https://a.example"),
            ("https://a.example/", "https://a.example"),
            ("https://a.example/mcp/", "https://a.example/mcp/"),
            ("https://a.example/?x", "https://a.example/?x"),
        ] {
            assert_eq!(canonical(&url(text)), canonical_text);
        }
    }
}
