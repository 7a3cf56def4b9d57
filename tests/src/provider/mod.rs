//! Authorization servers to stand behind the gateway: real OAuth, behaviour as data, and a ledger of the truth.
//!
//! A [`Provider`] is one issuer. [`shape`] says how it behaves and has one constructor for each kind of service that
//! there is; [`faults`] is what goes wrong; [`ledger`] has what happened. Its pages can be clicked through in a
//! browser; [`Provider::approve_as`] agrees at once in the place of a person.
//!
//! | path under the issuer | what |
//! |---|---|
//! | `/authorize` | the sign-in and consent page, and its answer |
//! | `/token`, `/register`, `/revoke` | RFC 6749, RFC 7591, RFC 7009 |
//! | `/userinfo` | what the account is called |
//!
//! A cookie `auto_approve=<subject>` agrees at once for one browser.

mod authorize;
mod books;
pub mod clients;
pub mod faults;
pub mod ledger;
mod metadata;
mod params;
mod profile;
mod register;
pub mod shape;
#[cfg(test)]
mod tests;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::middleware;
use axum::routing::{MethodRouter, get, post};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::upstream::Serving;
use books::Books;
use clients::Client;
use faults::{Endpoint, Fault, Faults, Hold};
use ledger::Ledger;
use shape::{Metadata, Shape};

pub use books::Access;
pub(crate) use books::random;
pub use params::Params;

/// A running provider. Clones are the same; it ends with the last of those that share its listener.
#[derive(Clone, Debug)]
pub struct Provider {
    pub ledger: Ledger,
    inner: Arc<Inner>,
    _serving: Arc<Serving>,
}

#[derive(Debug)]
struct Inner {
    shape: Shape,
    /// Byte for byte as in the metadata.
    issuer: String,
    books: Mutex<Books>,
    faults: Faults,
    ledger: Ledger,
    approve_as: Mutex<Option<String>>,
    http: reqwest::Client,
}

impl Provider {
    /// Starts one provider on a free port.
    pub async fn start(shape: Shape) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let provider = Self::start_on(listener, vec![shape])?.pop();
        provider.ok_or_else(|| anyhow::anyhow!("one shape makes one provider"))
    }

    /// Starts several that share a host. Their paths have to differ.
    pub fn start_on(listener: TcpListener, shapes: Vec<Shape>) -> anyhow::Result<Vec<Self>> {
        let origin = format!("http://{}", listener.local_addr()?);
        let mut router = Router::new();
        let mut all = Vec::new();
        for shape in shapes {
            let inner = Arc::new(Inner::new(shape, &origin)?);
            router = router.merge(routes(&inner));
            all.push(inner);
        }
        let serving = Arc::new(Serving::start(listener, router)?);
        let provider =
            |inner: Arc<Inner>| Self { ledger: inner.ledger.clone(), inner, _serving: Arc::clone(&serving) };
        Ok(all.into_iter().map(provider).collect())
    }

    pub fn shape(&self) -> &Shape {
        &self.inner.shape
    }

    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// The address of an endpoint.
    pub fn url(&self, endpoint: Endpoint) -> String {
        self.inner.url(endpoint)
    }

    /// Agrees to everything at once as `subject`, in every browser; `None` shows the page again.
    pub fn approve_as(&self, subject: Option<&str>) {
        *self.inner.approve_as.lock().unwrap_or_else(PoisonError::into_inner) = subject.map(str::to_owned);
    }

    /// The next requests to an endpoint go wrong, one after the other.
    pub fn fail(&self, endpoint: Endpoint, faults: impl IntoIterator<Item = Fault>) {
        self.inner.faults.add(endpoint, faults);
    }

    /// Nothing that was to go wrong at an endpoint does any more.
    pub fn recover(&self, endpoint: Endpoint) {
        self.inner.faults.forget(endpoint);
    }

    /// Lets no request to an endpoint be handled until the answer is dropped.
    pub fn hold(&self, endpoint: Endpoint) -> Hold {
        self.inner.faults.hold(endpoint)
    }

    /// Makes a resource known, by its canonical URI.
    pub fn allow_resource(&self, resource: &str) {
        self.inner.books().allow_resource(resource);
    }

    /// Registers a client by hand.
    pub fn add_client(&self, client: Client) {
        self.inner.books().add_client(client);
    }

    /// Adds a redirect URI to a client, as an administrator does at the provider.
    ///
    /// # Panics
    /// If there is no such client.
    pub fn allow_redirect(&self, client_id: &str, redirect_uri: &str) {
        let mut books = self.inner.books();
        let client = books.client_mut(client_id).unwrap_or_else(|| panic!("no client {client_id}"));
        client.redirect_uris.push(redirect_uri.to_owned());
    }

    /// The client is gone, as when a provider tidies up.
    pub fn forget_client(&self, client_id: &str) {
        self.inner.books().forget_client(client_id);
    }

    /// Every access token has expired, as if time had passed; refresh tokens have not.
    pub fn expire_access_tokens(&self) {
        self.inner.books().expire_access_tokens();
    }

    /// Every access token of somebody has expired.
    pub fn expire_access_tokens_of(&self, subject: &str) {
        self.inner.books().expire_access_tokens_of(subject);
    }

    /// The newest sign-in of somebody, if any is left.
    pub fn sign_in_of(&self, subject: &str) -> Option<u64> {
        self.inner.books().sign_in_of(subject)
    }

    /// Somebody withdraws on the provider's own pages all that they agreed to.
    pub fn withdraw(&self, subject: &str) {
        self.inner.books().withdraw(subject);
    }

    /// What an access token is good for, at this moment.
    pub fn look_up(&self, access_token: &str) -> Option<Access> {
        self.inner.books().look_up(access_token, Instant::now())
    }
}

