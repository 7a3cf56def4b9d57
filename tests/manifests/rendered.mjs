// What `portcullis render` prints: by the schemas, by what the objects say about each other, by a real Envoy, and
// against what is committed beside the servers that it is made of.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { within } from "./helm.mjs";
import { freePort } from "./program.mjs";
import { nameOf, objectsIn, problemsOf } from "./schemas.mjs";

const DIRECTORY = "tests/manifests/rendered";
const SERVERS = `${DIRECTORY}/portcullis.yaml`;
const PLACE = ["--namespace", "mcp", "--gateway", "agents/gateways", "--section", "https"];

/** Each rendering, and the arguments that it is made with. */
export const RENDERINGS = {
  istio: ["istio", ...PLACE],
  "envoy-gateway": ["envoy-gateway", ...PLACE],
  "envoy-clusters": ["envoy", "--part", "clusters"],
  "envoy-routes": ["envoy", "--part", "routes"],
  "envoy-replay-routes": ["envoy", "--part", "replay-routes"],
};

const render = (tools, args, servers = SERVERS) =>
  spawnSync(tools.portcullis, ["render", ...args, "--config", servers], { encoding: "utf8", env: {} });

/** What is wrong with one rendering. */
export async function problemsOfRendering(tools, name) {
  const { status, stdout, stderr } = render(tools, RENDERINGS[name]);
  if (status !== 0) return [stderr];
  const problems = [...differences(name, stdout), ...(await problemsOfOrder(tools, name, stdout))];
  if (name.startsWith("envoy-") && name !== "envoy-gateway") return problems;
  const objects = objectsIn(stdout);
  problems.push(...(await Promise.all(objects.map(problemsOf))).flat());
  return [...problems, ...problemsOfAgreement(objects)];
}

function differences(name, text) {
  const file = `${DIRECTORY}/${name}.yaml`;
  // Of routes most is the gateway's own, which envoy.yaml has.
  if (name.endsWith("routes") || (existsSync(file) && readFileSync(file, "utf8") === text)) return [];
  const command = ["portcullis", "render", ...RENDERINGS[name], "--config", SERVERS].join(" ");
  return [`${file} is another: look at the difference, and make it anew with ${command}`];
}

/** Twice the same, in whatever order the servers stand. */
async function problemsOfOrder(tools, name, text) {
  return within((directory) => {
    const file = join(directory, "portcullis.yaml");
    const { servers } = parse(readFileSync(SERVERS, "utf8"));
    writeFileSync(file, stringify({ servers: servers.toReversed() }));
    const { stdout } = render(tools, RENDERINGS[name], file);
    const same = stdout.replaceAll(file, SERVERS) === text;
    return same ? [] : ["it depends on the order of the servers"];
  });
}

/** What objects of one rendering say about each other. */
export function problemsOfAgreement(objects) {
  const problems = [];
  const names = objects.map(nameOf);
  const must = (fact, object, problem) => fact || problems.push(`${nameOf(object)}: ${problem}`);
  for (const [index, object] of objects.entries()) {
    must(names.indexOf(names[index]) === index, object, "there are two of them");
    must(/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(object.metadata.name), object, "its name is none");
    must(object.metadata.namespace === "mcp", object, "it is in another namespace");
    for (const { kind, name } of object.spec.targetRefs ?? [])
      must(names.includes(`${kind}/${name}`), object, `no ${kind} ${name}`);
    if (object.kind === "HTTPRoute") route(object, names, objects, must);
  }
  return problems;
}

function route(object, names, objects, must) {
  const { hostnames, rules } = object.spec;
  must(rules.length === 1, object, "it needs exactly one rule: Envoy Gateway counts them in the names of clusters");
  const [{ matches, backendRefs, filters, timeouts }] = rules;
  const [{ name, value } = {}] = matches[0].headers;
  must(
    matches.length === 1 && name === "x-portcullis-upstream" && ["tls", "plain"].includes(value),
    object,
    "requests that were not released match it",
  );
  must(filters[0].requestHeaderModifier.remove.includes(name), object, `${name} reaches the upstream`);
  must(timeouts.request === "0s", object, "it ends streams");
  const [backend] = backendRefs;
  const port = Number(object.metadata.name.match(/-(\d+)$/)[1]);
  if (backend.kind === "Backend") {
    must(names.includes(`Backend/${backend.name}`), object, `no Backend ${backend.name}`);
    must(object.metadata.name === `${hostnames[0]}-${port}`, object, "replay_cluster cannot name it");
    const secured = names.includes(`BackendTLSPolicy/${backend.name}`);
    must(secured === (value === "tls"), object, "its Backend is called in another way than the filter says");
    return;
  }
  must(backend.name === hostnames[0] && backend.port === port, object, "its backend is another host");
  const entry = objects.find((one) => nameOf(one) === `ServiceEntry/${backend.name}`);
  must(
    backend.name.endsWith(".svc.cluster.local") || entry.spec.ports.some(({ number }) => number === port),
    object,
    "the mesh does not know its backend",
  );
  const rule = objects.find((one) => nameOf(one) === `DestinationRule/${backend.name}`);
  const secured = rule?.spec.trafficPolicy.portLevelSettings.find((one) => one.port.number === port)?.tls;
  must(
    (secured?.sni === backend.name) === (value === "tls"),
    object,
    "its backend is called in another way than the filter says",
  );
}

