//! Objects for Envoy Gateway.

use serde_json::{Value, json};

use super::kubernetes::{Pattern, Place};
use super::shipped::{Shipped, ShippedError};
use super::upstreams::Upstream;
use super::yaml::Document;

const GROUP: &str = "gateway.envoyproxy.io";
const API: &str = "gateway.envoyproxy.io/v1alpha1";

pub(crate) fn render(
    place: &Place,
    shipped: &Shipped,
    upstreams: &[Upstream],
) -> Result<Vec<Document>, ShippedError> {
    let mut documents = Vec::new();
    for upstream in upstreams {
        let pattern = Pattern::of(shipped, upstream)?;
        let name = upstream.name();
        let fqdn = json!({"hostname": upstream.host, "port": upstream.port});
        let mut objects = vec![place.object(API, "Backend", &name, &json!({"endpoints": [{"fqdn": fqdn}]}))];
        if upstream.tls {
            objects.push(tls(place, upstream));
        }
        let backend = json!({"group": GROUP, "kind": "Backend", "name": name});
        objects.push(place.route(&pattern, upstream, &backend)?);
        objects.push(traffic(place, &pattern, &name)?);
        let mut title = Some(upstream.title());
        documents.extend(objects.into_iter().map(|value| Document { title: title.take(), value }));
    }
    Ok(documents)
}

fn tls(place: &Place, upstream: &Upstream) -> Value {
    let spec = json!({
        "targetRefs": [{"group": GROUP, "kind": "Backend", "name": upstream.name()}],
        "validation": {"hostname": upstream.host, "wellKnownCACertificates": "System"},
    });
    place.object("gateway.networking.k8s.io/v1", "BackendTLSPolicy", &upstream.name(), &spec)
}

/// The route's policy stands in place of one for the whole Gateway, so it says about timeouts what the route says too.
fn traffic(place: &Place, pattern: &Pattern, name: &str) -> Result<Value, ShippedError> {
    let spec = json!({
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name}],
        "circuitBreaker": {
            "maxConnections": pattern.limit("max_connections")?,
            "maxParallelRequests": pattern.limit("max_requests")?,
            "maxParallelRetries": pattern.limit("max_retries")?,
            "maxPendingRequests": pattern.limit("max_pending_requests")?,
        },
        "timeout": {
            "http": {
                "connectionIdleTimeout": pattern.idle()?,
                "maxStreamDuration": pattern.route("/route/max_stream_duration/max_stream_duration")?,
                "requestTimeout": pattern.route("/route/timeout")?,
            },
            "tcp": {"connectTimeout": pattern.cluster("/connect_timeout")?},
        },
    });
    Ok(place.object(API, "BackendTrafficPolicy", name, &spec))
}