impl Inner {
    fn new(shape: Shape, origin: &str) -> anyhow::Result<Self> {
        let issuer = format!("{origin}{}", shape.path);
        Ok(Self {
            books: Mutex::new(Books::new(shape.clone(), issuer.clone())),
            shape,
            issuer,
            faults: Faults::default(),
            ledger: Ledger::default(),
            approve_as: Mutex::default(),
            http: crate::http::client().redirect(reqwest::redirect::Policy::none()).build()?,
        })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, endpoint: Endpoint) -> String {
        let issuer = &self.issuer;
        match endpoint {
            Endpoint::Authorize => format!("{issuer}/authorize"),
            Endpoint::Token => format!("{issuer}/token"),
            Endpoint::Register => format!("{issuer}/register"),
            Endpoint::Revoke => format!("{issuer}/revoke"),
            Endpoint::Userinfo => format!("{issuer}/userinfo"),
            Endpoint::Metadata => {
                let origin = issuer.strip_suffix(self.shape.path).unwrap_or(issuer);
                format!("{origin}{}", metadata::path(&self.shape).unwrap_or_default())
            }
        }
    }
}

fn routes(inner: &Arc<Inner>) -> Router {
    let at = |endpoint: Endpoint, methods: MethodRouter<Arc<Inner>>| {
        let state = (endpoint, inner.faults.clone(), inner.ledger.clone());
        methods.layer(middleware::from_fn_with_state(state, faults::spoil))
    };
    let path = inner.shape.path;
    let mut router = Router::new()
        .route(
            &format!("{path}/authorize"),
            at(Endpoint::Authorize, get(authorize::show).post(authorize::decide)),
        )
        .route(&format!("{path}/token"), at(Endpoint::Token, post(token::token)))
        .route(&format!("{path}/revoke"), at(Endpoint::Revoke, post(token::revoke)))
        .route(&format!("{path}/userinfo"), at(Endpoint::Userinfo, get(profile::userinfo)));
    if inner.shape.registration == shape::Registration::Dynamic {
        router = router.route(&format!("{path}/register"), at(Endpoint::Register, post(register::register)));
    }
    if inner.shape.metadata != Metadata::Nowhere
        && let Some(metadata_path) = metadata::path(&inner.shape)
    {
        router = router.route(&metadata_path, at(Endpoint::Metadata, get(metadata::show)));
    }
    router.with_state(Arc::clone(inner))
}
