// Kubernetes objects in files, and what kustomizations make of them.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { stringify } from "yaml";
import { objectsIn, problemsOf } from "./schemas.mjs";

/** Charts are left out: their templates are rendered, not read. */
function* yamlBelow(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && entry.name !== "charts") yield* yamlBelow(path);
    else if (entry.isFile() && /\.ya?ml$/.test(entry.name)) yield path;
  }
}

async function problemsIn(text) {
  try {
    return (await Promise.all(objectsIn(text).map(problemsOf))).flat();
  } catch (error) {
    return [error.message];
  }
}

/** `built`: the objects as text, or `refusal`. */
export function build(directory, kubectl) {
  const { status, stdout, stderr } = spawnSync(kubectl, ["kustomize", directory], { encoding: "utf8" });
  return status === 0 ? { built: stdout } : { refusal: stderr };
}

/** A component changes what is there already, so it is laid over the base beside it. */
export function buildOverBase(component, kubectl) {
  const directory = mkdtempSync(join(tmpdir(), "component-"));
  const from = (path) => relative(directory, path);
  const resources = [from(join(component, "../../base"))];
  const kustomization = { resources, components: [from(component)] };
  try {
    writeFileSync(join(directory, "kustomization.yaml"), stringify(kustomization));
    return build(directory, kubectl);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** What is wrong with each file that has objects, and with what each kustomization builds. */
export async function problemsBelow(directory, kubectl) {
  const cases = [];
  for (const path of [...yamlBelow(directory)].sort()) {
    const text = readFileSync(path, "utf8");
    if (/^kustomization\.ya?ml$/.test(basename(path))) {
      if (kubectl === undefined) continue;
      const isComponent = /^kind: Component$/m.test(text);
      const { built, refusal } = isComponent ? buildOverBase(dirname(path), kubectl) : build(dirname(path), kubectl);
      cases.push({ name: `${path}, built`, problems: refusal === undefined ? await problemsIn(built) : [refusal] });
    } else if (/^apiVersion:/m.test(text) && /^kind:/m.test(text)) {
      cases.push({ name: path, problems: await problemsIn(text) });
    }
  }
  return cases;
}
