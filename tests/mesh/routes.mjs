// HTTPRoutes as routes of Envoy: what Istio and Envoy Gateway do alike.

import { of } from "./objects.mjs";

/**
 * Every match of every rule for every hostname, the most specific first, as the Gateway API orders them.
 * Of each: `host`, `route` (the object), `ruleIndex`, `matchIndex`, `rule`, `match` (of Envoy).
 */
export function matchesOf(objects) {
  const found = of(objects, "HTTPRoute").flatMap((route) =>
    route.spec.rules.flatMap((rule, ruleIndex) =>
      rule.matches.flatMap((match, matchIndex) =>
        route.spec.hostnames.map((host) => ({ host, route, rule, ruleIndex, matchIndex, wanted: match })),
      ),
    ),
  );
  return found
    .sort((one, other) => weight(other.wanted) - weight(one.wanted))
    .map((one) => ({ ...one, match: matchOf(one.wanted) }));
}

/** A longer path is more specific than any number of headers. */
const weight = ({ path, headers = [] }) => (path?.value ?? "/").length * 100 + headers.length;

function matchOf({ path, headers = [] }) {
  const of = path === undefined || path.value === "/" ? { prefix: "/" } : { path_separated_prefix: path.value };
  if (path !== undefined && path.type !== "PathPrefix") throw new Error(`a path of type ${path.type} is not known here`);
  return headers.length === 0 ? of : { ...of, headers: headers.map(headerMatch) };
}

function headerMatch({ type, name, value }) {
  if (type === "Exact") return { name, string_match: { exact: value } };
  if (type === "RegularExpression") return { name, string_match: { safe_regex: { regex: value } } };
  throw new Error(`a header match of type ${type} is not known here`);
}

export function removedHeaders(rule) {
  const modifiers = (rule.filters ?? []).filter((filter) => filter.type === "RequestHeaderModifier");
  const removed = modifiers.flatMap((filter) => filter.requestHeaderModifier.remove);
  return removed.length === 0 ? {} : { request_headers_to_remove: removed };
}

/** `hosts` from entries that have `host`, in the order of the entries. */
export function byHost(entries) {
  const hosts = new Map();
  for (const { host, ...entry } of entries) hosts.set(host, [...(hosts.get(host) ?? []), entry]);
  return hosts;
}

/** A cluster with one endpoint. `address`: host and port. */
export function clusterAt(name, address, more = {}) {
  const [host, port] = address.split(":");
  const endpoint = { address: { socket_address: { address: host, port_value: Number(port) } } };
  return {
    name,
    type: "STATIC",
    connect_timeout: "10s",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
    ...more,
  };
}

/** For HTTP/2 without TLS. */
export const SPEAKS_HTTP2 = {
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

export const celFilter = (expression) => ({
  extension_filter: {
    name: "envoy.access_loggers.extension_filters.cel",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
      expression,
    },
  },
});

export const jsonLog = (path, fields) => ({
  name: "envoy.access_loggers.file",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
    path,
    log_format: { json_format: fields },
  },
});

export const recordsLog = (cluster, fields, expression) => ({
  name: "envoy.access_loggers.open_telemetry",
  filter: celFilter(expression),
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
    common_config: {
      log_name: "portcullis",
      grpc_service: { envoy_grpc: { cluster_name: cluster } },
      transport_api_version: "V3",
    },
    attributes: {
      values: Object.entries(fields).map(([key, value]) => ({ key, value: { string_value: value } })),
    },
  },
});

export const WASM = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
export const jsonText = (value) => ({
  "@type": "type.googleapis.com/google.protobuf.StringValue",
  value: JSON.stringify(value),
});
