// helm, value files, and what they come to.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { objectsIn } from "./schemas.mjs";

export const CHART = "envoy/charts/portcullis";
export const VALUES = "tests/manifests/values";
/** Stands in every Secret that a pod is given here, and is found nowhere else. */
export const CANARY = "hunter2-canary";
/** What the chart does not take from `config`. */
export const DERIVED = ["public_url", "admin_url", "listeners", "store", "root_key", "admin_token_file"];

export const read = (path) => readFileSync(path, "utf8");

/** Does something in a directory that is gone afterwards. */
export async function within(work) {
  const path = mkdtempSync(join(tmpdir(), "manifests-"));
  try {
    return await work(path);
  } finally {
    rmSync(path, { recursive: true });
  }
}

export const helm = (tools, args) =>
  spawnSync(tools.helm, args, { encoding: "utf8", env: { PATH: "/nowhere", HOME: tmpdir() } });
export const withValues = (files) => files.flatMap((file) => ["--values", file]);

/** Objects by their place in the rendering, or `refusal`: what helm said. */
export function render(tools, files, chart = CHART) {
  const { status, stdout, stderr } = helm(tools, [
    "template",
    "gate",
    chart,
    "--namespace",
    "mcp",
    ...withValues(files),
  ]);
  return status === 0 ? { text: stdout, objects: objectsIn(stdout) } : { refusal: stderr };
}

export const caseFiles = () => yamlFiles(VALUES);
export const refusedFiles = () => yamlFiles(`${VALUES}/refused`);
const yamlFiles = (directory) =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => `${directory}/${name}`);

export const header = (file, word) => read(file).match(new RegExp(`^# ${word}: (.*)$`, "m"))?.[1];

/** As helm takes them. */
export const valuesOf = (files) =>
  files.map((file) => parse(read(file))).reduce(laidOver, parse(read(`${CHART}/values.yaml`)));

function laidOver(below, above) {
  if (![below, above].every((value) => typeof value === "object" && value !== null && !Array.isArray(value)))
    return above;
  const result = { ...below };
  for (const [key, value] of Object.entries(above)) result[key] = key in below ? laidOver(below[key], value) : value;
  return result;
}

/** The example of the token-service as `config`, so that every section is seen to go through; and the files that it needs. */
export function exampleValues(file) {
  const example = parse(read("token-service/portcullis.example.yaml"));
  for (const section of DERIVED) delete example[section];
  const text = stringify(example).replaceAll(/secrets\/(linear|login|crm)-(authorization|client)/g, "secrets/$1/$2");
  writeFileSync(file, stringify({ config: parse(text) }));
}
