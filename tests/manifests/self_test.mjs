// Errors that are put in on purpose. Each has to be found, in words that say what it is; otherwise what looks for it finds
// nothing at all.

import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import * as agreement from "./agreement.mjs";
import * as chart from "./chart.mjs";
import { problemsOfClosedRoute } from "./closed_route.mjs";
import { problemsBelow } from "./files.mjs";
import { CHART, VALUES, header, render, valuesOf, within } from "./helm.mjs";
import { problemsOfRunning } from "./program.mjs";
import { problemsOf } from "./schemas.mjs";

/** Of an object's schema: its kind, a change, and what is said about it. */
const OF_SCHEMAS = [
  ["Deployment", (o) => (o.spec.template.spec.containers[0].imagge = "x"), /containers\/0\/imagge is no field/],
  ["Deployment", (o) => (o.spec.replicas = "2"), /\/spec\/replicas must be integer/],
  ["Deployment", (o) => delete o.spec.template.spec.containers[0].name, /must have required property name/],
  ["Deployment", (o) => (o.spec.strategy.rollingUpdate.maxUnavailabe = 0), /maxUnavailabe is no field/],
  ["Deployment", (o) => (o.spec.template.spec.volumes[1].emptyDir.size = "1Gi"), /emptyDir\/size is no field/],
  ["Deployment", (o) => (o.metadata.labels.team = 1), /\/metadata\/labels\/team must be string/],
  ["Service", (o) => (o.spec.ports[0].targetport = 1), /targetport is no field/],
  ["ConfigMap", (o) => (o.dta = {}), /\/dta is no field/],
  ["NetworkPolicy", (o) => (o.spec.ingress[0].form = []), /form is no field/],
  ["PodDisruptionBudget", (o) => (o.spec.unhealthyPodEvictionPolicy = "Sometimes"), /must be equal to one of/],
  ["Job", (o) => (o.spec.backOffLimit = 2), /backOffLimit is no field/],
  ["PeerAuthentication", (o) => (o.spec.mtls.mode = "STRIKT"), /\/spec\/mtls\/mode must be equal to one of/],
  ["PeerAuthentication", (o) => (o.spec.portLevelMtls[9464].mod = "STRICT"), /mod is no field/],
  ["AuthorizationPolicy", (o) => (o.spec.rules[0].from[0].source.principal = []), /principal is no field/],
  ["Sidecar", (o) => (o.spec.ingress[0].port.nummer = 1), /nummer is no field/],
  [
    "DestinationRule",
    (o) => (o.spec.trafficPolicy.outlierDetection.consecutiveErors = 1),
    /consecutiveErors is no field/,
  ],
  ["HTTPRoute", (o) => (o.spec.rules[0].matches[0].path.typ = "Exact"), /typ is no field/],
  ["HTTPRoute", (o) => (o.spec.rules[0].timeouts.request = 30), /must be string/],
  ["Backend", (o) => (o.spec.tls.clientCertificate = {}), /clientCertificate is no field/],
  ["BackendTrafficPolicy", (o) => (o.spec.healthCheck.active.http.pfad = "/"), /pfad is no field/],
  ["ServiceMonitor", (o) => (o.spec.endpoints[0].intervall = "30s"), /intervall is no field/],
  ["Service", (o) => (o.apiVersion = "v2"), /no schema of v2 Service is known/],
  ["Service", (o) => (o.kind = "Servise"), /no schema of v1 Servise is known/],
];

const podOf = (o) => o.spec.template.spec;

