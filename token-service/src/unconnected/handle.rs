//! What the filter carries from a lease to the request that it sends here.

use portcullis_wire::secret::SecretText;
use serde::{Deserialize, Serialize};

use super::sealed;
use crate::clock::Timestamp;
use crate::domain::connection::{ConnectionId, ReauthReason};
use crate::domain::ids::{MemberId, ServerId, WorkspaceId};
use crate::vault::{Place, Vault};

/// A member who has yet to connect an account, as the lease found it. The filter cannot read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    pub member: MemberId,
    pub server: ServerId,
    pub workspace: WorkspaceId,
    /// The one that there is, or that there will be.
    pub connection: ConnectionId,
    /// Why the connection that there is does not do; `None` for the first one, or if it only lacks scopes.
    pub reason: Option<ReauthReason>,
    /// The upstream wants more than the member has consented to.
    pub missing_scopes: bool,
    /// Somewhat later than the filter's own use of it ends, for requests on their way.
    pub expires_at: Timestamp,
}

impl Handle {
    pub fn seal(&self, vault: &Vault) -> SecretText {
        SecretText::new(sealed::seal(vault, &Place::handle(), self))
    }

    /// `None` for what is not a handle, and for one that has expired.
    pub fn open(vault: &Vault, text: &str, now: Timestamp) -> Option<Self> {
        sealed::open(vault, &Place::handle(), text).filter(|handle: &Self| now < handle.expires_at)
    }
}
