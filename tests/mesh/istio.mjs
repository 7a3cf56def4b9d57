// What istiod makes of the objects below envoy/istio, as a configuration of Envoy that needs no control plane.

import { readFileSync, writeFileSync, renameSync } from "node:fs";
import { parse } from "yaml";
import { called, forServer, objectsInFile, objectsOf, only } from "./objects.mjs";
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

const HERE = "envoy/istio";
const MANAGER = "envoy.filters.network.http_connection_manager";

/** `place`: see render.mjs. `holds`: with the component that holds requests. */
export function istio(place, { holds }) {
  const base = objectsOf(`${HERE}/base`);
  const own = called([...base, ...objectsInFile("tests/mesh/chart-istio.yaml")], place.public_url);
  const server = forServer(objectsOf(`${HERE}/examples/external-linear`), place.upstream);
  const objects = [...own, ...server];

  const root = parse(readFileSync("tests/mesh/istio.yaml", "utf8"));
  const [listener] = root.static_resources.listeners;
  const manager = managerOf(listener);
  root.admin.address = address(place.admin);
  listener.address = address(place.gateway);
  manager.access_log = accessLogs(only(objects, "Telemetry"), place);
  manager.route_config.virtual_hosts = virtualHosts(objects);
  root.static_resources.clusters = clusters(place);

  let filter;
  if (holds) {
    const [patches] = called(objectsInFile(`${HERE}/components/hold/envoyfilter.yaml`), place.public_url);
    filter = patched(listener, patches.spec.configPatches);
  } else {
    filter = ofWasmPlugin(only(objects, "WasmPlugin"));
    manager.http_filters.unshift(discovered(filter.name));
  }
  fetched(manager, filter, place);
  return root;
}

const managerOf = (listener) =>
  listener.filter_chains[0].filters.find((filter) => filter.name === MANAGER).typed_config;

const address = (text) => {
  const [host, port] = text.split(":");
  return { socket_address: { address: host, port_value: Number(port) } };
};

/** As `WasmPlugin` and the discovery of its filter come out. The VM has no id, and nothing but a file is fetched. */
function ofWasmPlugin({ metadata, spec }) {
  const name = `extensions.istio.io/wasmplugin/${metadata.namespace}.${metadata.name}`;
  return {
    name,
    typed_config: {
      "@type": WASM,
      config: {
        name,
        root_id: spec.pluginName,
        failure_policy: spec.failStrategy,
        vm_config: { runtime: "envoy.wasm.runtime.v8" },
        configuration: jsonText(spec.pluginConfig),
      },
    },
  };
}

const discovered = (name) => ({
  name,
  config_discovery: {
    config_source: { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" },
    type_urls: [WASM, "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"],
  },
});

/** Carries out the patches of an EnvoyFilter, and gives the extension that one of them adds. */
function patched(listener, patches) {
  let added;
  for (const { applyTo, patch } of patches) {
    const how = `${applyTo} ${patch.operation}`;
    if (how === "HTTP_FILTER INSERT_FIRST") managerOf(listener).http_filters.unshift(patch.value);
    else if (how === "EXTENSION_CONFIG ADD") added = patch.value;
    else if (how === "LISTENER MERGE") merge(listener, patch.value);
    else if (how === "NETWORK_FILTER MERGE") merge(managerOf(listener), patch.value.typed_config);
    else throw new Error(`a patch ${how} is not known here`);
  }
  return added;
}

function merge(into, value) {
  for (const [key, inner] of Object.entries(value)) {
    const isObject = typeof inner === "object" && !Array.isArray(inner) && typeof into[key] === "object";
    if (isObject) merge(into[key], inner);
    else into[key] = inner;
  }
}

/** What the agent in the pod does: it fetches the image, and Envoy gets the module's file. */
function fetched(manager, filter, place) {
  filter.typed_config.config.vm_config.code = { local: { filename: place.module } };
  const source = manager.http_filters.find((one) => one.name === filter.name).config_discovery.config_source;
  delete source.ads;
  source.path_config_source = { path: place.filter_file };
  writeDiscovered(place.filter_file, filter);
}

function writeDiscovered(file, filter) {
  const resource = { "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig", ...filter };
  writeFileSync(`${file}.new`, JSON.stringify({ resources: [resource] }, null, 2));
  renameSync(`${file}.new`, file);
}

function virtualHosts(objects) {
  const entries = matchesOf(objects).map(({ host, route, rule, ruleIndex, match }) => ({
    host,
    name: `${route.metadata.namespace}.${route.metadata.name}.${ruleIndex}`,
    match,
    ...removedHeaders(rule),
    route: { cluster: clusterOf(route, rule.backendRefs[0]), timeout: rule.timeouts?.request ?? "0s" },
  }));
  return [...byHost(entries)].map(([host, routes]) => ({
    name: `${host}:443`,
    domains: [host],
    include_request_attempt_count: true,
    routes,
  }));
}

function clusterOf(route, { kind, name, namespace = route.metadata.namespace, port }) {
  return kind === "Hostname" ? `outbound|${port}||${name}` : `outbound|${port}||${name}.${namespace}.svc.cluster.local`;
}

function clusters(place) {
  const service = "portcullis.portcullis.svc.cluster.local";
  const [host, port] = place.upstream.split(":");
  return [
    clusterAt(`outbound|8081||${service}`, place.internal, SPEAKS_HTTP2),
    clusterAt(`outbound|8083||${service}`, place.public),
    clusterAt(`outbound|${port}||${host}`, `127.0.0.1:${port}`),
  ];
}

/** The providers that the Telemetry names, as the mesh's configuration has them. */
function accessLogs(telemetry, place) {
  const { extensionProviders } = parse(readFileSync(`${HERE}/mesh-config.yaml`, "utf8")).meshConfig;
  return telemetry.spec.accessLogging.flatMap(({ providers, filter }) =>
    providers.map(({ name }) => {
      const provider = extensionProviders.find((one) => one.name === name);
      if (provider === undefined) throw new Error(`no extension provider ${name}`);
      if (provider.envoyFileAccessLog) return jsonLog(place.access_log, provider.envoyFileAccessLog.logFormat.labels);
      const { service, port, logFormat } = provider.envoyOtelAls;
      return recordsLog(`outbound|${port}||${service}`, logFormat.labels, filter.expression);
    }),
  );
}