/** Of what objects say about each other, the program and the pods. */
const OF_RENDERINGS = [
  ["Service", (o) => (o.spec.selector["app.kubernetes.io/name"] = "other"), /selects the pods of 0 workloads/],
  ["Service", (o) => (o.spec.ports[0].targetPort = "intern"), /no container has a port intern/],
  ["Service", (o) => (o.metadata.name = "other"), /no Service gate-portcullis with a port 8083/],
  ["Service", (o) => (o.metadata.name = "Gate"), /its name is none/],
  ["Deployment", (o) => (podOf(o).containers[0].volumeMounts[0].name = "confg"), /no volume confg/],
  ["Deployment", (o) => podOf(o).volumes.push({ name: "more", emptyDir: {} }), /volume more is mounted nowhere/],
  [
    "Deployment",
    (o) => (podOf(o).volumes[1] = { name: "data", persistentVolumeClaim: { claimName: "none" } }),
    /no PersistentVolumeClaim none/,
  ],
  ["Deployment", (o) => (podOf(o).volumes[0].projected.sources[0].configMap.items[0].key = "x"), /has no x/],
  [
    "Deployment",
    (o) =>
      podOf(o).volumes[0].projected.sources.push({
        secret: { name: "linear", items: [{ key: "a", path: "root.key" }] },
      }),
    /have one path/,
  ],
  [
    "Deployment",
    (o) =>
      podOf(o).volumes[0].projected.sources.push({ secret: { name: "linear", items: [{ key: "a", path: "unread" }] } }),
    /names none of the files unread/,
  ],
  [
    "Deployment",
    (o) => podOf(o).volumes[0].projected.sources.push({ secret: { name: "stray", items: [] } }),
    /Secret stray is used, and no value names it/,
  ],
  [
    "Deployment",
    (o) => podOf(o).volumes[0].projected.sources.splice(1, 1),
    /names root.key, and the pod has no such file/,
  ],
  [
    "Deployment",
    (o, all) => all.filter((one) => one.spec?.template).map((one) => podOf(one).imagePullSecrets.pop()),
    /Secret registry of the values is used nowhere/,
  ],
  ["Deployment", (o) => (podOf(o).serviceAccountName = "none"), /no ServiceAccount none/],
  ["Deployment", (o) => (podOf(o).containers[0].readinessProbe.httpGet.port = "web"), /no container has a port web/],
  ["Deployment", (o) => (podOf(o).securityContext.runAsNonRoot = false), /somebody else than root/],
  ["Deployment", (o) => (podOf(o).containers[0].securityContext.readOnlyRootFilesystem = false), /has to be read-only/],
  ["Deployment", (o) => delete podOf(o).containers[0].securityContext.capabilities, /may gain privileges/],
  ["Deployment", (o) => delete podOf(o).securityContext.seccompProfile, /seccompProfile/],
  ["Deployment", (o) => delete podOf(o).automountServiceAccountToken, /no use for a token/],
  ["Deployment", (o) => (podOf(o).terminationGracePeriodSeconds = 45), /killed after 45 s, and needs 50 s/],
  ["Deployment", (o) => (podOf(o).containers[0].image = "registry.example.com/portcullis"), /neither digest nor tag/],
  [
    "Deployment",
    (o) => (podOf(o).containers[0].ports[2].containerPort = 8084),
    /listener public is at 0.0.0.0:8083, the port at 8084/,
  ],
  [
    "Deployment",
    (o) => (o.spec.template.metadata.labels["app.kubernetes.io/instance"] = "x"),
    /its selector has to select its own pods/,
  ],
  [
    "Deployment",
    (o) => (podOf(o).topologySpreadConstraints[0].labelSelector.matchLabels.a = "b"),
    /not spread against pods of its own/,
  ],
  ["Job", (o) => (o.metadata.annotations["helm.sh/hook-weight"] = "-1"), /not there yet when this hook runs/],
  [
    "Job",
    (o) => (
      (o.spec.template.metadata.labels["app.kubernetes.io/component"] = "token-service"),
      (o.spec.template.metadata.labels["app.kubernetes.io/name"] = "portcullis")
    ),
    /selects the pods of 2 workloads/,
  ],
  ["NetworkPolicy", (o) => (o.spec.ingress[0].ports[0].port = "x"), /no container has a port x/],
  ["NetworkPolicy", (o) => delete o.spec.ingress[0].from, /lets everybody in/],
  ["PodDisruptionBudget", (o) => (o.spec.selector.matchLabels = {}), /selects the pods of 0 workloads/],
  ["PeerAuthentication", (o) => (o.spec.portLevelMtls[1] = {}), /no container has a port 1/],
  ["AuthorizationPolicy", (o) => (o.spec.rules[0].to[0].operation.ports = ["8091"]), /no container has a port 8091/],
  ["Sidecar", (o) => (o.spec.ingress[0].defaultEndpoint = "127.0.0.1:8088"), /no container has a port 8088/],
  ["Sidecar", (o) => o.spec.ingress.shift(), /listener internal has a Service and is on loopback/],
  ["HTTPRoute", (o) => (o.spec.rules[0].backendRefs[0].port = 80), /no Service gate-portcullis with a port 80/],
  ["HTTPRoute", (o) => o.spec.rules.push(structuredClone(o.spec.rules[0])), /needs exactly one rule/],
  ["DestinationRule", (o) => (o.spec.host = "other.mcp.svc.cluster.local"), /no Service other/],
  ["ServiceMonitor", (o) => (o.spec.endpoints[0].port = "web"), /with a port web/],
  ["ServiceMonitor", (o) => delete o.spec.selector.matchLabels["portcullis/service"], /selects 2 Services/],
  ["ConfigMap", (o) => (o.metadata.name = "other"), /no ConfigMap gate-portcullis/],
  [
    "ConfigMap",
    (o) => (o.data["portcullis.yaml"] = changed(o, (c) => (c.limits = {}))),
    /config.limits is not what the values say/,
  ],
  [
    "ConfigMap",
    (o) => (o.data["portcullis.yaml"] = changed(o, (c) => (c.surplus = 1))),
    /sections surplus are nobody's/,
  ],
  [
    "ConfigMap",
    (o) => (o.data["portcullis.yaml"] = changed(o, (c) => (c.listeners.internal = "0.0.0.0:8081"))),
    /the internal listener is open/,
  ],
  ["ConfigMap", (o) => (o.data.token = "hunter2-canary"), /a secret is in the rendering/],
  ["ServiceAccount", (o) => (o.kind = "Secret"), /a chart makes no Secrets/],
  ["ServiceAccount", (o, all) => all.push(structuredClone(o)), /there are two of them/],
  ["PeerAuthentication", (o, all) => all.splice(all.indexOf(o), 1), /renders .*, and should .* PeerAuthentication /],
];

