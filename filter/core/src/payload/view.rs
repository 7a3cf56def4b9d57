//! How the payloads of one server are shown.

use std::rc::Rc;

use portcullis_wire::payload::{Capture as Wire, DEFAULT_LIMIT, LEAST_LIMIT, MOST_LIMIT};
use portcullis_wire::watch::{PayloadPolicy, ServerEntry};

use super::paths::Paths;

/// How one kind of payload is shown: by which policy, how much of it, and without which places.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) policy: PayloadPolicy,
    /// Bytes of text.
    pub(super) limit: usize,
    /// Hidden under [`PayloadPolicy::Redacted`].
    pub(super) hidden: Rc<Paths>,
}

/// The views of one server.
#[derive(Clone, Debug)]
pub struct Views {
    /// Of a request's `params`.
    pub parameters: View,
    /// Of a response.
    pub response: View,
}

impl View {
    /// With nothing hidden but what looks like a secret.
    pub fn new(policy: PayloadPolicy, limit: usize) -> Self {
        Self { policy, limit, hidden: Rc::default() }
    }
}

impl From<PayloadPolicy> for View {
    fn from(policy: PayloadPolicy) -> Self {
        Self::new(policy, usize::try_from(DEFAULT_LIMIT).unwrap_or(usize::MAX))
    }
}

impl Views {
    /// What the registry says of a server.
    pub fn of(server: &ServerEntry) -> Self {
        match &server.capture {
            Some(capture) => Self::compile(capture),
            None => Self::plain(server.payload.into()),
        }
    }

    fn plain(view: View) -> Self {
        Self { parameters: view.clone(), response: view }
    }

    /// Of pointers that cannot be followed nothing is shown of the payloads but their digests.
    pub fn compile(capture: &Wire) -> Self {
        let limit = capture.limit.clamp(LEAST_LIMIT, MOST_LIMIT);
        let view = View::new(capture.policy, usize::try_from(limit).unwrap_or(usize::MAX));
        let (parameters, response) =
            (Paths::into_params(&capture.redact.parameters), Paths::into_result(&capture.redact.response));
        let (Some(parameters), Some(response)) = (parameters, response) else {
            return Self::plain(View { policy: PayloadPolicy::Digest, ..view });
        };
        Self {
            parameters: View { hidden: Rc::new(parameters), ..view.clone() },
            response: View { hidden: Rc::new(response), ..view },
        }
    }
}
