// Writes what the chart renders of routes into chart-istio.yaml and chart-envoy-gateway.yaml, so that tests have it without
// helm: `HELM=path node tests/mesh/chart.mjs`, at the top of the repository. `make manifests` sees when it is no longer so.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { stringify } from "yaml";
import { CHART, VALUES, helm, withValues } from "../manifests/helm.mjs";
import { objectsIn } from "../manifests/schemas.mjs";

/** The namespace of the Gateway, where each integration is. */
const GATEWAYS = { istio: "istio-ingress", "envoy-gateway": "gateways" };
export const INTEGRATIONS = Object.keys(GATEWAYS);

/** The chart's HTTPRoutes, for a release `portcullis` in a namespace of that name. */
export function routesOfChart(tools, integration) {
  const release = ["template", "portcullis", CHART, "--namespace", "portcullis"];
  const values = withValues([`${VALUES}/${integration}.yaml`]);
  const gateway = ["--set", `gateway.namespace=${GATEWAYS[integration]}`];
  const { status, stdout, stderr } = helm(tools, [...release, ...values, ...gateway]);
  if (status !== 0) throw new Error(stderr);
  const routes = objectsIn(stdout).filter((object) => object.kind === "HTTPRoute");
  // Said by Helm when it installs, not in the rendering.
  for (const { metadata } of routes) metadata.namespace = "portcullis";
  return routes;
}

export const fileOf = (integration) => `tests/mesh/chart-${integration}.yaml`;
export const written = (integration) => objectsIn(readFileSync(fileOf(integration), "utf8"));

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const integration of INTEGRATIONS) {
    const routes = routesOfChart({ helm: process.env.HELM ?? "target/tools/bin/helm" }, integration);
    const head = "# Written by chart.mjs: the routes that the chart renders.\n";
    writeFileSync(fileOf(integration), head + routes.map((route) => stringify(route)).join("---\n"));
  }
}