/** Only the program finds these. */
const OF_PROGRAMS = [
  [
    "ConfigMap",
    (o) => (o.data["portcullis.yaml"] = changed(o, (c) => (c.listeners.internal_tls = {}))),
    /portcullis check: .*internal_tls/s,
  ],
  [
    "ConfigMap",
    (o) => (o.data["portcullis.yaml"] = changed(o, (c) => (c.store.postgres.directry = "/"))),
    /portcullis check: .*directry/s,
  ],
];

function changed(object, change) {
  const configuration = parse(object.data["portcullis.yaml"]);
  change(configuration);
  return stringify(configuration);
}

const found = (problems, words) =>
  problems.some((one) => words.test(one)) ? [] : [`not found: ${words}; found: ${problems.join("; ") || "nothing"}`];

/** One case for each group: what was not found. */
export async function seededErrors(tools, everything) {
  const values = valuesOf(everything);
  const kinds = header(everything[0], "renders");
  const renderings = [everything, [`${VALUES}/envoy-gateway.yaml`]].map((files) => render(tools, files));

  const schemas = [];
  for (const [kind, change, words] of OF_SCHEMAS) {
    const object = structuredClone(renderings.flatMap(({ objects }) => objects).find((one) => one.kind === kind));
    change(object);
    schemas.push(...found(await problemsOf(object), words));
  }

  const references = [];
  for (const [kind, change, words] of [...OF_RENDERINGS, ...(tools.portcullis ? OF_PROGRAMS : [])]) {
    const objects = structuredClone(renderings[0].objects);
    change(
      objects.findLast((one) => one.kind === kind && !/-(admin|migration)$/.test(one.metadata.name)) ??
        objects.find((one) => one.kind === kind),
      objects,
    );
    const text = JSON.stringify(objects);
    // The program is asked by its own seeds only: it takes a moment each time.
    const asked = OF_PROGRAMS.some(([, , own]) => own === words) ? tools : { ...tools, portcullis: undefined };
    references.push(...found(await chart.problemsOfRendering(asked, { text, objects, values, kinds }), words));
  }

  return [
    { name: `${OF_SCHEMAS.length} errors that schemas have to find`, problems: schemas },
    { name: `${OF_RENDERINGS.length} errors in how objects fit together`, problems: references },
    { name: "errors in files and kustomizations", problems: await ofFiles(tools) },
    { name: "errors in what refuses, and in the README", problems: await ofTheRest(tools) },
    {
      name: "errors in what stands elsewhere too",
      problems: ofAgreement(render(tools, [`${VALUES}/istio.yaml`])),
    },
    { name: "errors in the chart itself", problems: await ofCharts(tools) },
    ...(tools.envoy ? [{ name: "routes that are not closed", problems: await ofClosedRoutes(tools) }] : []),
  ];
}

function ofAgreement(rendering) {
  const after = (kind, change) => {
    const objects = structuredClone(rendering.objects);
    change(objects.find((one) => one.kind === kind));
    return agreement.problemsOfAgreement({ ...rendering, objects });
  };
  return [
    ...found(
      after("HTTPRoute", (o) => o.spec.rules[0].matches.pop()),
      /pages of envoy.yaml and of the route/,
    ),
    ...found(
      after("HTTPRoute", (o) => o.spec.rules[0].filters[0].requestHeaderModifier.remove.pop()),
      /headers that a client cannot set/,
    ),
    ...found(
      after("Deployment", (o) => (podOf(o).containers[0].livenessProbe.httpGet.path = "/healthz")),
      /has no \/healthz/,
    ),
    ...found(
      agreement.problemsOfAgreement({ ...rendering, text: "-----BEGIN PRIVATE KEY-----" }),
      /a key is in the rendering/,
    ),
  ];
}

