//! Fetching the keys of issuers from time to time.

use std::collections::HashMap;
use std::time::Duration;

use url::Url;

use crate::clock::Timestamp;
use crate::domain::issuer::{Issuer, TokenSource};
use crate::http::error::error_chain;
use crate::jobs::pause;
use crate::oauth::key_set;
use crate::state::Service;
use crate::store::StoreError;

/// How often it is looked for keys that are due.
const LOOK: Duration = Duration::from_secs(1);

/// How old keys become before they are fetched again. An issuer that rotates its keys announces the new one for longer.
const REFRESH: Duration = Duration::from_mins(5);

/// How soon after a failure it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// How long keys are used that cannot be fetched again: an issuer that had to withdraw one could not say so.
const KEPT: Duration = Duration::from_hours(24);

/// When an issuer's keys could not be fetched.
type Failures = HashMap<String, Timestamp>;

/// Until the service stops.
pub(crate) async fn follow_keys(service: &Service) {
    let mut failures = Failures::new();
    loop {
        if let Err(error) = fetch_due(service, &mut failures).await {
            tracing::warn!(error = error_chain(&error), "the keys of issuers cannot be kept");
        }
        if !pause(service, LOOK).await {
            return;
        }
    }
}

async fn fetch_due(service: &Service, failures: &mut Failures) -> Result<(), StoreError> {
    let issuers = service.store.issuers().await?;
    failures.retain(|name, _| issuers.iter().any(|issuer| issuer.issuer == *name));
    for issuer in &issuers {
        if let TokenSource::Jwks(address) = &issuer.source
            && is_due(issuer, failures, service.clock.now())
        {
            fetch(service, issuer, address, failures).await?;
        }
    }
    Ok(())
}

fn is_due(issuer: &Issuer, failures: &Failures, now: Timestamp) -> bool {
    let failed = failures.get(&issuer.issuer);
    let old = issuer.keys_fetched_at.is_none_or(|at| at.until(now) >= REFRESH);
    failed.map_or(old, |at| at.until(now) >= TRY_AGAIN)
}

async fn fetch(
    service: &Service,
    issuer: &Issuer,
    address: &Url,
    failures: &mut Failures,
) -> Result<(), StoreError> {
    let name = &issuer.issuer;
    match key_set::fetch(&service.egress, address).await {
        Ok(keys) => {
            if failures.remove(name).is_some() || issuer.keys.is_empty() {
                tracing::info!(issuer = name, keys = keys.len(), "the keys of an issuer are fetched");
            }
            service.store.set_issuer_keys(name, address, &keys, service.clock.now()).await
        }
        Err(error) => {
            let now = service.clock.now();
            if failures.insert(name.clone(), now).is_none() {
                tracing::warn!(issuer = name, %error, "the keys of an issuer cannot be fetched; tried again every 10 s");
            }
            let too_old = issuer.keys_fetched_at.is_some_and(|at| at.until(now) >= KEPT);
            if too_old && !issuer.keys.is_empty() {
                tracing::error!(issuer = name, "the keys of an issuer are a day old and are used no longer");
                service.store.set_issuer_keys(name, address, &[], now).await?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::issuer::{IssuerSettings, WorkspaceMapping};
    use crate::domain::token_rules::TokenRules;
    use crate::domain::{Origin, Revision};

    fn issuer(keys_fetched_at: Option<Timestamp>) -> Issuer {
        Issuer {
            issuer: "https://idp.example".into(),
            rules: TokenRules::default(),
            settings: IssuerSettings::default(),
            require_at_jwt: false,
            source: TokenSource::Jwks(Url::parse("https://idp.example/jwks").expect("a URL")),
            keys: Vec::new(),
            keys_fetched_at,
            workspaces: WorkspaceMapping::Membership,
            auto_provision_members: false,
            origin: Origin::Config,
            revision: Revision(1),
        }
    }

    #[test]
    fn keys_are_due_at_first_when_old_and_soon_after_a_failure() {
        let start = Timestamp(1_000_000);
        let none = Failures::new();
        assert!(is_due(&issuer(None), &none, start));
        assert!(!is_due(&issuer(Some(start)), &none, start.plus(REFRESH).minus(Duration::from_millis(1))));
        assert!(is_due(&issuer(Some(start)), &none, start.plus(REFRESH)));
        let failed = Failures::from([("https://idp.example".to_owned(), start)]);
        for fetched in [None, Some(Timestamp(0))] {
            assert!(!is_due(&issuer(fetched), &failed, start.plus(Duration::from_secs(9))));
            assert!(is_due(&issuer(fetched), &failed, start.plus(TRY_AGAIN)));
        }
    }
}
