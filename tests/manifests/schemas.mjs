// What is wrong with a Kubernetes object by the schemas of its kind, unknown fields included.

import { parseAllDocuments } from "yaml";

const GROUPS = [
  [/\.istio\.io$/, "@kubernetes-models/istio"],
  [/^gateway\.networking\.k8s\.io$/, "@kubernetes-models/gateway-api"],
  [/^gateway\.envoyproxy\.io$/, "@kubernetes-models/envoy-gateway"],
  [/^monitoring\.coreos\.com$/, "@kubernetes-models/prometheus-operator"],
  // Kubernetes' own: no group, a word, or a name of theirs.
  [/^([a-z]*|[a-z.]+\.k8s\.io)$/, "kubernetes-models"],
];

/** The objects of a YAML text, read as Kubernetes reads it: YAML 1.1, no key twice. */
export function objectsIn(text) {
  const documents = parseAllDocuments(text, { version: "1.1" });
  for (const document of documents) {
    if (document.errors.length > 0) throw new Error(document.errors[0].message);
  }
  return documents.map((document) => document.toJS()).filter((object) => object !== null);
}

export const nameOf = (object) => `${object.kind}/${object.metadata?.name ?? "?"}`;

async function modelOf(object) {
  const apiVersion = String(object.apiVersion);
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  const [, name] = GROUPS.find(([pattern]) => pattern.test(group)) ?? [];
  if (name === undefined) return undefined;
  try {
    return (await import(`${name}/${apiVersion}/${object.kind}`))[object.kind];
  } catch (error) {
    if (["ERR_PACKAGE_PATH_NOT_EXPORTED", "ERR_MODULE_NOT_FOUND"].includes(error.code)) return undefined;
    throw error;
  }
}

/**
 * The packages hold validators that were compiled from the schemas, and such a validator passes over what it does not
 * know, as an API server does when it prunes. But it asks for every field that it does know. So it is shown something that
 * notes what it asks for: a field that is there and was never asked for is unknown.
 */
function watched(value, path, objects) {
  if (typeof value !== "object" || value === null) return value;
  const asked = new Set();
  const inner = new Map();
  objects.push({ value, path, asked });
  return new Proxy(value, {
    get(target, key) {
      asked.add(key);
      if (typeof key === "symbol" || !Object.hasOwn(target, key)) return Reflect.get(target, key);
      if (!inner.has(key)) inner.set(key, watched(target[key], `${path}/${key}`, objects));
      return inner.get(key);
    },
  });
}

function unknownFields(objects) {
  return (
    objects
      .filter(({ value }) => !Array.isArray(value))
      // Nothing asked at all: a place where anything may stand.
      .filter(({ asked }) => [...asked].some((key) => typeof key === "string"))
      .flatMap(({ value, path, asked }) =>
        Object.keys(value)
          .filter((key) => !asked.has(key))
          .map((key) => `${path}/${key}`),
      )
  );
}

/** What a TrafficExtension says besides the module, for which it has what a WasmPlugin has. */
const AROUND_WASM = ["selector", "targetRefs", "phase", "priority", "match"];

/**
 * No package has the schema of Istio's TrafficExtension yet. What it has under `wasm` is what a WasmPlugin has beside the
 * fields that both have, so it is judged as one.
 */
async function problemsOfTrafficExtension({ spec: { wasm, ...around }, ...object }) {
  const name = nameOf(object);
  if (wasm === undefined) return [`${name}: /spec/wasm is required`];
  const unknown = Object.keys(around).filter((key) => !AROUND_WASM.includes(key));
  const misplaced = AROUND_WASM.filter((key) => key in wasm);
  const plugin = { ...object, kind: "WasmPlugin", spec: { ...wasm, ...around } };
  return [
    ...unknown.map((key) => `${name}: /spec/${key} is no field of this kind`),
    ...misplaced.map((key) => `${name}: /spec/wasm/${key} is no field of this kind`),
    ...(await problemsOf(plugin)).map((problem) => problem.replace(nameOf(plugin), name)),
  ];
}

/** What is wrong with an object, as sentences. */
export async function problemsOf(object) {
  if (object.kind === "TrafficExtension" && object.apiVersion === "extensions.istio.io/v1alpha1")
    return problemsOfTrafficExtension(object);
  const model = await modelOf(object);
  if (model === undefined) return [`${nameOf(object)}: no schema of ${object.apiVersion} ${object.kind} is known here`];
  const objects = [];
  const problems = [];
  try {
    model.prototype.validate.call(watched(object, "", objects));
  } catch (error) {
    if (!Array.isArray(error.errors)) throw error;
    problems.push(...error.errors.map((one) => `${one.instancePath || "/"} ${one.message}`));
  }
  problems.push(...unknownFields(objects).map((path) => `${path} is no field of this kind`));
  return problems.map((problem) => `${nameOf(object)}: ${problem}`);
}
