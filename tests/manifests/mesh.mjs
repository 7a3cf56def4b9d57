// What the three ways to install the filter say in several places, and whether a real Envoy takes what comes of them.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { INTEGRATIONS, fileOf, routesOfChart, written } from "../mesh/chart.mjs";
import { VARIANTS } from "../mesh/render.mjs";
import { build, buildOverBase } from "./files.mjs";
import { read, within } from "./helm.mjs";
import { objectsIn } from "./schemas.mjs";

const MESHES = ["istio", "envoy-gateway"];
const OURS = "portcullis";

/** What is asked of files, so that a test can ask it of others. `read`: the text of a file, by its path. */
export function problemsOfAgreement(read_ = read) {
  const file = (path) => parse(read_(path));
  const shipped = file("envoy/envoy.yaml");
  const problems = [];
  const same = (what, one, other) =>
    isDeepStrictEqual(one, other) || problems.push(`${what}: ${JSON.stringify(one)} and ${JSON.stringify(other)}`);

  // The filter.
  const filter = managerOf(shipped).http_filters.find((one) => one.name === OURS);
  const [discovered] = file("envoy/plain/filter.yaml").resources;
  same("the filter of envoy.yaml and of plain/filter.yaml", discovered.typed_config, filter.typed_config);
  same("its name there", discovered.name, file("envoy/plain/http-filter.yaml").name);
  const plugin = file("envoy/istio/base/wasmplugin.yaml");
  const extension = file("envoy/istio/components/traffic-extension/trafficextension.yaml");
  const { wasm, ...around } = extension.spec;
  same("WasmPlugin and TrafficExtension", { ...around, ...wasm }, plugin.spec);
  const held = file("envoy/istio/components/hold/envoyfilter.yaml");
  const added = held.spec.configPatches.find((one) => one.applyTo === "EXTENSION_CONFIG").patch.value;
  const { max_request_bytes: limit, ...streamed } = plugin.spec.pluginConfig;
  same(
    "what the filter is told by WasmPlugin and by EnvoyFilter",
    JSON.parse(added.typed_config.config.configuration.value),
    { ...streamed, body_gate: "hold" },
  );
  if (!(limit < 1024 * 1024)) problems.push(`max_request_bytes is ${limit}, and a gateway of Istio holds 1048576`);
  const digest = added.typed_config.config.vm_config.code.remote.http_uri.uri.split("@sha256:")[1];
  same("the digests of WasmPlugin and EnvoyFilter", digest, plugin.spec.sha256);

  // Records and metrics.
  const [json, otlp] = managerOf(shipped).access_log.map((log) => log.typed_config);
  const attributes = Object.fromEntries(
    otlp.attributes.values.map(({ key, value }) => [key, value.string_value]),
  );
  const tags = shipped.stats_config.stats_tags;
  const providers = file("envoy/istio/mesh-config.yaml").meshConfig.extensionProviders;
  same("lines of JSON, Istio", providers[0].envoyFileAccessLog.logFormat.labels, json.log_format.json_format);
  same("records by OTLP, Istio", providers[1].envoyOtelAls.logFormat.labels, attributes);
  const proxy = file("envoy/envoy-gateway/base/envoyproxy.yaml").spec;
  const [settings] = proxy.telemetry.accessLog.settings;
  same("lines of JSON, Envoy Gateway", settings.format.json, json.log_format.json_format);
  const [more] = file("envoy/envoy-gateway/components/records/envoyproxy.yaml");
  same("records by OTLP, Envoy Gateway", more.value.format.json, attributes);
  same("labels of metrics, Envoy Gateway", parse(proxy.bootstrap.value).stats_config.stats_tags, tags);
  const gateway = file("envoy/istio/examples/gateway/gateway.yaml");
  same(
    "labels of metrics, Istio",
    gateway.spec.infrastructure.annotations["sidecar.istio.io/extraStatTags"].split(","),
    tags.map((tag) => tag.tag_name),
  );

  // Headers that servers do not get, and headers that clients cannot set.
  const routes = managerOf(shipped).route_config.virtual_hosts[0].routes;
  const removed = (name) => routes.find((route) => route.name === name).request_headers_to_remove;
  for (const mesh of MESHES) {
    for (const path of ["base/service.httproute.yaml", "examples/external-linear/httproute.yaml"]) {
      const [rule] = file(`envoy/${mesh}/${path}`).spec.rules;
      const [modifier] = rule.filters.map((one) => one.requestHeaderModifier);
      same(`headers that ${mesh}/${path} takes away`, modifier?.remove, removed("upstream_tls"));
    }
  }
  const early = file("envoy/envoy-gateway/base/clienttrafficpolicy.yaml").spec.headers.earlyRequestHeaders.remove;
  // All that a client cannot set, but for its own key and what Envoy itself says.
  const never = removed("pages_connect").filter((name) => /^x-portcullis-(?!api-key)/.test(name));
  same("headers that a client cannot set, Envoy Gateway", [...early].sort(), [...never].sort());
  return problems;
}

const managerOf = (root) =>
  root.static_resources.listeners.find((one) => one.name === "ingress").filter_chains[0].filters[0].typed_config;

/** The routes that the chart renders, and the file in which tests have them. */
export function problemsOfChartRoutes(tools) {
  return INTEGRATIONS.filter(
    (integration) => !isDeepStrictEqual(routesOfChart(tools, integration), written(integration)),
  ).map((integration) => `${fileOf(integration)} is not what the chart renders: run node tests/mesh/chart.mjs`);
}

