//! What the meshes of Kubernetes have in common: where objects go, and the route to an upstream.

use clap::Args;
use serde_json::{Value, json};

use super::shipped::{Shipped, ShippedError, at};
use super::upstreams::Upstream;

/// Where the objects go.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The namespace of the objects.
    #[arg(long, value_parser = label)]
    namespace: String,
    /// The Gateway that agents come by. Its namespace is that of the objects unless given.
    #[arg(long, value_name = "NAME[/NAMESPACE]", value_parser = gateway)]
    gateway: (String, Option<String>),
    /// The listener of the Gateway that agents come by, if it has others.
    #[arg(long, value_name = "LISTENER", value_parser = object)]
    section: Option<String>,
}

fn label(text: &str) -> Result<String, String> {
    let good = (1..=63).contains(&text.len()) && !text.contains('.') && object(text).is_ok();
    if good {
        Ok(text.to_owned())
    } else {
        Err("a namespace has 1 to 63 lower-case letters, digits and hyphens".into())
    }
}

fn object(text: &str) -> Result<String, String> {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let good = text.len() <= 253
        && text.bytes().all(inside)
        && ends(text.bytes().next())
        && ends(text.bytes().next_back());
    if good {
        Ok(text.to_owned())
    } else {
        Err("a name has lower-case letters, digits, hyphens and dots".into())
    }
}

fn gateway(text: &str) -> Result<(String, Option<String>), String> {
    match text.split_once('/') {
        Some((name, namespace)) => Ok((object(name)?, Some(label(namespace)?))),
        None => Ok((object(text)?, None)),
    }
}

/// What the shipped configuration says about an upstream of a kind.
pub(crate) struct Pattern {
    route: Value,
    cluster: Value,
    name: String,
}

impl Pattern {
    pub(crate) fn of(shipped: &Shipped, upstream: &Upstream) -> Result<Self, ShippedError> {
        let name = format!("upstream_{}", upstream.kind());
        Ok(Self { route: shipped.route("ingress", &name)?, cluster: shipped.cluster(&name)?, name })
    }

    /// What stands at a JSON pointer of the cluster.
    pub(crate) fn cluster(&self, pointer: &str) -> Result<&Value, ShippedError> {
        at(&self.cluster, &self.name, pointer)
    }

    /// What stands at a JSON pointer of the route.
    pub(crate) fn route(&self, pointer: &str) -> Result<&Value, ShippedError> {
        at(&self.route, &self.name, pointer)
    }

    /// A number of the cluster's circuit breakers.
    pub(crate) fn limit(&self, name: &str) -> Result<&Value, ShippedError> {
        self.cluster(&format!("/circuit_breakers/thresholds/0/{name}"))
    }

    /// How long a connection that nobody uses is kept.
    pub(crate) fn idle(&self) -> Result<&Value, ShippedError> {
        let options =
            "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        self.cluster(&format!("{options}/common_http_protocol_options/idle_timeout"))
    }
}

impl Place {
    /// As they are given on the command line.
    pub(crate) fn options(&self) -> Vec<(&'static str, String)> {
        let (name, namespace) = &self.gateway;
        let gateway =
            namespace.as_ref().map_or_else(|| name.clone(), |namespace| format!("{name}/{namespace}"));
        let mut options = vec![("--namespace", self.namespace.clone()), ("--gateway", gateway)];
        options.extend(self.section.clone().map(|section| ("--section", section)));
        options
    }

    pub(crate) fn gateway_namespace(&self) -> &str {
        self.gateway.1.as_ref().unwrap_or(&self.namespace)
    }

    /// An object with its metadata.
    pub(crate) fn object(&self, api: &str, kind: &str, name: &str, spec: &Value) -> Value {
        let labels =
            json!({"app.kubernetes.io/component": "upstream", "app.kubernetes.io/part-of": "portcullis"});
        let metadata = json!({"labels": labels, "name": name, "namespace": self.namespace});
        json!({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec})
    }

    /// The route to an upstream, which only requests take that the filter has released to it. It has one rule, because
    /// Envoy Gateway counts rules in the names of clusters.
    pub(crate) fn route(
        &self,
        pattern: &Pattern,
        upstream: &Upstream,
        backend: &Value,
    ) -> Result<Value, ShippedError> {
        let mut headers = vec![json!({"name": "x-portcullis-upstream", "value": upstream.kind()})];
        if upstream.authority != upstream.host {
            // Names of hosts have no port in these routes; Envoy takes `host` for `:authority`.
            headers.push(json!({"name": "host", "value": upstream.authority}));
        }
        let removed = pattern.route("/request_headers_to_remove")?;
        let filter = json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": removed}});
        let rule = json!({
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}, "headers": headers}],
            "filters": [filter],
            "timeouts": {"request": pattern.route("/route/timeout")?},
            "backendRefs": [backend],
        });
        let spec = json!({
            "parentRefs": [self.parent()],
            "hostnames": [upstream.host],
            "rules": [rule],
        });
        Ok(self.object("gateway.networking.k8s.io/v1", "HTTPRoute", &upstream.name(), &spec))
    }

    fn parent(&self) -> Value {
        let mut parent = json!({
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "name": self.gateway.0,
            "namespace": self.gateway_namespace(),
        });
        if let Some(section) = &self.section {
            parent["sectionName"] = json!(section);
        }
        parent
    }
}
