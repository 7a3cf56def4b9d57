//! The Envoys that are compared: the same listener, access log and upstream, and other filters.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::contenders::Contender;
use crate::envoy::{address, at, change_plugin_configuration, named, set, shipped_configuration};
use crate::idp::AUDIENCE;
use crate::seed::ISSUER;

/// What policy takes away: so that others have about as much to look through.
pub const DENIED: [&str; 10] = [
    "delete_*",
    "hidden_*",
    "drop_*",
    "purge_*",
    "transfer_*",
    "merge_issue",
    "close_project",
    "invite_member",
    "export_everything",
    "rotate_secret",
];

/// Where one of them is.
#[derive(Clone, Debug)]
pub struct Place {
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    pub upstream: SocketAddr,
    pub token_service: SocketAddr,
    pub directory: PathBuf,
    pub jwks: Value,
    /// Our filter, and those of `tests/contender`.
    pub wasm: PathBuf,
    pub contender: PathBuf,
    pub credential: &'static str,
}

/// As Envoy reads it.
pub fn of(contender: Contender, place: &Place) -> anyhow::Result<Value> {
    let shipped = std::fs::read_to_string(shipped_configuration())?;
    let mut shipped: Value = serde_saphyr::from_str(&shipped).context("the shipped configuration")?;
    let mut filters = filters(contender, place, &mut shipped)?;
    filters.push(filter("router", "router.v3.Router", &json!({})));
    let mut clusters = vec![json!({
        "name": "upstream", "type": "STATIC", "connect_timeout": "2s", "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(place.upstream)}}]}],
        },
    })];
    if contender.is_ours() {
        let mut cluster = named(&mut shipped, "/static_resources/clusters", "token_service")?.take();
        let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
        set(&mut cluster, endpoint, address(place.token_service))?;
        clusters.push(cluster);
    }
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "use_remote_address": true,
        "normalize_path": true,
        "access_log": [{
            "name": "file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": place.directory.join("access.jsonl"),
                "log_format": {"json_format": log(contender, &mut shipped)?},
            },
        }],
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
            "match": {"prefix": "/"},
            "request_headers_to_remove": ["x-portcullis-upstream"],
            "route": {"cluster": "upstream", "timeout": "0s"},
        }]}]},
    });
    let secret = format!("Bearer {}", place.credential);
    Ok(json!({
        "admin": {"address": address(place.admin)},
        "static_resources": {
            "secrets": [{"name": "upstream", "generic_secret": {"secret": {"inline_string": secret}}}],
            "clusters": clusters,
            "listeners": [{
                "name": "ingress",
                "address": address(place.gateway),
                "per_connection_buffer_limit_bytes": 5_242_880,
                "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
            }],
        },
    }))
}

fn filter(name: &str, kind: &str, configuration: &Value) -> Value {
    let mut typed = configuration.clone();
    typed["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{kind}"));
    json!({"name": name, "typed_config": typed})
}

fn filters(contender: Contender, place: &Place, shipped: &mut Value) -> anyhow::Result<Vec<Value>> {
    Ok(match contender {
        Contender::Plain => Vec::new(),
        Contender::Nothing | Contender::Reading | Contender::Rewriting => {
            vec![ours_to_compare(contender.name(), &place.contender)]
        }
        Contender::Native => native(place, true),
        Contender::NativeUncached => native(place, false),
        Contender::Hold | Contender::Stream | Contender::Roomy | Contender::Fresh => {
            vec![ours(contender, place, shipped)?]
        }
    })
}

/// A filter of `tests/contender`.
fn ours_to_compare(way: &str, module: &Path) -> Value {
    let text = json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": way});
    let code = json!({"local": {"filename": module}});
    filter(
        way,
        "wasm.v3.Wasm",
        &json!({"config": {
            "name": way, "root_id": way, "configuration": text,
            "vm_config": {"vm_id": way, "runtime": "envoy.wasm.runtime.v8", "code": code},
        }}),
    )
}

