//! What metadata documents mean. Pure; every URL in them is judged before it is believed.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::domain::auth_text::check_scope;
use crate::domain::server::AuthorizationServerSettings;
use crate::egress::EgressError;
use crate::oauth::AuthorizationServer;
use crate::oauth::json::Object;

/// Says whether a URL may be used at all; see [`EgressClient::check`](crate::egress::EgressClient::check).
pub(super) type Check<'a> = &'a dyn Fn(&Url) -> Result<(), EgressError>;

const MAX_URL: usize = 2048;
const MAX_SCOPES: usize = 128;
const MAX_METHODS: usize = 16;

/// What of RFC 9728 concerns us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResourceMetadata {
    pub(super) resource: String,
    pub(super) authorization_servers: Vec<String>,
    pub(super) scopes: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
struct RawResource {
    resource: String,
    authorization_servers: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
}

/// RFC 8414, section 2; RFC 9207, section 3; client ID metadata documents, section 5.
#[derive(Deserialize)]
struct RawServer {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    scopes_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
    client_id_metadata_document_supported: Option<bool>,
    code_challenge_methods_supported: Option<Vec<String>>,
}

/// Reads a URL of a stranger. The error completes a sentence.
pub(super) fn url(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_URL {
        return Err("is longer than 2048 bytes");
    }
    // `url` would take some of these out without a word.
    if text.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err("has a space or a control character in it");
    }
    Url::parse(text).map_err(|_| "is not a URL")
}

/// The resource metadata, if they are about `server`. Another resource is never taken for it: its tokens would go
/// to whoever wrote the document.
pub(super) fn resource_metadata(object: &Object, server: &Url) -> Result<ResourceMetadata, String> {
    let raw: RawResource = read(object.clone(), "protected resource metadata", server.as_str())?;
    let described =
        url(&raw.resource).map_err(|problem| format!("the resource that {server} describes {problem}"))?;
    if !covers(&described, server) {
        return Err(format!(
            "the protected resource metadata are about {described} and not about {server}; register the server under that URL"
        ));
    }
    let authorization_servers = raw.authorization_servers.unwrap_or_default();
    if authorization_servers.is_empty() {
        return Err(format!(
            "the protected resource metadata of {server} name no authorization server; configure its issuer"
        ));
    }
    let scopes = raw.scopes_supported.map(|scopes| collect(scopes.iter().map(String::as_str)));
    Ok(ResourceMetadata { resource: raw.resource, authorization_servers, scopes })
}

/// Whether `resource` is `server` itself, or what it lies below on the same origin, as servers that describe all of
/// their origin have it.
fn covers(resource: &Url, server: &Url) -> bool {
    let (outer, inner) = (resource.path().trim_end_matches('/'), server.path().trim_end_matches('/'));
    let below = inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    resource.origin() == server.origin()
        && matches!(resource.scheme(), "https" | "http")
        && resource.username().is_empty()
        && resource.password().is_none()
        && resource.fragment().is_none()
        && resource.query().is_none_or(|query| server.query() == Some(query))
        && below
}

/// The URL of an issuer (RFC 8414, section 2).
pub(super) fn issuer(text: &str, check: Check<'_>) -> Result<Url, String> {
    let parsed = url(text).map_err(|problem| format!("the issuer of an authorization server {problem}"))?;
    if parsed.query().is_some() {
        return Err(format!("the issuer {text} has a query, which issuers must not have"));
    }
    check(&parsed).map_err(|error| format!("the issuer {text}: {error}"))?;
    Ok(parsed)
}

/// What a document says its issuer is.
pub(super) fn issuer_of(object: &Object) -> Option<&str> {
    object.get("issuer").and_then(Value::as_str)
}

