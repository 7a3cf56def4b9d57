//! A connection to try things with.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::connection::{
    Binding, Connection, ConnectionId, ConnectionOwner, ConnectionState, SealedTokens, StepUp,
};
use crate::domain::server::Sealed;

pub(super) const ORIGIN: &str = "https://mcp.example";
pub(super) const CLIENT: &str = "client";

/// Active, of generation 5, for ever good.
pub(super) fn connection() -> Connection {
    let owner = ConnectionOwner::Member("mem".into());
    Connection {
        id: ConnectionId::of(&"srv".into(), &owner),
        server: "srv".into(),
        owner,
        state: ConnectionState::Active,
        binding: Binding {
            origin: ORIGIN.into(),
            issuer: "https://as.example".into(),
            client_id: CLIENT.into(),
        },
        generation: 5,
        tokens: Some(SealedTokens {
            access: Sealed::new(vec![1]),
            refresh: Some(Sealed::new(vec![2])),
            expires_at: None,
            refresh_at: None,
        }),
        scopes: BTreeSet::new(),
        account: None,
        attempt: None,
        step_up: StepUp::default(),
        connected_at: Timestamp(1_000),
        refreshed_at: Timestamp(2_000),
        revision: Revision(1),
    }
}
