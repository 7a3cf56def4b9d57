// What the chart says in several places, or what stands elsewhere in the repository too.

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { parse, stringify } from "yaml";
import { CHART, VALUES, helm, read, render, within, withValues } from "./helm.mjs";

/** Pods are replaced by what a running token-service does not take up, and by nothing else. */
export async function problemsOfChecksum(tools, chart = CHART) {
  const base = `${VALUES}/minimal.yaml`;
  const checksum = (config) =>
    within((directory) => {
      const file = join(directory, "values.yaml");
      writeFileSync(file, stringify({ config }));
      const { objects } = render(tools, [base, file], chart);
      return objects.find((object) => object.kind === "Deployment").spec.template.metadata.annotations[
        "checksum/settings"
      ];
    });
  const before = await checksum({});
  const problems = [];
  const followed = {
    workspaces: [{ slug: "core" }],
    policies: { organization: {} },
    limits: { organization: [] },
    administrators: [],
    issuers: [],
    servers: [],
  };
  if ((await checksum(followed)) !== before) problems.push("a change that is followed replaces pods");
  if ((await checksum({ lease_ttl: "30s" })) === before)
    problems.push("a change that takes a restart does not replace pods");
  return problems;
}

/** What Helm says after an installation: above all the cluster of the internal listener, by the names that there really are. */
export function problemsOfNotes(tools, chart = CHART) {
  const notes = (name) =>
    helm(tools, [
      "install",
      "gate",
      chart,
      "--dry-run=client",
      "--namespace",
      "mcp",
      ...withValues([`${VALUES}/${name}.yaml`]),
    ]).stdout;
  const named = (name, kind, end, of) => {
    const { objects } = render(tools, [`${VALUES}/${name}.yaml`], chart);
    const object = objects.find((one) => one.kind === kind && one.metadata.name.endsWith(end));
    return notes(name).split("\nNOTES:\n")[1]?.includes(of(object))
      ? []
      : [`${name}: the notes do not say ${of(object)}`];
  };
  const host = (service) => `${service.metadata.name}.mcp.svc.cluster.local`;
  const port = (service) => service.spec.ports.find((one) => one.targetPort === "internal").port;
  return [
    ...named("istio", "Service", "portcullis", (service) => `"outbound|${port(service)}||${host(service)}"`),
    ...named("ambient", "Service", "portcullis", (service) => `"outbound|${port(service)}||${host(service)}"`),
    ...named("envoy-gateway", "HTTPRoute", "-internal", (route) => `httproute/mcp/${route.metadata.name}/rule/0`),
    ...named("minimal", "Service", "-pods", (service) => `${host(service)}:${port(service)}`),
  ];
}

/** Names that stand in several places of the repository. */
export function problemsOfAgreement({ text, objects }) {
  const problems = [];
  const same = (what, one, other) =>
    isDeepStrictEqual([...one].sort(), [...other].sort()) || problems.push(`${what}: ${one} and ${other}`);

  const sections = read("token-service/src/config/mod.rs")
    .match(/const SECTIONS: .*?= \[(.*?)\]/s)[1]
    .match(/[a-z_]+/g);
  const schema = JSON.parse(read(`${CHART}/values.schema.json`));
  same("sections of portcullis.yaml and of the schema", sections, schema.properties.config.propertyNames.enum);

  const envoy = read("envoy/envoy.yaml");
  const pages = [...envoy.matchAll(/name: pages_\w+\n\s+match: \{ path_separated_prefix: (\S+) \}/g)].map(
    ([, path]) => path,
  );
  const route = objects.find((object) => object.kind === "HTTPRoute" && object.metadata.name.endsWith("-pages")).spec
    .rules[0];
  same(
    "pages of envoy.yaml and of the route",
    pages,
    route.matches.map((match) => match.path.value),
  );
  const removed = envoy.match(/&never_from_a_client\n((?:\s+- \S+\n)+)/)[1].match(/[a-z][-a-z]+/g);
  same("headers that a client cannot set", removed, route.filters[0].requestHeaderModifier.remove);

  const health = read("token-service/src/http/public/mod.rs");
  const container = objects.find((object) => object.kind === "Deployment").spec.template.spec.containers[0];
  for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
    const { path, port } = container[probe].httpGet;
    if (port !== "public" || !health.includes(`"${path}" => get health::`))
      problems.push(`${probe}: the listener ${port} has no ${path}`);
  }
  if (
    /\blookup\b/.test(
      readdirSync(`${CHART}/templates`)
        .map((name) => read(`${CHART}/templates/${name}`))
        .join(),
    )
  ) {
    problems.push("a template looks into the cluster, where Secrets are");
  }
  if (text.includes("PRIVATE KEY")) problems.push("a key is in the rendering");
  return problems;
}

/** Every value is in the README's table with its default, and nothing else is. */
export function problemsOfReadme(readme = read(`${CHART}/README.md`)) {
  const rows = new Map(
    [...readme.matchAll(/^\| `([\w.]+)` \| (?:`(.*?)`|–) \|/gm)].map(([, key, value]) => [key, value ?? ""]),
  );
  const defaults = new Map(leaves(parse(read(`${CHART}/values.yaml`))));
  const problems = [];
  for (const [key, value] of defaults) {
    if (!rows.has(key)) problems.push(`${key} is not in the README`);
    else if (rows.get(key) !== value) problems.push(`${key}: the README says ${rows.get(key)}, and it is ${value}`);
  }
  return [
    ...problems,
    ...[...rows.keys()].filter((key) => !defaults.has(key)).map((key) => `${key} is in the README, and no value`),
  ];
}

/** Values as the table has them: nothing for empty ones, JSON for what is not a text. */
function leaves(values, prefix = "") {
  return Object.entries(values).flatMap(([key, value]) => {
    const path = prefix + key;
    if (typeof value !== "object") return [[path, String(value)]];
    if (Object.keys(value).length === 0) return [[path, ""]];
    const isWhole = Array.isArray(value) || path.startsWith("resources");
    return isWhole ? [[path, JSON.stringify(value)]] : leaves(value, `${path}.`);
  });
}