/// The metadata of `issuer`, if the document is that: byte for byte, because whoever can publish a document under an
/// address that looks alike could otherwise speak for another issuer.
pub(super) fn authorization_server(
    object: Object,
    issuer: &str,
    check: Check<'_>,
) -> Result<AuthorizationServer, String> {
    let raw: RawServer = read(object, "metadata of the authorization server", issuer)?;
    if raw.issuer != issuer {
        return Err(format!(
            "the metadata for the issuer {issuer} are those of {:?}; both must be the same, character for character",
            raw.issuer.chars().take(MAX_URL).collect::<String>()
        ));
    }
    let endpoint = |name, text: &str| endpoint(issuer, name, text, check);
    let optional = |name, text: Option<String>| text.map(|text| endpoint(name, &text)).transpose();
    // RFC 8414, section 2: what is left out means client_secret_basic.
    let methods = raw.token_endpoint_auth_methods_supported;
    let mut methods = methods.unwrap_or_else(|| vec!["client_secret_basic".to_owned()]);
    methods.truncate(MAX_METHODS);
    let challenges = raw.code_challenge_methods_supported.unwrap_or_default();
    let scopes: BTreeSet<_> = collect(raw.scopes_supported.iter().flatten().map(String::as_str));
    Ok(AuthorizationServer {
        authorization_endpoint: optional("authorization_endpoint", raw.authorization_endpoint)?,
        token_endpoint: endpoint("token_endpoint", &raw.token_endpoint)?,
        registration_endpoint: optional("registration_endpoint", raw.registration_endpoint)?,
        revocation_endpoint: optional("revocation_endpoint", raw.revocation_endpoint)?,
        // For a name to show: nothing fails by it.
        userinfo_endpoint: raw.userinfo_endpoint.and_then(|text| endpoint("userinfo_endpoint", &text).ok()),
        token_endpoint_auth_methods: methods,
        scopes_supported: scopes.into_iter().collect(),
        iss_parameter: raw.authorization_response_iss_parameter_supported.unwrap_or(false),
        client_id_metadata_document: raw.client_id_metadata_document_supported.unwrap_or(false),
        pkce_s256: challenges.iter().any(|method| method == "S256"),
        issuer: raw.issuer,
    })
}

fn endpoint(issuer: &str, name: &str, text: &str, check: Check<'_>) -> Result<Url, String> {
    let parsed = url(text).map_err(|problem| format!("the {name} of {issuer} {problem}"))?;
    check(&parsed).map_err(|error| format!("the {name} of {issuer}: {error}"))?;
    Ok(parsed)
}

/// The endpoints of MCP 2025-03-26 for a server without metadata. Nothing says that it checks PKCE.
pub(super) fn in_fixed_places(origin: &str, check: Check<'_>) -> Result<AuthorizationServer, String> {
    let place = |name, path| endpoint(origin, name, &format!("{origin}{path}"), check);
    Ok(AuthorizationServer {
        issuer: origin.to_owned(),
        authorization_endpoint: Some(place("authorization_endpoint", "/authorize")?),
        token_endpoint: place("token_endpoint", "/token")?,
        registration_endpoint: Some(place("registration_endpoint", "/register")?),
        revocation_endpoint: None,
        userinfo_endpoint: None,
        // That version's clients are public unless they were given a secret.
        token_endpoint_auth_methods: vec!["none".to_owned(), "client_secret_post".to_owned()],
        scopes_supported: Vec::new(),
        iss_parameter: false,
        client_id_metadata_document: false,
        pkce_s256: false,
    })
}

/// The server of `AuthorizationServerSettings::Fixed`.
pub(super) fn fixed(
    settings: &AuthorizationServerSettings,
    check: Check<'_>,
) -> Result<AuthorizationServer, String> {
    let AuthorizationServerSettings::Fixed {
        issuer,
        authorization_endpoint,
        token_endpoint,
        registration_endpoint,
        revocation_endpoint,
    } = settings
    else {
        return Err("the endpoints are not configured".to_owned());
    };
    let endpoint = |name, text: &str| endpoint(issuer, name, text, check);
    let optional = |name, text: &Option<String>| text.as_deref().map(|text| endpoint(name, text)).transpose();
    Ok(AuthorizationServer {
        issuer: issuer.clone(),
        authorization_endpoint: optional("authorization_endpoint", authorization_endpoint)?,
        token_endpoint: endpoint("token_endpoint", token_endpoint)?,
        registration_endpoint: optional("registration_endpoint", registration_endpoint)?,
        revocation_endpoint: optional("revocation_endpoint", revocation_endpoint)?,
        userinfo_endpoint: None,
        token_endpoint_auth_methods: vec!["client_secret_basic".to_owned()],
        scopes_supported: Vec::new(),
        iss_parameter: false,
        client_id_metadata_document: false,
        pkce_s256: false,
    })
}

/// The scopes of a text (RFC 6749, section 3.3). What cannot be one is left out.
pub(super) fn scopes(text: &str) -> BTreeSet<String> {
    collect(text.split_ascii_whitespace())
}