/// What Envoy has of its own for this: who calls, what is called, whether it may, and one credential for all.
fn native(place: &Place, is_cached: bool) -> Vec<Value> {
    let mut provider = json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": place.jwks.to_string()},
        "payload_in_metadata": "caller",
    });
    if is_cached {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": 1000});
    }
    let rules = json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "gateway"}}]);
    let named = |pattern: &str| {
        let text = match pattern.strip_suffix('*') {
            Some(prefix) => json!({"prefix": prefix}),
            None => json!({"exact": pattern}),
        };
        json!({"sourced_metadata": {"metadata_matcher": {
            "filter": "envoy.filters.http.mcp",
            "path": [{"key": "params"}, {"key": "name"}],
            "value": {"string_match": text},
        }}})
    };
    let denied: Vec<Value> = DENIED.iter().map(|pattern| named(pattern)).collect();
    let policy = json!({"principals": [{"any": true}], "permissions": denied});
    let credential = json!({
        "name": "envoy.http.injected_credentials.generic",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
            "credential": {"name": "upstream"},
        },
    });
    vec![
        filter(
            "jwt_authn",
            "jwt_authn.v3.JwtAuthentication",
            &json!({"providers": {"gateway": provider}, "rules": rules}),
        ),
        filter(
            "mcp",
            "mcp.v3.Mcp",
            &json!({"traffic_mode": "REJECT_NO_MCP", "max_request_body_size": 4_194_304}),
        ),
        filter("rbac", "rbac.v3.RBAC", &json!({"rules": {"action": "DENY", "policies": {"tools": policy}}})),
        filter(
            "credential_injector",
            "credential_injector.v3.CredentialInjector",
            &json!({"overwrite": true, "credential": credential}),
        ),
    ]
}

/// Ours as it is shipped, but for where things are.
fn ours(contender: Contender, place: &Place, shipped: &mut Value) -> anyhow::Result<Value> {
    let ingress = named(shipped, "/static_resources/listeners", "ingress")?;
    let manager = at(ingress, "/filter_chains/0/filters/0/typed_config")?;
    let mut ours = named(manager, "/http_filters", "portcullis")?.clone();
    let plugin = at(&mut ours, "/typed_config/config")?;
    set(plugin, "/vm_config/code/local/filename", json!(place.wasm))?;
    if contender == Contender::Stream {
        let fields = plugin.as_object_mut().context("the plugin is a mapping")?;
        fields.remove("allow_on_headers_stop_iteration").context("headers wait as shipped")?;
    }
    change_plugin_configuration(plugin, |plugin| {
        plugin["public_url"] = json!("http://localhost:10000");
        if contender == Contender::Stream {
            plugin["body_gate"] = json!("stream");
        }
        if matches!(contender, Contender::Roomy | Contender::Fresh) {
            // New tokens as fast as they come.
            plugin["verifications_per_second"] = json!(10_000);
        }
        if contender == Contender::Roomy {
            plugin["max_leases"] = json!(20_000);
            plugin["max_verified_tokens"] = json!(20_000);
        }
    })?;
    Ok(ours)
}

/// Who, what and the outcome, as far as the contender knows them; ours as it is shipped.
fn log(contender: Contender, shipped: &mut Value) -> anyhow::Result<Value> {
    if contender.is_ours() {
        let ingress = named(shipped, "/static_resources/listeners", "ingress")?;
        let manager = at(ingress, "/filter_chains/0/filters/0/typed_config")?;
        return Ok(at(manager, "/access_log/0/typed_config/log_format/json_format")?.take());
    }
    let mut fields = json!({
        "timestamp": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "source": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "http_method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "latency_ms": "%DURATION%",
        "upstream_host": "%UPSTREAM_HOST%",
    });
    if matches!(contender, Contender::Native | Contender::NativeUncached) {
        fields["caller"] = json!("%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:caller:sub)%");
        fields["method"] = json!("%DYNAMIC_METADATA(envoy.filters.http.mcp:method)%");
        fields["name"] = json!("%DYNAMIC_METADATA(envoy.filters.http.mcp:params:name)%");
    }
    Ok(fields)
}
