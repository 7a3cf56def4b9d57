// What Envoy Gateway makes of the objects below envoy/envoy-gateway, as a configuration of Envoy that needs no control
// plane.

import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { called, forServer, objectsInFile, objectsOf, of, only } from "./objects.mjs";
import {
  SPEAKS_HTTP2,
  WASM,
  byHost,
  clusterAt,
  jsonLog,
  jsonText,
  matchesOf,
  recordsLog,
  removedHeaders,
} from "./routes.mjs";

const HERE = "envoy/envoy-gateway";

/** `place`: see render.mjs. */
export function envoyGateway(place) {
  const own = [...objectsOf(`${HERE}/base`), ...objectsInFile("tests/mesh/chart-envoy-gateway.yaml")];
  const server = forServer(objectsOf(`${HERE}/examples/external-linear`), place.upstream);
  const objects = [...called(own, place.public_url), ...server];

  const root = parse(readFileSync("tests/mesh/envoy-gateway.yaml", "utf8"));
  const proxy = only(objects, "EnvoyProxy");
  Object.assign(root, parse(proxy.spec.bootstrap.value));
  const [listener] = root.static_resources.listeners;
  root.admin.address = address(place.admin);
  listener.address = address(place.gateway);
  const manager = listener.default_filter_chain.filters[0].typed_config;
  takeClientTraffic(only(objects, "ClientTrafficPolicy").spec, listener, manager);
  manager.access_log = accessLogs(proxy, place);
  const filters = wasmFilters(only(objects, "EnvoyExtensionPolicy"), place);
  manager.http_filters.unshift(...filters);
  manager.route_config.virtual_hosts = virtualHosts(objects, filters);
  root.static_resources.clusters = clusters(objects, place);
  return root;
}

const address = (text) => {
  const [host, port] = text.split(":");
  return { socket_address: { address: host, port_value: Number(port) } };
};

/** Switched off for all routes, and on for each. A fault closes the worker: there is no other policy but to let all pass. */
function wasmFilters({ metadata, spec }, place) {
  return spec.wasm.map(({ name, rootID, config, failOpen }, index) => {
    const id = `envoyextensionpolicy/${metadata.namespace}/${metadata.name}/wasm/${index}`;
    return {
      name: `envoy.filters.http.wasm/${id}`,
      disabled: true,
      typed_config: {
        "@type": WASM,
        config: {
          name,
          root_id: rootID,
          fail_open: failOpen,
          vm_config: {
            vm_id: id,
            runtime: "envoy.wasm.runtime.v8",
            // From Envoy Gateway itself, by HTTP, in a cluster.
            code: { local: { filename: place.module } },
          },
          configuration: jsonText(config),
        },
      },
    };
  });
}

const MEBIBYTE = 1024 * 1024;
const ESCAPED = { RejectRequest: "REJECT_REQUEST" };
const UNDERSCORES = { RejectRequest: "REJECT_REQUEST" };

function takeClientTraffic({ connection, path, headers, timeout, http2 }, listener, manager) {
  listener.per_connection_buffer_limit_bytes = Number(connection.bufferLimit.match(/^(\d+)Mi$/)[1]) * MEBIBYTE;
  manager.merge_slashes = !path.disableMergeSlashes;
  manager.path_with_escaped_slashes_action = ESCAPED[path.escapedSlashesAction];
  manager.common_http_protocol_options = {
    headers_with_underscores_action: UNDERSCORES[headers.withUnderscoresAction],
    idle_timeout: timeout.http.idleTimeout,
  };
  manager.early_header_mutation_extensions = [
    {
      name: "envoy.http.early_header_mutation.header_mutation",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations: headers.earlyRequestHeaders.remove.map((name) => ({ remove: name })),
      },
    },
  ];
  manager.request_timeout = timeout.http.requestReceivedTimeout;
  manager.stream_idle_timeout = timeout.http.streamIdleTimeout;
  manager.http2_protocol_options.max_concurrent_streams = http2.maxConcurrentStreams;
}

function virtualHosts(objects, filters) {
  const on = { "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", config: {} };
  const entries = matchesOf(objects).map((one) => ({
    host: one.host,
    name: `${nameOf(one)}/match/${one.matchIndex}/${one.host.replaceAll(".", "_")}`,
    match: one.match,
    ...removedHeaders(one.rule),
    ...actionOf(objects, one),
    typed_per_filter_config: Object.fromEntries(filters.map(({ name }) => [name, on])),
  }));
  return [...byHost(entries)].map(([host, routes]) => ({
    name: `gateways/agents/https/${host.replaceAll(".", "_")}`,
    domains: [host],
    routes,
  }));
}

const nameOf = ({ route, ruleIndex }) =>
  `httproute/${route.metadata.namespace}/${route.metadata.name}/rule/${ruleIndex}`;

function actionOf(objects, one) {
  const extension = (one.rule.filters ?? []).find((filter) => filter.type === "ExtensionRef");
  if (extension) {
    const { statusCode, body } = only(objects, "HTTPRouteFilter", extension.extensionRef.name).spec.directResponse;
    return { direct_response: { status: statusCode, body: { inline_string: body.inline } } };
  }
  const policies = of(objects, "BackendTrafficPolicy").filter(({ spec }) => selects(spec, one.route));
  const http = policies[0]?.spec.timeout?.http ?? {};
  const timeout = http.requestTimeout ?? one.rule.timeouts?.request;
  return {
    route: {
      cluster: nameOf(one),
      upgrade_configs: [{ upgrade_type: "websocket" }],
      // A request that may last for ever may also be silent for ever; others for an hour.
      ...(timeout === undefined ? {} : { timeout, idle_timeout: timeout === "0s" ? "0s" : "3600s" }),
      ...(http.maxStreamDuration ? { max_stream_duration: { max_stream_duration: http.maxStreamDuration } } : {}),
    },
  };
}

function selects({ targetSelectors = [] }, route) {
  return targetSelectors.some(({ kind, matchLabels }) =>
    kind === "HTTPRoute" && Object.entries(matchLabels).every(([key, value]) => route.metadata.labels?.[key] === value),
  );
}

/** One for each rule of each route that has a backend. */
function clusters(objects, place) {
  const rules = matchesOf(objects).filter(({ rule }) => rule.backendRefs !== undefined);
  const named = new Map(rules.map((one) => [nameOf(one), one.rule.backendRefs[0]]));
  return [...named].map(([name, { name: backend }]) => {
    if (backend === "portcullis-internal") return clusterAt(name, place.internal, SPEAKS_HTTP2);
    if (backend === "portcullis") return clusterAt(name, place.public);
    const { port } = only(objects, "Backend", backend).spec.endpoints[0].fqdn;
    return clusterAt(name, `127.0.0.1:${port}`);
  });
}

function accessLogs(proxy, place) {
  const more = parse(readFileSync(`${HERE}/components/records/envoyproxy.yaml`, "utf8")).map(({ value }) => value);
  const settings = [...proxy.spec.telemetry.accessLog.settings, ...more];
  return settings.map(({ sinks, format, matches }) =>
    sinks[0].type === "File"
      ? jsonLog(place.access_log, format.json)
      : recordsLog("httproute/portcullis/portcullis-internal/rule/0", format.json, matches[0]),
  );
}
