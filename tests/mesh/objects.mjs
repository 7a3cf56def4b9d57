// The objects below envoy/istio or envoy/envoy-gateway, for a place where a test runs: with the names that it uses.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { objectsIn } from "../manifests/schemas.mjs";

/** In the objects, and in place of which a test has its own. */
export const PUBLIC_URL = "https://mcp.example.com";
const EXAMPLE_SERVER = "mcp.linear.app";

/** The objects of a kustomization whose resources are files. */
export function objectsOf(directory) {
  const { resources } = parse(readFileSync(join(directory, "kustomization.yaml"), "utf8"));
  return resources.flatMap((file) => objectsIn(readFileSync(join(directory, file), "utf8")));
}

export const objectsInFile = (file) => objectsIn(readFileSync(file, "utf8"));

/**
 * With the gateway's name in place of that of the objects.
 * `publicUrl`: scheme, host and port by which agents call it.
 */
export function called(objects, publicUrl) {
  const host = new URL(publicUrl).hostname;
  return replaced(objects, [
    [PUBLIC_URL, publicUrl],
    [new URL(PUBLIC_URL).hostname, host],
  ]);
}

/** The objects of the example for one server, for another one that speaks plain HTTP. `upstream`: host and port. */
export function forServer(objects, upstream) {
  const [host, port] = upstream.split(":");
  const objectsThere = replaced(objects, [
    [EXAMPLE_SERVER, host],
    ["value: tls", "value: plain"],
    [/\b443\b/g, port],
  ]);
  for (const object of objectsThere) if (object.kind === "DestinationRule") delete object.spec.trafficPolicy.tls;
  return objectsThere.filter((object) => object.kind !== "BackendTLSPolicy");
}

function replaced(objects, pairs) {
  const text = pairs.reduce((text, [from, to]) => text.replaceAll(from, to), stringify(objects));
  return parse(text);
}

export const of = (objects, kind) => objects.filter((object) => object.kind === kind);

/** Exactly one, or an error that says what is missing. */
export function only(objects, kind, name) {
  const found = of(objects, kind).filter((object) => name === undefined || object.metadata.name === name);
  if (found.length !== 1) throw new Error(`${found.length} objects ${kind} ${name ?? ""}, and there should be one`);
  return found[0];
}
