//! Becoming a client: client ID metadata document, or dynamic registration (RFC 7591).

use axum::http::{HeaderMap, HeaderValue, Method, header};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::AuthorizationServer;
use super::json::{self as strict, Object};
use crate::clock::Timestamp;
use crate::egress::{EgressClient, EgressError, EgressReply, EgressRequest};

/// What the gateway says about itself, in its metadata document and when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    pub client_name: String,
    /// The gateway's public URL.
    pub client_uri: String,
    pub redirect_uri: String,
    /// `native` for a loopback redirect URI, otherwise `web`.
    pub application_type: &'static str,
    pub scopes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Registered {
    pub client_id: String,
    pub client_secret: Option<SecretString>,
    /// `None`: never.
    pub client_secret_expires_at: Option<Timestamp>,
    /// `token_endpoint_auth_method`, as the server decided: `none`, `client_secret_basic` or `client_secret_post`.
    pub authentication: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    #[error("{0}")]
    Refused(String),
    /// It answered that it cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Egress(#[from] EgressError),
}

impl RegistrationError {
    /// Whether the same question may have an answer later, with nobody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Unavailable(_) => true,
            Self::Egress(error) => error.may_pass(),
        }
    }
}

/// What we can do, in the order in which we ask for it. A secret first: the gateway can keep one, a refresh token is
/// of no use without it, and servers must rotate refresh tokens of public clients only (OAuth 2.1, section 4.3.1).
const METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];

/// The longest client id and secret, in bytes.
const MAX_CREDENTIAL: usize = 2048;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

impl ClientMetadata {
    /// The client ID metadata document for the client that is named by its URL, `client_id`. It is public, so the
    /// client is: it has no secret.
    pub fn document(&self, client_id: &str) -> Value {
        let mut document = self.common("none");
        document.insert("client_id".to_owned(), client_id.into());
        Value::Object(document)
    }

    fn registration(&self, method: &str) -> Value {
        let mut request = self.common(method);
        if !self.scopes.is_empty() {
            request.insert("scope".to_owned(), self.scopes.join(" ").into());
        }
        Value::Object(request)
    }

    fn common(&self, method: &str) -> Object {
        let members = json!({
            "client_name": self.client_name,
            "client_uri": self.client_uri,
            "redirect_uris": [self.redirect_uri],
            "application_type": self.application_type,
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method,
        });
        if let Value::Object(members) = members { members } else { Object::new() }
    }
}

pub async fn register(
    egress: &EgressClient,
    server: &AuthorizationServer,
    metadata: &ClientMetadata,
    now: Timestamp,
) -> Result<Registered, RegistrationError> {
    let Some(endpoint) = &server.registration_endpoint else {
        return Err(refused(
            server,
            "takes no registrations; register a client there by hand and configure its id",
        ));
    };
    let method = method(server)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let body = metadata.registration(method).to_string().into();
    let request =
        EgressRequest { method: Method::POST, url: endpoint.clone(), headers, body, limit: MAX_ANSWER };
    let reply = egress.fetch(request).await?;
    read(server, metadata, method, &reply, now)
}

fn refused(server: &AuthorizationServer, problem: &str) -> RegistrationError {
    RegistrationError::Refused(format!("{} {problem}", server.issuer))
}

fn method(server: &AuthorizationServer) -> Result<&'static str, RegistrationError> {
    let supported = &server.token_endpoint_auth_methods;
    METHODS.into_iter().find(|method| supported.iter().any(|name| name == method)).ok_or_else(|| {
        refused(
            server,
            "supports no client authentication that can be registered; register a client there by hand",
        )
    })
}

/// RFC 7591, section 3.2. `registration_client_uri` is never fetched.
fn read(
    server: &AuthorizationServer,
    metadata: &ClientMetadata,
    asked: &str,
    reply: &EgressReply,
    now: Timestamp,
) -> Result<Registered, RegistrationError> {
    match reply.status {
        200 | 201 => {}
        429 | 500.. => {
            let text =
                format!("{} answered the registration with {}; try again later", server.issuer, reply.status);
            return Err(RegistrationError::Unavailable(text));
        }
        status => {
            let problem = format!("refused the registration with {status}; register a client there by hand");
            return Err(refused(server, &problem));
        }
    }
    let object = strict::object(reply).map_err(|error| {
        refused(server, &format!("answered the registration with something else: {error}"))
    })?;
    registered(metadata, asked, &object, now)
        .map_err(|problem| refused(server, &format!("answered the registration wrongly: {problem}")))
}

fn registered(
    metadata: &ClientMetadata,
    asked: &str,
    object: &Object,
    now: Timestamp,
) -> Result<Registered, &'static str> {
    let client_id = credential(object, "client_id")?.ok_or("there is no client_id")?;
    let secret = credential(object, "client_secret")?;
    let redirects = object.get("redirect_uris");
    if redirects.is_some_and(|redirects| *redirects != json!([metadata.redirect_uri])) {
        return Err("its redirect_uris are not those that were asked for");
    }
    let authentication = match object.get("token_endpoint_auth_method") {
        None | Some(Value::Null) => asked,
        Some(value) => value.as_str().ok_or("token_endpoint_auth_method is not a text")?,
    };
    if !METHODS.contains(&authentication) {
        return Err("it decided on a client authentication that was not asked for");
    }
    let expires_at = match object.get("client_secret_expires_at") {
        None | Some(Value::Null) => 0,
        Some(value) => value.as_u64().ok_or("client_secret_expires_at is not a number of seconds")?,
    };
    let expires_at = (secret.is_some() && expires_at != 0).then(|| Timestamp::from_seconds(expires_at));
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err("its client_secret has expired already");
    }
    // A server that gives no secret has a public client, whatever it calls it; one that is public has no secret.
    let (authentication, client_secret) = match (authentication, secret) {
        ("none", _) => ("none", None),
        (_, None) => return Err("it wants a client_secret and gives none"),
        (method, secret) => (method, secret),
    };
    Ok(Registered {
        client_id,
        client_secret: client_secret.map(SecretString::from),
        client_secret_expires_at: expires_at,
        authentication: authentication.to_owned(),
    })
}