async function ofCharts(tools) {
  /** The problems of a copy of the chart in which something of one template was replaced. */
  const after = (template, from, to, problems) =>
    within((directory) => {
      const copy = join(directory, "portcullis");
      cpSync(CHART, copy, { recursive: true });
      const file = join(copy, "templates", template);
      const text = readFileSync(file, "utf8");
      if (!text.includes(from)) return [`${template} has no ${from}`];
      writeFileSync(file, text.replaceAll(from, to));
      return problems(tools, copy);
    });
  const { problemsOfChecksum, problemsOfNotes } = agreement;
  return [
    ...found(
      await after("NOTES.txt", "-internal/rule/0", "/rule/0", problemsOfNotes),
      /envoy-gateway: the notes do not say/,
    ),
    ...found(
      await after("services.yaml", "port: 8081,", "port: 8091,", problemsOfNotes),
      /istio: the notes do not say "outbound\|8091/,
    ),
    ...found(
      await after("_config.tpl", '"policies" ', "", problemsOfChecksum),
      /a change that is followed replaces pods/,
    ),
    ...found(
      await after(
        "_config.tpl",
        'omit $config "workspaces"',
        'omit $config "lease_ttl" "workspaces"',
        problemsOfChecksum,
      ),
      /does not replace pods/,
    ),
    ...(tools.portcullis
      ? found(await after("deployment.yaml", "path: /readyz", "path: /ready", problemsOfRunning), /readinessProbe: 404/)
      : []),
  ];
}

async function ofClosedRoutes(tools) {
  const route = (value) => ({ headers: [{ type: "RegularExpression", name: "x-portcullis-never", value }] });
  return [
    ...found(await problemsOfClosedRoute(tools, route("a")), /x-portcullis-never: a gets 200/),
    ...found(await problemsOfClosedRoute(tools, route("[")), /no Envoy/),
    ...found(
      await problemsOfClosedRoute(tools, { path: { type: "PathPrefix", value: "/" } }),
      /not closed by an expression/,
    ),
  ];
}

async function ofFiles(tools) {
  return within(async (directory) => {
    writeFileSync(join(directory, "twice.yaml"), "apiVersion: v1\nkind: Service\nkind: Service\n");
    writeFileSync(
      join(directory, "unknown.yaml"),
      "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndatta: {}\n",
    );
    writeFileSync(join(directory, "other.yaml"), "apiVersion: 1\n");
    const kustomization =
      "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [unknown.yaml]\n";
    writeFileSync(join(directory, "kustomization.yaml"), kustomization);
    const cases = await problemsBelow(directory, tools.kubectl);
    const of = (name) => cases.find((one) => one.name.startsWith(join(directory, name)))?.problems ?? [];
    return [
      ...found(of("twice.yaml"), /unique/),
      ...found(of("unknown.yaml"), /datta is no field/),
      ...(tools.kubectl ? found(of("kustomization.yaml"), /datta is no field/) : []),
      ...(of("other.yaml").length > 0 ? ["a file without objects was looked at"] : []),
    ];
  });
}

function ofTheRest(tools) {
  return within((directory) => {
    const file = join(directory, "values.yaml");
    const refusal = (text) => {
      writeFileSync(file, text);
      return chart.problemsOfRefusal(tools, file);
    };
    const readme = readFileSync(`${CHART}/README.md`, "utf8");
    return [
      ...found(refusal("# refused: anything\nreplicas: 1\n"), /it is rendered/),
      ...found(refusal("# refused: something else\nreplicas: 2\n"), /does not say "something else"/),
      ...found(
        refusal("# refused: replicas\nreplicas: hunter2-canary\nunknown: 1\nlog: ''\nhunter2-canary: 1\n"),
        /repeats a secret/,
      ),
      ...found(agreement.problemsOfReadme(readme.replace(/^\| `replicas` .*\n/m, "")), /replicas is not in the README/),
      ...found(
        agreement.problemsOfReadme(readme.replace("| `replicas` | `1` |", "| `replicas` | `2` |")),
        /the README says 2, and it is 1/,
      ),
      ...found(
        agreement.problemsOfReadme(`${readme}\n| \`surplus\` | – | |\n`),
        /surplus is in the README, and no value/,
      ),
    ];
  });
}