/** Whatever is renamed in one place has to be renamed in all. */
export function problemsOfNames(tools) {
  const overlays = [
    ...MESHES.map((mesh) => [mesh, build(`envoy/${mesh}`, tools.kubectl)]),
    ["istio, hold", buildOverBase("envoy/istio/components/hold", tools.kubectl)],
    ["istio, TrafficExtension", buildOverBase("envoy/istio/components/traffic-extension", tools.kubectl)],
    ["envoy-gateway, records", buildOverBase("envoy/envoy-gateway/components/records", tools.kubectl)],
  ];
  return overlays.flatMap(([name, { built, refusal }]) =>
    refusal === undefined ? filtersIn(objectsIn(built), name) : [`${name}: ${refusal}`],
  );
}

/** One filter and not two, or a request would be judged twice, the second time without the client's credential. */
function filtersIn(objects, name) {
  const kinds = ["WasmPlugin", "TrafficExtension", "EnvoyFilter", "EnvoyExtensionPolicy"];
  const filters = objects.filter((object) => kinds.includes(object.kind));
  return filters.length === 1 ? [] : [`${name}: ${filters.length} objects bring the filter`];
}

/**
 * What a real Envoy with the real module says to the configuration of each variant. It does not read what it would
 * discover later, so the filter is put into its place.
 */
export function problemsOfEnvoy(tools, change = (root) => root, variants = Object.keys(EVERY)) {
  return within((directory) => {
    const place = placeIn(directory, tools.wasm);
    return variants.flatMap((name) => {
      const root = change(inlined(EVERY[name](place), place), name);
      const path = join(directory, `${name}.json`);
      writeFileSync(path, JSON.stringify(root));
      const { status, stderr } = spawnSync(tools.envoy, ["--mode", "validate", "-l", "error", "-c", path], {
        encoding: "utf8",
      });
      return [...(status === 0 ? [] : [`${name}: ${stderr}`]), ...problemsOfClusters(name, root)];
    });
  });
}

const EVERY = { ...VARIANTS, plain };

function placeIn(directory, module) {
  const at = (port) => `127.0.0.1:${port}`;
  return {
    gateway: at(10000),
    admin: at(9901),
    internal: at(8081),
    public: at(8083),
    upstream: "localhost:9000",
    public_url: "http://127.0.0.1:10000",
    module,
    access_log: join(directory, "access.jsonl"),
    filter_file: join(directory, "filter.json"),
  };
}

/** envoy.yaml with the two files of plain/ in it. */
function plain(place) {
  const root = parse(readFileSync("envoy/envoy.yaml", "utf8"));
  const manager = managerOf(root);
  manager.access_log[0].typed_config.path = place.access_log;
  const position = manager.http_filters.findIndex((one) => one.name === OURS);
  manager.http_filters[position] = parse(readFileSync("envoy/plain/http-filter.yaml", "utf8"));
  const resources = readFileSync("envoy/plain/filter.yaml", "utf8").replace("/etc/envoy/portcullis.wasm", place.module);
  writeFileSync(place.filter_file, JSON.stringify(parse(resources)));
  return root;
}

const httpFilters = (root) => {
  const [listener] = root.static_resources.listeners;
  const { filters } = listener.default_filter_chain ?? listener.filter_chains[0];
  return filters[0].typed_config.http_filters;
};

function inlined(root, place) {
  const filters = httpFilters(root);
  const position = filters.findIndex((one) => one.config_discovery !== undefined);
  if (position >= 0) {
    const [{ name, typed_config }] = JSON.parse(readFileSync(place.filter_file, "utf8")).resources;
    const wanted = filters[position].name;
    if (wanted !== name) throw new Error(`${wanted} is discovered, and there is ${name}`);
    filters[position] = { name, typed_config };
  }
  return root;
}

/** The clusters that the filter is told are there, and are called so. */
function problemsOfClusters(name, root) {
  const wasm = httpFilters(root).find((one) => one.typed_config?.["@type"]?.endsWith("wasm.v3.Wasm"));
  const told = JSON.parse(wasm.typed_config.config.configuration.value);
  const there = root.static_resources.clusters.map((cluster) => cluster.name);
  const replay = (told.replay_cluster ?? "replay").replace("{host}", "localhost").replace("{port}", "9000");
  return [told.token_service.cluster, replay]
    .filter((cluster) => !there.includes(cluster))
    .map((cluster) => `${name}: there is no cluster ${cluster}, but ${there.join(", ")}`);
}

const EXPOSURE = 20;

/** What systemd says to the units, with a program that is there in place of theirs. Its scale ends with 100. */
export function problemsOfUnits(analyze, change = (text) => text) {
  return within((directory) =>
    ["envoy", "portcullis"].flatMap((name) => {
      const path = join(directory, `${name}.service`);
      const text = read(`envoy/plain/systemd/${name}.service`).replaceAll(/\/usr\/local\/bin\/\S+/g, "/bin/true");
      writeFileSync(path, change(text));
      const verified = spawnSync(analyze, ["verify", "--man=no", path], { encoding: "utf8" });
      const secured = spawnSync(analyze, ["security", "--offline=true", `--threshold=${EXPOSURE}`, path], {
        encoding: "utf8",
      });
      return [
        ...(verified.status === 0 && verified.stderr === "" ? [] : [`${name}: ${verified.stderr}`]),
        ...(secured.status === 0 ? [] : [`${name}: ${secured.stdout.trim().split("\n").at(-1)}${secured.stderr}`]),
      ];
    }),
  );
}

export const systemd = () => ["/usr/bin/systemd-analyze", "/bin/systemd-analyze"].find(existsSync);
