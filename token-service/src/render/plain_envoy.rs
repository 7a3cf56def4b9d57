//! Clusters and routes for a plain Envoy, in place of the dynamic forward proxy.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::shipped::{Shipped, ShippedError, at};
use super::upstreams::Upstream;
use super::yaml::Document;

/// A file that Envoy reads. A file of routes holds those of one connection manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The clusters, for `cds_config`.
    Clusters,
    /// The routes of the listener `ingress`, for `rds`.
    Routes,
    /// The routes of the listener `replay`, for `rds`.
    ReplayRoutes,
}

impl Part {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clusters => "clusters",
            Self::Routes => "routes",
            Self::ReplayRoutes => "replay-routes",
        }
    }
}

pub(crate) fn render(
    part: Part,
    shipped: &Shipped,
    upstreams: &[Upstream],
) -> Result<Document, ShippedError> {
    let resources = match part {
        Part::Clusters => {
            let clusters = upstreams.iter().map(|upstream| cluster(shipped, upstream));
            clusters.collect::<Result<Vec<Value>, _>>()?
        }
        Part::Routes => vec![routes(shipped, "ingress", upstreams)?],
        Part::ReplayRoutes => vec![routes(shipped, "replay", upstreams)?],
    };
    Ok(Document { title: None, value: json!({"resources": resources}) })
}

fn cluster_name(upstream: &Upstream) -> String {
    format!("upstream_{}_{}", upstream.host, upstream.port)
}

/// As the shipped cluster for all upstreams of this kind, but for where it leads.
fn cluster(shipped: &Shipped, upstream: &Upstream) -> Result<Value, ShippedError> {
    let pattern = format!("upstream_{}", upstream.kind());
    let mut cluster = shipped.cluster(&pattern)?;
    let names = "/cluster_type/typed_config/dns_cache_config/dns_lookup_family";
    let family = at(&cluster, &pattern, names)?.clone();
    let name = cluster_name(upstream);
    cluster["@type"] = json!("type.googleapis.com/envoy.config.cluster.v3.Cluster");
    cluster["name"] = json!(name);
    // A name of many addresses is one place: connections that there are outlive a change of its addresses.
    cluster["type"] = json!("LOGICAL_DNS");
    cluster["dns_lookup_family"] = family;
    let address = json!({"socket_address": {"address": upstream.host, "port_value": upstream.port}});
    cluster["load_assignment"] = json!({
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    });
    if let Some(fields) = cluster.as_object_mut() {
        fields.remove("cluster_type");
        fields.remove("lb_policy");
    }
    let protocols =
        "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    if let Some(protocols) = cluster.pointer_mut(protocols).and_then(Value::as_object_mut) {
        // The name is known here, and said below.
        protocols.remove("upstream_http_protocol_options");
    }
    if upstream.tls {
        at(
            &cluster,
            &pattern,
            "/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca",
        )?;
        let tls = &mut cluster["transport_socket"]["typed_config"];
        tls["sni"] = json!(upstream.host);
        tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"] =
            json!([{"san_type": "DNS", "matcher": {"exact": upstream.host}}]);
    }
    Ok(cluster)
}

/// The routes of a listener, with a virtual host for each upstream. What was the way to any upstream is a refusal now.
fn routes(shipped: &Shipped, listener: &str, upstreams: &[Upstream]) -> Result<Value, ShippedError> {
    let mut routes = shipped.routes(listener)?;
    let lacks = || ShippedError::Lacks(format!("route upstream_tls of listener {listener}"));
    let hosts = routes["virtual_hosts"].as_array_mut().ok_or_else(lacks)?;
    let host = hosts
        .iter_mut()
        .find(|host| super::shipped::named(&host["routes"], "upstream_tls").is_some())
        .ok_or_else(lacks)?;
    let mut own = Vec::new();
    for upstream in upstreams {
        let mut route = shipped.route(listener, &format!("upstream_{}", upstream.kind()))?;
        route["route"]["cluster"] = json!(cluster_name(upstream));
        // With everything that holds for the gateway's own virtual host.
        let mut one = host.clone();
        one["name"] = json!(upstream.authority);
        one["domains"] = json!([upstream.authority]);
        one["routes"] = json!([route]);
        own.push(one);
    }
    for route in host["routes"].as_array_mut().into_iter().flatten() {
        if route["name"] == "upstream_tls" || route["name"] == "upstream_plain" {
            refuse(route);
        }
    }
    own.append(hosts);
    *hosts = own;
    routes["@type"] = json!("type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
    Ok(routes)
}

/// A server that was registered after the routes were made has no way yet, and must not take that of a page.
fn refuse(route: &mut Value) {
    let matched = route["match"].take();
    let body = "There is no route to this server yet: its administrator has to render the routes again.";
    *route = json!({
        "name": route["name"],
        "match": matched,
        "direct_response": {"status": 503, "body": {"inline_string": body}},
    });
}
