//! The way in for the fuzz target of metadata. Only there under `--cfg fuzzing`.

use axum::http::HeaderMap;
use url::Url;

use super::documents;
use crate::egress::EgressError;
use crate::oauth::json;

/// Reads a document as the metadata of a server and as those of an authorization server.
///
/// # Panics
/// If a document is believed that is not about who was asked.
pub fn documents(body: &[u8]) {
    let Ok(object) = json::object_of(&HeaderMap::new(), body) else { return };
    let Ok(server) = Url::parse("https://mcp.example/linear/mcp") else { return };
    if let Ok(found) = documents::resource_metadata(&object, &server) {
        assert!(Url::parse(&found.resource).is_ok_and(|resource| resource.origin() == server.origin()));
        assert!(!found.authorization_servers.is_empty());
    }
    let any = |_: &Url| -> Result<(), EgressError> { Ok(()) };
    let issuer = "https://idp.example";
    if let Ok(found) = documents::authorization_server(object, issuer, &any) {
        assert_eq!(found.issuer, issuer);
    }
}
