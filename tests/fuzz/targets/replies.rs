//! What the token-service answers to filters: watches and leases. The first byte chooses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_filter_core::leases::{LeaseCache, LeaseKey, ServerKey};
use portcullis_filter_core::registry::Registry;
use portcullis_filter_core::step::CallOutcome;
use portcullis_filter_core::watch::Watch;
use portcullis_wire::digest::Digest;
use portcullis_wire::lease::LeaseReply;

const NOW_MS: u64 = 1_800_000_000_000;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    if choice % 2 == 0 { watch(body) } else { lease(body) }
});

fn watch(body: &[u8]) {
    let mut watch = Watch::new("worker".into(), 60_000);
    if watch.due(NOW_MS, 1).is_none() {
        return;
    }
    let headers =
        vec![(b":status".to_vec(), b"200".to_vec()), (b"x-portcullis-service".to_vec(), b"1".to_vec())];
    let outcome = CallOutcome::Replied { headers, body: body.to_vec() };
    if let Some(Ok(news)) = watch.on_reply(1, outcome, NOW_MS)
        && let Some(registry) = news.registry
    {
        let _compiled = Registry::compile(registry, watch.cursor());
    }
    let _freshness = watch.freshness(NOW_MS + 1);
}

fn lease(body: &[u8]) {
    let Ok(LeaseReply::Granted(lease)) = serde_json::from_slice(body) else { return };
    let key = LeaseKey {
        credential: Digest::of("credential", &[b"one"]),
        workspace: None,
        server: ServerKey::Listed(lease.server_id.clone()),
    };
    let mut cache = LeaseCache::new(4);
    let _access = cache.grant(key.clone(), *lease, NOW_MS);
    let _known = cache.look_up(&key, NOW_MS + 1);
    cache.drop_expired(NOW_MS + 10_000_000);
}