/// VSCHAR of RFC 6749, appendix A; empty and `null` are none.
fn credential(object: &Object, name: &str) -> Result<Option<String>, &'static str> {
    let text = match object.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_str().ok_or("client_id and client_secret must be texts")?,
    };
    if text.len() > MAX_CREDENTIAL || !text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Err("client_id and client_secret must be visible ASCII of at most 2048 bytes");
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::tests::authorization_server;
    use secrecy::ExposeSecret;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn metadata() -> ClientMetadata {
        ClientMetadata {
            client_name: "Portcullis".to_owned(),
            client_uri: "https://mcp.example.com".to_owned(),
            redirect_uri: "https://mcp.example.com/callback/srv_1".to_owned(),
            application_type: "web",
            scopes: vec!["read".to_owned(), "write".to_owned()],
        }
    }

    fn answer(status: u16, body: &str) -> Result<Registered, RegistrationError> {
        let reply = EgressReply { status, headers: HeaderMap::new(), body: body.to_owned().into() };
        read(&authorization_server(), &metadata(), "client_secret_basic", &reply, NOW)
    }

    #[test]
    fn what_the_gateway_says_of_itself() {
        let id = "https://mcp.example.com/oauth/client/srv_1";
        assert_eq!(
            metadata().document(id),
            json!({
                "client_id": id,
                "client_name": "Portcullis",
                "client_uri": "https://mcp.example.com",
                "redirect_uris": ["https://mcp.example.com/callback/srv_1"],
                "application_type": "web",
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            })
        );
        let request = metadata().registration("client_secret_post");
        assert_eq!(request["scope"], json!("read write"));
        assert_eq!(request["token_endpoint_auth_method"], json!("client_secret_post"));
        assert!(request.get("client_id").is_none());
    }

    #[test]
    fn a_secret_where_the_server_has_them() {
        for (supported, expected) in [
            (&["none", "client_secret_post", "client_secret_basic"][..], Some("client_secret_basic")),
            (&["none", "client_secret_post"], Some("client_secret_post")),
            (&["private_key_jwt", "none"], Some("none")),
            (&["private_key_jwt"], None),
        ] {
            let mut server = authorization_server();
            server.token_endpoint_auth_methods = supported.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(method(&server).ok(), expected, "{supported:?}");
        }
    }

    #[test]
    fn the_answer_decides() {
        let redirects = r#""redirect_uris":["https://mcp.example.com/callback/srv_1"]"#;
        let given = answer(
            201,
            &format!(
                r#"{{"client_id":"c","client_secret":"s","client_secret_expires_at":2000000000,{redirects}}}"#
            ),
        )
        .expect("registered");
        assert_eq!((given.client_id.as_str(), given.authentication.as_str()), ("c", "client_secret_basic"));
        assert_eq!(given.client_secret.as_ref().map(ExposeSecret::expose_secret), Some("s"));
        assert_eq!(given.client_secret_expires_at, Some(Timestamp::from_seconds(2_000_000_000)));
        let forever = answer(200, r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":0,"token_endpoint_auth_method":"client_secret_post"}"#).expect("registered");
        assert_eq!(
            (forever.authentication.as_str(), forever.client_secret_expires_at),
            ("client_secret_post", None)
        );
        for body in [
            r#"{"client_id":"c","token_endpoint_auth_method":"none"}"#,
            r#"{"client_id":"c","token_endpoint_auth_method":"none","client_secret":null,"client_secret_expires_at":1}"#,
            r#"{"client_id":"c","token_endpoint_auth_method":"none","client_secret":"s"}"#,
        ] {
            let public = answer(201, body).expect("registered");
            assert!(public.authentication == "none" && public.client_secret.is_none(), "{body}");
        }
    }

    #[test]
    fn answers_that_are_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"client_id":""}"#,
            r#"{"client_id":7}"#,
            r#"{"client_id":"c"}"#,
            r#"{"client_id":"c","client_secret":""}"#,
            r#"{"client_id":"a\nb","client_secret":"s"}"#,
            r#"{"client_id":"c","client_id":"d","client_secret":"s"}"#,
            r#"{"client_id":"c","client_secret":"s","redirect_uris":["https://evil.example/cb"]}"#,
            r#"{"client_id":"c","client_secret":"s","redirect_uris":["https://mcp.example.com/callback/srv_1","https://evil.example/cb"]}"#,
            r#"{"client_id":"c","client_secret":"s","redirect_uris":[]}"#,
            r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":999999999}"#,
            r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":"soon"}"#,
            r#"{"client_id":"c","client_secret":"s","token_endpoint_auth_method":"client_secret_jwt"}"#,
        ] {
            let error = answer(201, body).map(|_| ()).expect_err(body);
            assert!(!error.may_pass() && error.to_string().starts_with("https://as.example "), "{error}");
        }
    }

    #[test]
    fn no_and_not_now() {
        for (status, may_pass) in
            [(400, false), (401, false), (403, false), (302, false), (429, true), (503, true)]
        {
            let error = answer(status, r#"{"error":"secret-text"}"#).map(|_| ()).expect_err("no");
            assert_eq!(error.may_pass(), may_pass, "{status}");
            assert!(!error.to_string().contains("secret-text"));
        }
    }
}