fn collect<'a>(scopes: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    scopes.filter(|scope| check_scope(scope).is_ok()).take(MAX_SCOPES).map(str::to_owned).collect()
}

/// The error names the member that is wrong, not what it holds.
fn read<T: serde::de::DeserializeOwned>(object: Object, what: &str, whose: &str) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(object)).map_err(|error| {
        let place = error.path().to_string();
        let problem = if place == "." {
            error.into_inner().to_string()
        } else {
            format!("{place} is of the wrong type")
        };
        format!("the {what} of {whose} cannot be used: {problem}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        if let Value::Object(object) = value { object } else { panic!("an object") }
    }

    fn https(url: &Url) -> Result<(), EgressError> {
        let egress =
            crate::egress::EgressClient::new(&crate::egress::EgressPolicy::default()).expect("a client");
        egress.check(url)
    }

    fn resource(resource: &str, server: &str) -> Result<ResourceMetadata, String> {
        let document = json!({"resource": resource, "authorization_servers": ["https://as.example"]});
        resource_metadata(&object(document), &Url::parse(server).expect("a URL"))
    }

    #[test]
    fn resources_that_are_this_server() {
        let server = "https://a.example/v1/mcp?team=x";
        for text in [
            "https://a.example/v1/mcp?team=x",
            "https://a.example/v1/mcp",
            "https://a.example/v1/mcp/",
            "https://a.example/v1",
            "https://a.example",
            "https://a.example/",
            "HTTPS://A.example:443/v1/",
        ] {
            assert_eq!(resource(text, server).map(|found| found.resource).as_deref(), Ok(text));
        }
        assert!(resource("https://a.example", "https://a.example/").is_ok());
    }

    #[test]
    fn resources_that_are_not() {
        let server = "https://a.example/v1/mcp";
        for text in [
            "https://b.example/v1/mcp",
            "http://a.example/v1/mcp",
            "https://a.example:8443/v1/mcp",
            "https://a.example/v1/mc",
            "https://a.example/v2",
            "https://a.example/v1/mcp/deeper",
            "https://a.example/v1/mcp?x",
            "https://a.example/v1/mcp#x",
            "https://me@a.example/v1/mcp",
            "https://a.example.evil.example/",
            "urn:x",
            "",
            "https://a.example/v1/mcp\n",
        ] {
            assert!(resource(text, server).is_err(), "{text}");
        }
    }

    #[test]
    fn resource_metadata_are_read() {
        let server = Url::parse("https://a.example/mcp").expect("a URL");
        let read = |value: Value| resource_metadata(&object(value), &server);
        let full =
            read(json!({"resource": server.as_str(), "authorization_servers": ["https://b", "https://c"],
            "scopes_supported": ["read", "a b", "", "\"x\""], "jwks_uri": 7}))
            .expect("metadata");
        assert_eq!(full.authorization_servers, ["https://b", "https://c"]);
        assert_eq!(full.scopes, Some(BTreeSet::from(["read".to_owned()])));
        for bad in [
            json!({}),
            json!({"resource": server.as_str()}),
            json!({"resource": 7}),
            json!({"resource": server.as_str(), "authorization_servers": []}),
            json!({"resource": server.as_str(), "authorization_servers": "https://b"}),
            json!({"resource": server.as_str(), "authorization_servers": [7]}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    fn server(change: impl FnOnce(&mut Object)) -> Result<AuthorizationServer, String> {
        let mut document = object(json!({
            "issuer": "https://as.example/t1",
            "authorization_endpoint": "https://as.example/t1/authorize?x=1",
            "token_endpoint": "https://as.example/t1/token",
            "code_challenge_methods_supported": ["plain", "S256"],
        }));
        change(&mut document);
        authorization_server(document, "https://as.example/t1", &https)
    }

    #[test]
    fn server_metadata_are_read() {
        let least = server(|_| ()).expect("metadata");
        assert_eq!(least.token_endpoint_auth_methods, ["client_secret_basic"]);
        assert!(least.pkce_s256 && !least.iss_parameter && !least.client_id_metadata_document);
        assert!(least.registration_endpoint.is_none() && least.revocation_endpoint.is_none());
        let full = server(|document| {
            document.extend(object(json!({
                "registration_endpoint": "https://as.example/register",
                "revocation_endpoint": "https://as.example/revoke",
                "token_endpoint_auth_methods_supported": ["none"],
                "scopes_supported": ["offline_access"],
                "authorization_response_iss_parameter_supported": true,
                "client_id_metadata_document_supported": true,
                "code_challenge_methods_supported": ["plain"],
                "jwks_uri": "http://169.254.169.254/",
            })));
        })
        .expect("metadata");
        assert!(!full.pkce_s256 && full.iss_parameter && full.client_id_metadata_document);
        assert_eq!(
            full.registration_endpoint.map(String::from).as_deref(),
            Some("https://as.example/register")
        );
        let silent = server(|document| _ = document.remove("code_challenge_methods_supported"));
        assert!(!silent.expect("metadata").pkce_s256);
    }

    #[test]
    fn issuers_are_compared_byte_for_byte() {
        for other in [
            "https://as.example/t1/",
            "https://as.example/",
            "https://as.example/T1",
            "https://AS.example/t1",
            "https://as.example:443/t1",
            "https://as.example/%741",
            "http://as.example/t1",
            "https://evil.example/t1",
        ] {
            let error =
                server(|document| _ = document.insert("issuer".to_owned(), other.into())).expect_err(other);
            assert!(error.contains("character for character"), "{error}");
        }
        for missing in ["issuer", "token_endpoint"] {
            assert!(server(|document| _ = document.remove(missing)).is_err(), "{missing}");
        }
    }

    #[test]
    fn endpoints_are_judged() {
        for name in
            ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"]
        {
            for bad in [
                "http://as.example/x",
                "file:///etc/passwd",
                "gopher://as.example/",
                "javascript:alert(1)",
                "data:text/html,x",
                "https://me:pw@as.example/x",
                "https://as.example/x#y",
                "/x",
                "",
                "https://as.example/x\r\nHost: y",
                "https://as.example/\tx",
                "https://127.0.0.1/x",
                "https://[::1]/",
                "https://169.254.169.254/",
                "https://0x7f.1/",
                "$(touch /tmp/x)",
                "--upload-pack=x",
                "x;y",
            ] {
                let error =
                    server(|document| _ = document.insert(name.to_owned(), bad.into())).expect_err(bad);
                assert!(error.contains(name), "{error}");
            }
            assert!(server(|document| _ = document.insert(name.to_owned(), 7.into())).is_err());
        }
        // Nothing here is given to a shell; what `url` reads is what goes out.
        let odd = server(|document| {
            _ = document.insert("token_endpoint".into(), "https://as.example/$(x);--y".into());
        });
        assert_eq!(odd.expect("metadata").token_endpoint.as_str(), "https://as.example/$(x);--y");
    }

    #[test]
    fn issuers_have_a_form() {
        for good in ["https://as.example", "https://as.example/", "https://as.example/t1"] {
            assert!(issuer(good, &https).is_ok(), "{good}");
        }
        for bad in [
            "http://as.example",
            "https://as.example?x",
            "https://as.example/#",
            "as.example",
            "https://10.0.0.1",
        ] {
            assert!(issuer(bad, &https).is_err(), "{bad}");
        }
    }

    #[test]
    fn configured_by_hand() {
        let settings = |token_endpoint: &str| AuthorizationServerSettings::Fixed {
            issuer: "https://github.com".to_owned(),
            authorization_endpoint: Some("https://github.com/login/oauth/authorize".to_owned()),
            token_endpoint: token_endpoint.to_owned(),
            registration_endpoint: None,
            revocation_endpoint: None,
        };
        let server =
            fixed(&settings("https://github.com/login/oauth/access_token"), &https).expect("a server");
        assert!(!server.pkce_s256 && server.registration_endpoint.is_none());
        assert!(fixed(&settings("http://github.com/x"), &https).is_err());
    }

    proptest! {
        #[test]
        fn nothing_off_the_origin_is_taken(host in "[a-z.]{1,12}", path in "[a-z/.%]{0,12}") {
            let text = format!("https://{host}/{path}");
            let server = "https://a.example/v1/mcp";
            if resource(&text, server).is_ok() {
                let parsed = Url::parse(&text).expect("taken, so a URL");
                prop_assert_eq!(parsed.host_str(), Some("a.example"));
                prop_assert!(server.contains(parsed.as_str().trim_end_matches('/')));
            }
        }

        #[test]
        fn scopes_are_sound(text in "[ -~\t\u{e4}]{0,60}") {
            for scope in scopes(&text) {
                prop_assert!(!scope.is_empty() && !scope.contains(|c: char| c.is_whitespace() || c == '"'));
            }
        }
    }
}
