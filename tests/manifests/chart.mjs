// What the chart renders to: whether it agrees with itself, with its values and with the program.

import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { CANARY, CHART, DERIVED, VALUES, header, helm, read, render, valuesOf, withValues } from "./helm.mjs";
import { problemsByTheProgram } from "./program.mjs";
import { problemsAmong } from "./references.mjs";
import { problemsOf } from "./schemas.mjs";

/** Keys of portcullis.yaml that name files. */
const FILES = ["file", "admin_token_file", "certificate", "client_ca", "trusted_ca", "jwks_file", "ca"];

/** A case that has to render. `files` are laid over each other; the first one says what is rendered. */
export async function problemsOfCase(tools, files) {
  const { status, stdout, stderr } = helm(tools, [
    "lint",
    "--strict",
    CHART,
    "--namespace",
    "mcp",
    ...withValues(files),
  ]);
  if (status !== 0) return [`helm lint: ${stdout}${stderr}`];
  const { refusal, text, objects } = render(tools, files);
  if (refusal !== undefined) return [`refused: ${refusal}`];
  return problemsOfRendering(tools, { text, objects, values: valuesOf(files), kinds: header(files[0], "renders") });
}

export async function problemsOfRendering(tools, { text, objects, values, kinds }) {
  const problems = (await Promise.all(objects.map(problemsOf))).flat();
  const rendered = objects
    .map((object) => object.kind)
    .sort()
    .join(" ");
  if (rendered !== kinds) problems.push(`renders ${rendered}, and should ${kinds}`);
  const external = [
    values.serviceAccount.name,
    values.database.sqlite.existingClaim,
    ...values.configMaps.map((one) => one.name),
  ];
  problems.push(...problemsAmong(objects, external));
  problems.push(...problemsOfSecrets(text, objects, values));
  problems.push(...problemsOfGrace(objects));
  for (const workload of objects.filter((object) => ["Deployment", "Job"].includes(object.kind))) {
    const own = await problemsOfConfiguration(tools, objects, workload, values);
    problems.push(...own.map((one) => `${workload.kind}: ${one}`));
  }
  return problems;
}

/** Everything at any depth that `pick` makes something of. */
function collect(value, pick) {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [...pick(key, inner, value), ...collect(inner, pick)]);
}

/** The Secrets that the values name are the Secrets that the objects refer to. */
function problemsOfSecrets(text, objects, values) {
  const named = new Set([
    ...collect(values, (key, value) => {
      if (["existingSecret", "clientCertificateSecret"].includes(key)) return [value];
      if (["urlSecret", "passwordSecret", "secretKeyRef"].includes(key)) return [value.name];
      return ["secrets", "pullSecrets"].includes(key) ? value.map((one) => one.name) : [];
    }),
  ]);
  named.delete("");
  const used = new Set(
    collect(objects, (key, value, parent) => {
      if (key === "kind" && value === "Secret") return [parent.name];
      if (["secret", "secretKeyRef"].includes(key)) return [value.name];
      if (key === "credentialName") return [value];
      return key === "imagePullSecrets" ? value.map((one) => one.name) : [];
    }),
  );
  return [
    ...[...named].filter((name) => !used.has(name)).map((name) => `the Secret ${name} of the values is used nowhere`),
    ...[...used].filter((name) => !named.has(name)).map((name) => `the Secret ${name} is used, and no value names it`),
    ...(text.includes(CANARY) ? ["a secret is in the rendering"] : []),
  ];
}

/** A pod that is stopped is given as long as the program takes, by its own constants. */
function problemsOfGrace(objects) {
  const program = read("token-service/src/app.rs");
  const seconds = (name) =>
    Number(program.match(new RegExp(`const ${name}: Duration = Duration::from_secs\\((\\d+)\\)`))[1]);
  return objects
    .filter((object) => object.kind === "Deployment")
    .flatMap((deployment) => {
      const pod = deployment.spec.template.spec;
      const needed = pod.containers[0].lifecycle.preStop.sleep.seconds + seconds("DRAIN") + seconds("RENEWALS");
      return pod.terminationGracePeriodSeconds > needed
        ? []
        : [`it is killed after ${pod.terminationGracePeriodSeconds} s, and needs ${needed} s`];
    });
}