/** Of a rendering: a change, and what is said about it. */
const SEEDS = [
  ["istio", "HTTPRoute", (o) => o.spec.rules.push(o.spec.rules[0]), /exactly one rule/],
  ["istio", "HTTPRoute", (o) => o.spec.rules[0].matches[0].headers.shift(), /were not released match it/],
  [
    "istio",
    "HTTPRoute",
    (o) => o.spec.rules[0].filters[0].requestHeaderModifier.remove.shift(),
    /reaches the upstream/,
  ],
  ["istio", "HTTPRoute", (o) => (o.spec.rules[0].timeouts.request = "30s"), /it ends streams/],
  ["istio", "HTTPRoute", (o) => (o.spec.rules[0].backendRefs[0].port = 1), /another host/],
  ["istio", "ServiceEntry", (o) => (o.spec.ports[0].number = 1), /the mesh does not know/],
  ["istio", "DestinationRule", (o) => delete o.spec.trafficPolicy.portLevelSettings[0].tls, /in another way/],
  ["istio", "ServiceEntry", (o) => (o.metadata.namespace = "default"), /another namespace/],
  ["envoy-gateway", "HTTPRoute", (o) => (o.metadata.name = `x-${o.metadata.name}`), /replay_cluster cannot name it/],
  ["envoy-gateway", "Backend", (o) => (o.metadata.name = "x"), /no Backend/],
  ["envoy-gateway", "BackendTLSPolicy", (o) => (o.spec.targetRefs[0].name = "x"), /no Backend x/],
  ["envoy-gateway", "BackendTLSPolicy", (o) => (o.metadata.name = "x"), /in another way/],
];

/** Errors that are put in on purpose, and were not found. */
export function notFound(tools) {
  return SEEDS.flatMap(([name, kind, change, words]) => {
    const objects = objectsIn(render(tools, RENDERINGS[name]).stdout);
    change(objects.find((object) => object.kind === kind));
    const problems = problemsOfAgreement(objects);
    const isFound = problems.some((problem) => words.test(problem));
    return isFound ? [] : [`not found: ${words}; found: ${problems.join("; ") || "nothing"}`];
  });
}

/** A real Envoy takes clusters and routes from files, and says of none of them that it is out of date. */
export async function problemsOfEnvoy(tools) {
  return within(async (directory) => {
    const place = (part) => join(directory, `${part}.yaml`);
    for (const part of ["clusters", "routes", "replay-routes"])
      writeFileSync(place(part), render(tools, ["envoy", "--part", part]).stdout);
    const port = await freePort();
    const file = join(directory, "envoy.yaml");
    writeFileSync(file, stringify(bootstrap(port, place)));
    const envoy = spawn(tools.envoy, ["-c", file, "--use-dynamic-base-id", "--concurrency", "1", "-l", "warn"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    envoy.stderr.on("data", (chunk) => (log += chunk));
    const ended = new Promise((resolve) => envoy.on("exit", resolve));
    try {
      const stats = await statsOf(port, envoy);
      const updated = (name) =>
        stats.includes(`${name}.update_success: 1`) && stats.includes(`${name}.update_rejected: 0`);
      const problems = ["cluster_manager.cds", "http.mcp.rds.mcp", "http.replay.rds.replay"]
        .filter((name) => !updated(name))
        .map((name) => `${name} was not taken\n${stats}\n${log}`);
      if (/deprecated/i.test(log)) problems.push(log);
      return problems;
    } finally {
      envoy.kill();
      await ended;
    }
  });
}

function bootstrap(port, place) {
  const source = (part) => ({ path_config_source: { path: place(part) } });
  const listener = (name, part) => ({
    name,
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    filter_chains: [
      {
        filters: [
          {
            name: "http",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              stat_prefix: name,
              rds: { route_config_name: name, config_source: source(part) },
              // What the routes switch off for pages.
              http_filters: ["portcullis", "dynamic_forward_proxy", "upstream_addresses", "router"].map(filter),
            },
          },
        ],
      },
    ],
  });
  return {
    node: { id: "manifests", cluster: "manifests" },
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: port } } },
    dynamic_resources: { cds_config: source("clusters") },
    static_resources: {
      listeners: [listener("mcp", "routes"), listener("replay", "replay-routes")],
      clusters: ["token_service", "token_service_public"].map((name) => ({ name, type: "STATIC" })),
    },
  };
}

const filter = (name) => ({
  name,
  typed_config: {
    "@type":
      name === "router"
        ? "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        : "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
    ...(name === "router" ? {} : { max_request_bytes: 1 }),
  },
});

/** As soon as Envoy serves. */
async function statsOf(port, envoy) {
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
    if (ready?.status === 200) return (await fetch(`http://127.0.0.1:${port}/stats`)).text();
    if (envoy.exitCode !== null) return "it has ended";
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
