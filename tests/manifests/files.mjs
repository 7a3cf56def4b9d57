// Kubernetes objects in files, and what kustomizations make of them.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
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

/** What is wrong with each file that has objects, and with what each kustomization builds. */
export async function problemsBelow(directory, kubectl) {
  const cases = [];
  for (const path of [...yamlBelow(directory)].sort()) {
    const text = readFileSync(path, "utf8");
    if (/^kustomization\.ya?ml$/.test(basename(path))) {
      if (kubectl === undefined) continue;
      const { status, stdout, stderr } = spawnSync(kubectl, ["kustomize", join(path, "..")], { encoding: "utf8" });
      cases.push({ name: `${path}, built`, problems: status === 0 ? await problemsIn(stdout) : [stderr] });
    } else if (/^apiVersion:/m.test(text) && /^kind:/m.test(text)) {
      cases.push({ name: path, problems: await problemsIn(text) });
    }
  }
  return cases;
}