async function problemsOfConfiguration(tools, objects, workload, values) {
  const pod = workload.spec.template.spec;
  const container = pod.containers[0];
  const volume = pod.volumes.find((one) => one.name === "config");
  const sources = volume.projected.sources.map((source) => source.configMap ?? source.secret);
  const text = objects.find((object) => object.kind === "ConfigMap" && object.metadata.name === sources[0].name)?.data[
    "portcullis.yaml"
  ];
  if (text === undefined) return ["it has no configuration"];
  const configuration = parse(text);
  const problems = [];

  for (const [section, value] of Object.entries(values.config)) {
    if (!isDeepStrictEqual(configuration[section], value))
      problems.push(`config.${section} is not what the values say`);
  }
  const own = Object.keys(configuration).filter((section) => !(section in values.config) && !DERIVED.includes(section));
  if (own.length > 0) problems.push(`the sections ${own} are nobody's`);
  if (workload.kind === "Deployment")
    problems.push(...problemsOfListeners(objects, container, configuration.listeners));

  const files = sources.slice(1).flatMap((source) => source.items.map((item) => item.path));
  const unused = files.filter((path) => !text.includes(path));
  if (unused.length > 0) problems.push(`the configuration names none of the files ${unused}`);
  const named = collect(configuration, (key, value) =>
    FILES.includes(key) && typeof value === "string" ? [value] : [],
  );
  const missing = named.filter((path) => !path.startsWith("/") && !files.includes(path));
  if (missing.length > 0) problems.push(`the configuration names ${missing}, and the pod has no such file`);
  if (!container.args.includes("--config=/etc/portcullis/portcullis.yaml"))
    problems.push("it is started without its configuration");
  if (tools.portcullis !== undefined)
    problems.push(...(await problemsByTheProgram(tools, text, files, container.env ?? [])));
  return problems;
}

/** Every listener has its port, and loopback is only where a proxy in the pod takes over, or nobody but port-forwarding. */
function problemsOfListeners(objects, container, listeners) {
  const problems = [];
  const behind = objects
    .filter((object) => object.kind === "Sidecar")
    .flatMap((one) => one.spec.ingress)
    .map((one) => one.defaultEndpoint);
  for (const name of ["internal", "admin", "public", "metrics"]) {
    const port = container.ports.find((one) => one.name === name)?.containerPort;
    const address = listeners[name];
    if (String(port) !== String(address?.split(":").at(-1)))
      problems.push(`listener ${name} is at ${address}, the port at ${port}`);
    const served = objects.some((one) => one.kind === "Service" && one.spec.ports.some((p) => p.targetPort === name));
    const isLoopback = address?.startsWith("127.0.0.1:");
    if (served && isLoopback && !behind.includes(address))
      problems.push(`listener ${name} has a Service and is on loopback`);
    if (!served && address !== undefined && !isLoopback)
      problems.push(`listener ${name} has no Service, and others reach it`);
  }
  if (!listeners.internal.startsWith("127.0.0.1:") && listeners.internal_tls === undefined)
    problems.push("the internal listener is open");
  return problems;
}

/** A case that has to be refused, in the words of its first line and without what may be a secret. */
export function problemsOfRefusal(tools, file) {
  const words = header(file, "refused");
  const { refusal } = render(tools, [`${VALUES}/minimal.yaml`, file]);
  if (refusal === undefined) return ["it is rendered"];
  if (refusal.includes(CANARY)) return ["the refusal repeats a secret"];
  return refusal.includes(words) ? [] : [`the refusal does not say "${words}": ${refusal}`];
}

/** Without any values it says what is missing, and with one what is missing then, until nothing is. */
export function problemsOfDefaults(tools) {
  const { refusal } = render(tools, []);
  return refusal?.includes("publicUrl is missing") ? [] : [`without values: ${refusal ?? "it is rendered"}`];
}
