// The route by which Envoy Gateway makes a cluster of the internal listener, in a real Envoy: no request may match it.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { stringify } from "yaml";
import { VALUES, render, within } from "./helm.mjs";
import { freePort } from "./program.mjs";

/** `match`: of an HTTPRoute's rule. Translated as Envoy Gateway does: an expression has to match a header's whole value. */
export async function problemsOfClosedRoute(tools, match = closedMatch(tools)) {
  if (match.headers?.length !== 1 || match.headers[0].type !== "RegularExpression")
    return ["it is not closed by an expression"];
  const [{ name, value: regex }] = match.headers;
  return within(async (directory) => {
    const port = await freePort();
    const file = join(directory, "envoy.yaml");
    writeFileSync(
      file,
      stringify(bootstrap(port, { prefix: "/", headers: [{ name, string_match: { safe_regex: { regex } } }] })),
    );
    const envoy = spawn(tools.envoy, ["-c", file, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    envoy.stderr.on("data", (chunk) => (log += chunk));
    const ended = new Promise((resolve) => envoy.on("exit", resolve));
    try {
      const values = [undefined, "", " ", "a", "x,y", regex, name, "\u00ff\u0080", "a".repeat(5000), ["a", "b"]];
      const statuses = [];
      for (const value of values)
        statuses.push(await statusOf(port, value === undefined ? {} : { [name]: value }, envoy));
      const reached = values.filter((_, index) => statuses[index] !== 404);
      return reached.map((value) => `a request with ${name}: ${value} gets ${statuses[values.indexOf(value)]}\n${log}`);
    } finally {
      envoy.kill();
      await ended;
    }
  });
}

function closedMatch(tools) {
  const { objects } = render(tools, [`${VALUES}/envoy-gateway.yaml`]);
  const route = objects.find((object) => object.kind === "HTTPRoute" && object.metadata.name.endsWith("-internal"));
  return route.spec.rules[0].matches.length === 1 ? route.spec.rules[0].matches[0] : {};
}

function bootstrap(port, match) {
  const http = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "closed",
    http_filters: [
      {
        name: "router",
        typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    ],
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: [
            { match, direct_response: { status: 200 } },
            { match: { prefix: "/" }, direct_response: { status: 404 } },
          ],
        },
      ],
    },
  };
  const address = { socket_address: { address: "127.0.0.1", port_value: port } };
  const filters = [{ name: "http", typed_config: http }];
  return { static_resources: { listeners: [{ name: "closed", address, filter_chains: [{ filters }] }] } };
}

/** As soon as Envoy listens. */
async function statusOf(port, headers, envoy) {
  for (;;) {
    const status = await new Promise((resolve, reject) => {
      const asked = request(
        { port, host: "127.0.0.1", headers },
        (answer) => answer.resume() && resolve(answer.statusCode),
      );
      asked.on("error", (error) => (error.code === "ECONNREFUSED" ? resolve(undefined) : reject(error)));
      asked.end();
    });
    if (status !== undefined || envoy.exitCode !== null) return status ?? "no Envoy";
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
