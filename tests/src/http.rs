//! HTTP clients for tests: agents, administrators, people, providers.

/// A client to be finished: through no proxy.
pub fn client() -> reqwest::ClientBuilder {
    cryptography();
    reqwest::Client::builder().no_proxy()
}

/// Chooses rustls' cryptography for this process, as the token-service does: reqwest brings none here.
pub fn cryptography() {
    // An error means that it was chosen before, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
