//! What a sealed value is bound to.

use crate::domain::header::HeaderName;
use crate::domain::ids::ServerId;
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

pub(super) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    parts
        .iter()
        .flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.iter().copied()))
        .collect()
}
