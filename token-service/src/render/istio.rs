//! Objects for Istio.

use serde_json::{Value, json};

use super::kubernetes::{Pattern, Place};
use super::shipped::{Shipped, ShippedError};
use super::upstreams::Upstream;
use super::yaml::Document;

/// Names that the mesh knows without being told.
const OF_THE_CLUSTER: &str = ".svc.cluster.local";

pub(crate) fn render(
    place: &Place,
    shipped: &Shipped,
    upstreams: &[Upstream],
) -> Result<Vec<Document>, ShippedError> {
    let mut documents = Vec::new();
    // By host, because a host has one ServiceEntry and one DestinationRule: of several Istio takes the oldest.
    for ports in upstreams.chunk_by(|one, other| one.host == other.host) {
        let Some(first) = ports.first() else { continue };
        let is_of_the_cluster = first.host.ends_with(OF_THE_CLUSTER);
        let mut objects = Vec::new();
        if !is_of_the_cluster {
            objects.push(service_entry(place, ports, &first.host));
        }
        if !is_of_the_cluster || ports.iter().any(|port| port.tls) {
            objects.push(destination_rule(place, shipped, ports, &first.host)?);
        }
        for upstream in ports {
            let backend = json!({
                "group": "networking.istio.io",
                "kind": "Hostname",
                "name": upstream.host,
                "port": upstream.port,
            });
            objects.push(place.route(&Pattern::of(shipped, upstream)?, upstream, &backend)?);
        }
        let titles: Vec<String> = ports.iter().map(Upstream::title).collect();
        let mut title = Some(titles.join("; "));
        documents.extend(objects.into_iter().map(|value| Document { title: title.take(), value }));
    }
    Ok(documents)
}

/// Only the gateway sees it: to everybody else a port that speaks https in the clear would be a fault.
fn service_entry(place: &Place, ports: &[Upstream], host: &str) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .map(|port| json!({"name": format!("http-{}", port.port), "number": port.port, "protocol": "HTTP"}))
        .collect();
    let spec = json!({
        "exportTo": [place.gateway_namespace()],
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "ports": ports,
        "resolution": "DNS",
    });
    place.object("networking.istio.io/v1", "ServiceEntry", host, &spec)
}

fn destination_rule(
    place: &Place,
    shipped: &Shipped,
    ports: &[Upstream],
    host: &str,
) -> Result<Value, ShippedError> {
    let mut settings = Vec::new();
    for port in ports {
        let pattern = Pattern::of(shipped, port)?;
        let mut setting = json!({
            "port": {"number": port.port},
            "connectionPool": {
                "http": {
                    "http1MaxPendingRequests": pattern.limit("max_pending_requests")?,
                    "http2MaxRequests": pattern.limit("max_requests")?,
                    "idleTimeout": pattern.idle()?,
                },
                "tcp": {
                    "connectTimeout": pattern.cluster("/connect_timeout")?,
                    "maxConnections": pattern.limit("max_connections")?,
                },
            },
        });
        if port.tls {
            setting["tls"] = json!({"mode": "SIMPLE", "sni": host, "subjectAltNames": [host]});
        }
        settings.push(setting);
    }
    let spec = json!({
        "exportTo": [place.gateway_namespace()],
        "host": host,
        "trafficPolicy": {"portLevelSettings": settings},
    });
    Ok(place.object("networking.istio.io/v1", "DestinationRule", host, &spec))
}
