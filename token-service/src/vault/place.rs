//! What a sealed value is bound to.

use portcullis_wire::digest::Digest;
use portcullis_wire::watch::Algorithm;

use crate::domain::connection::{Binding, Connection, ConnectionId, ConnectionOwner};
use crate::domain::header::HeaderName;
use crate::domain::ids::{ClientSessionId, MemberId, ServerId};
use crate::domain::server::AuthorizationServerSettings;
use crate::domain::url::ServerUrl;

/// Where a secret is kept and whose it is. A sealed value opens in the very place it was sealed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    table: &'static str,
    column: &'static str,
    row: Vec<String>,
    owner: String,
    generation: u64,
}

impl Place {
    /// - `row`: the row's primary key, column by column.
    /// - `owner`: whose secret it is, in terms that a changed row would betray.
    /// - `generation`: counts the secrets that this place has held.
    pub fn new(
        table: &'static str,
        column: &'static str,
        row: Vec<String>,
        owner: String,
        generation: u64,
    ) -> Self {
        Self { table, column, row, owner, generation }
    }

    /// The value of a credential header. Its owner is the origin of the server's URL, so that a credential cannot be
    /// sent elsewhere by changing the URL: whoever moves a server to another origin has to give the values anew.
    pub fn server_header(server: &ServerId, url: &ServerUrl, name: &HeaderName, generation: u64) -> Self {
        let row = vec![server.to_string(), name.to_string()];
        Self::new("server_headers", "value", row, url.origin(), generation)
    }

    /// The secret or private key of a server's OAuth client. Its owner is all that decides where it is sent: the origin
    /// of the server's URL, which names the authorization server unless the settings do, those settings, and the client.
    pub fn client_secret(
        server: &ServerId,
        url: &ServerUrl,
        authorization_server: &AuthorizationServerSettings,
        client_id: &str,
        generation: u64,
    ) -> Self {
        let owner = serde_json::json!([url.origin(), authorization_server, client_id]).to_string();
        Self::new("server_secrets", "value", vec![server.to_string()], owner, generation)
    }

    /// One of a connection's tokens; `column` is `access_token` or `refresh_token`.
    pub fn connection(connection: &Connection, column: &'static str, generation: u64) -> Self {
        let Connection { server, owner, binding, .. } = connection;
        Self::tokens(server, owner, binding, column, generation)
    }

    /// As [`Place::connection`], for a connection that is yet to be made. The owner is all that the token may be used
    /// for: whoever moves the row to another member, server, origin, issuer or client cannot open it.
    pub fn tokens(
        server: &ServerId,
        owner: &ConnectionOwner,
        binding: &Binding,
        column: &'static str,
        generation: u64,
    ) -> Self {
        let row = vec![ConnectionId::of(server, owner).to_string()];
        let member = match owner {
            ConnectionOwner::Member(member) => member.as_str(),
            ConnectionOwner::Shared => "",
        };
        let owner = [server.as_str(), member, &binding.origin, &binding.issuer, &binding.client_id];
        // JSON keeps the parts apart.
        let owner = serde_json::json!(owner).to_string();
        Self::new("connections", column, row, owner, generation)
    }

    /// What a link to connect an account ends with.
    pub fn ticket(digest: &Digest, member: &MemberId, server: &ServerId) -> Self {
        Self::new("connect_tickets", "sealed", vec![digest.to_string()], pair(member, server), 1)
    }

    /// What a flow needs to be finished.
    pub fn flow(state: &Digest, member: &MemberId, server: &ServerId) -> Self {
        Self::new("oauth_flows", "sealed", vec![state.to_string()], pair(member, server), 1)
    }

    /// The secret of a client that the gateway registered itself.
    pub fn registered_client(server: &ServerId, issuer: &str, generation: u64) -> Self {
        let row = vec![server.to_string(), issuer.to_owned()];
        Self::new("oauth_clients", "sealed", row, issuer.to_owned(), generation)
    }

    /// What stands for an unconnected member in a request of the filter. It says itself whose it is.
    pub fn handle() -> Self {
        Self::new("unconnected", "handle", Vec::new(), String::new(), 1)
    }

    /// A `requestState` for this caller, server and request, and for no other.
    pub fn request_state(member: &MemberId, server: &ServerId, request: &Digest) -> Self {
        Self::new("unconnected", "request_state", vec![request.to_string()], pair(member, server), 1)
    }

    /// What has to come back from a sign-in at the company's provider, in a cookie. `realm`: where it was begun.
    pub fn sign_in(realm: &'static str) -> Self {
        Self::new("sign_in", "flow", Vec::new(), realm.to_owned(), 1)
    }

    /// A session id that the token-service gave out itself.
    pub fn session(member: &MemberId, server: &ServerId) -> Self {
        Self::new("unconnected", "session", Vec::new(), pair(member, server), 1)
    }

    /// The upstream's session id behind one of ours, whose digest is `session`.
    pub fn upstream_session(session: &Digest, member: &MemberId, server: &ServerId) -> Self {
        Self::new("upstream_sessions", "session_id", vec![session.to_string()], pair(member, server), 1)
    }

    /// The private half of a key that signs access tokens.
    pub fn signing_key(id: &str, algorithm: Algorithm) -> Self {
        Self::new("signing_keys", "private_key", vec![id.to_owned()], algorithm.as_str().to_owned(), 1)
    }

    /// The refresh token that took the place of the one with this digest.
    pub fn refresh_token(digest: &Digest, session: &ClientSessionId) -> Self {
        Self::new("refresh_tokens", "sealed", vec![digest.to_string()], session.to_string(), 1)
    }

    /// An authorization request that a browser carries to the consent page. It says itself whose it is.
    pub fn authorization_request() -> Self {
        Self::new("authorizations", "request", Vec::new(), String::new(), 1)
    }

    /// Every part preceded by its length (64 bits, big endian), so that no two places read alike.
    pub(super) fn associated_data(&self, key_id: u32) -> Vec<u8> {
        let generation = self.generation.to_be_bytes();
        let key_id = key_id.to_be_bytes();
        let row_parts = (self.row.len() as u64).to_be_bytes();
        let mut parts: Vec<&[u8]> =
            vec![b"portcullis/v1", self.table.as_bytes(), self.column.as_bytes(), &row_parts];
        parts.extend(self.row.iter().map(String::as_bytes));
        parts.extend([self.owner.as_bytes(), &generation, &key_id]);
        length_prefixed(&parts)
    }
}

/// A member on a server, as an owner. JSON keeps the parts apart.
fn pair(member: &MemberId, server: &ServerId) -> String {
    serde_json::json!([member.as_str(), server.as_str()]).to_string()
}

pub(super) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    parts
        .iter()
        .flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.iter().copied()))
        .collect()
}
