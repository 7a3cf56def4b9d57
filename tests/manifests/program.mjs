// The program on what the chart renders.

import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { CANARY, CHART, VALUES, render, within } from "./helm.mjs";

/** Lays out what the pod would have, and has the program read it. */
export function problemsByTheProgram(tools, text, files, environment) {
  return within((directory) => {
    layOut(directory, text, files);
    const { status, stdout, stderr } = spawnSync(
      tools.portcullis,
      ["check", "--config", join(directory, "portcullis.yaml")],
      {
        encoding: "utf8",
        env: Object.fromEntries(
          environment.map(({ name, value }) => [name, value ?? `${CANARY}-${name}-of-some-length`]),
        ),
      },
    );
    if (status !== 0) return [`portcullis check: ${stderr}`];
    return `${stdout}${stderr}`.includes(CANARY) ? ["portcullis check prints a secret"] : [];
  });
}

function layOut(directory, text, files) {
  const contents = {
    "root.key": randomBytes(32).toString("base64"),
    "admin-token": `pca_${randomBytes(32).toString("hex")}`,
    "database-url": `postgres://portcullis:${CANARY}@db.example.com/portcullis`,
  };
  for (const path of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), contents[path] ?? `Bearer ${CANARY}`, { mode: 0o600 });
  }
  writeFileSync(join(directory, "portcullis.yaml"), text);
}

export const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** Starts the program on what the chart renders, asks what the kubelet asks, and stops it as the kubelet does. */
export async function problemsOfRunning(tools, chart = CHART) {
  return within(async (directory) => {
    const file = join(directory, "values.yaml");
    writeFileSync(file, "replicas: 1\ndatabase: { postgres: { url: '', passwordSecret: { name: '', key: '' } } }\n");
    const { objects } = render(tools, [`${VALUES}/istio.yaml`, file], chart);
    const { data } = objects.find((object) => object.kind === "ConfigMap");
    const container = objects.find((object) => object.kind === "Deployment").spec.template.spec.containers[0];
    const configuration = parse(data["portcullis.yaml"]);
    configuration.store.sqlite = join(directory, "portcullis.db");
    const ports = {};
    for (const name of ["internal", "admin", "public", "metrics"]) {
      ports[name] = await freePort();
      configuration.listeners[name] = `127.0.0.1:${ports[name]}`;
    }
    layOut(directory, stringify(configuration), ["root.key", "admin-token"]);
    const args = container.args.map((one) => one.replace("/etc/portcullis", directory));
    const program = spawn(tools.portcullis, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PORTCULLIS_LOG: "info" },
    });
    let log = "";
    program.stderr.on("data", (chunk) => (log += chunk));
    const ended = new Promise((resolve) => program.on("exit", (code, signal) => resolve({ code, signal })));
    const problems = [];
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"]) {
      const { path, port } = container[probe].httpGet;
      const status = await statusOf(`http://127.0.0.1:${ports[port]}${path}`);
      if (status !== 200) problems.push(`${probe}: ${status}\n${log}`);
    }
    if ((await statusOf(`http://127.0.0.1:${ports.metrics}/metrics`)) !== 200) problems.push("no metrics");
    program.kill("SIGTERM");
    const { code, signal } = await ended;
    if (code !== 0) problems.push(`it ended with ${code ?? signal}\n${log}`);
    return problems;
  });
}

/** As soon as there is an answer, for half a minute. */
async function statusOf(url) {
  const until = Date.now() + 30_000;
  for (;;) {
    try {
      return (await fetch(url)).status;
    } catch (error) {
      if (Date.now() > until) return error.cause?.code ?? String(error);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
