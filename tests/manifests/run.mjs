// `make manifests`: the chart, and every other Kubernetes object below envoy/. One line for each case; README.md says what
// is looked at. Run at the top of the repository.

import { appendFileSync, existsSync } from "node:fs";
import { basename, join } from "node:path";
import * as agreement from "./agreement.mjs";
import * as chart from "./chart.mjs";
import { problemsOfClosedRoute } from "./closed_route.mjs";
import { problemsBelow } from "./files.mjs";
import { VALUES, caseFiles, exampleValues, refusedFiles, render, within } from "./helm.mjs";
import * as mesh from "./mesh.mjs";
import { seededErrorsOfMeshes } from "./mesh_self_test.mjs";
import { problemsOfRunning } from "./program.mjs";
import * as rendered from "./rendered.mjs";
import { seededErrors } from "./self_test.mjs";
import { problemsOfTroubleshooting } from "./troubleshooting.mjs";

/** What is named is taken, whether it is there or not: to pass it over in silence would check nothing. */
const tool = (named, usual) => named || (existsSync(usual) ? usual : undefined);
const tools = {
  helm: tool(process.env.HELM, "target/tools/bin/helm"),
  kubectl: tool(process.env.KUBECTL, "target/tools/bin/kubectl"),
  portcullis: tool(process.env.PORTCULLIS_BIN, "target/debug/portcullis"),
  envoy: tool(process.env.ENVOY, "target/tools/bin/envoy"),
  wasm: tool(process.env.PORTCULLIS_WASM, "target/wasm32-wasip1/release/portcullis_filter.wasm"),
};

let failed = 0;
function say(name, problems) {
  console.log(`${problems.length === 0 ? "ok    " : "FAILED"} ${name}`);
  for (const problem of problems) console.log(`         ${problem.trim().replaceAll("\n", "\n         ")}`);
  failed += problems.length > 0;
}

function skip(what, why) {
  const line = `${what}: ${why}`;
  if (process.env.REQUIRE_ALL === "1") return say(what, [why]);
  console.log(`SKIPPED ${line}`);
  if (process.env.PORTCULLIS_SKIPPED) appendFileSync(process.env.PORTCULLIS_SKIPPED, `${line}\n`);
}

async function theChart() {
  await within(async (scratch) => {
    const example = join(scratch, "example.yaml");
    exampleValues(example);
    say("chart, without values", chart.problemsOfDefaults(tools));
    for (const file of caseFiles()) {
      const name = basename(file, ".yaml");
      say(`chart, ${name}`, await chart.problemsOfCase(tools, name === "everything" ? [file, example] : [file]));
    }
    for (const file of refusedFiles()) {
      say(`chart, refused: ${basename(file, ".yaml")}`, chart.problemsOfRefusal(tools, file));
    }
    say("chart, what replaces pods", await agreement.problemsOfChecksum(tools));
    say("chart, notes after an installation", agreement.problemsOfNotes(tools));
    say(
      "chart, names that stand elsewhere too",
      agreement.problemsOfAgreement(render(tools, [`${VALUES}/istio.yaml`])),
    );
    say("chart, the README's table of values", agreement.problemsOfReadme());
    const seeds = await seededErrors(tools, [caseFiles().find((file) => file.endsWith("everything.yaml")), example]);
    for (const { name, problems } of seeds) say(`seeded: ${name}`, problems);
    if (tools.envoy === undefined) skip("the closed route in a real Envoy", "no Envoy; ENVOY=path");
    else say("chart, the internal listener's route in a real Envoy", await problemsOfClosedRoute(tools));
    if (tools.portcullis === undefined) {
      skip(
        "rendered configurations read by the program",
        "no portcullis; cargo build --workspace, or PORTCULLIS_BIN=path",
      );
    } else {
      say("chart, the program on it answers its probes and stops", await problemsOfRunning(tools));
    }
  });
}

/** The filter in plain Envoys and in meshes. */
async function theFilter() {
  say("the filter, what stands in several places", mesh.problemsOfAgreement());
  say("the filter's refusals, and the page of symptoms", problemsOfTroubleshooting());
  if (tools.kubectl !== undefined) say("the filter, once in every overlay", mesh.problemsOfNames(tools));
  if (tools.helm !== undefined) say("the chart's routes, as tests have them", mesh.problemsOfChartRoutes(tools));
  const loads = tools.envoy !== undefined && existsSync(tools.wasm ?? "");
  if (loads) say("the filter, in a real Envoy", await mesh.problemsOfEnvoy(tools));
  else skip("the filter in a real Envoy", "no Envoy or no filter; make wasm, ENVOY=path, PORTCULLIS_WASM=path");
  const analyze = mesh.systemd();
  if (analyze === undefined) skip("units of systemd", "no systemd-analyze");
  else say("units of systemd", await mesh.problemsOfUnits(analyze));
  for (const { name, problems } of await seededErrorsOfMeshes({ ...tools, analyze }, loads)) say(`seeded: ${name}`, problems);
}

if (tools.kubectl === undefined) skip("kustomizations", "no kubectl; KUBECTL=path");
for (const { name, problems } of await problemsBelow("envoy", tools.kubectl)) say(name, problems);
await theFilter();
if (tools.portcullis === undefined) {
  skip("renderings of the registry", "no portcullis; cargo build --workspace, or PORTCULLIS_BIN=path");
} else {
  for (const name of Object.keys(rendered.RENDERINGS))
    say(`rendered, ${name}`, await rendered.problemsOfRendering(tools, name));
  say("seeded: errors in renderings", rendered.notFound(tools));
  if (tools.envoy === undefined) skip("renderings in a real Envoy", "no Envoy; ENVOY=path");
  else say("rendered, in a real Envoy", await rendered.problemsOfEnvoy(tools));
}
if (tools.helm === undefined) skip("the Helm chart", "no helm; HELM=path");
else await theChart();
process.exitCode = failed > 0 ? 1 : 0;
