// Every reason by which the filter refuses is on the page of symptoms, and nothing that no filter says.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { read } from "./helm.mjs";

const SOURCES = ["filter/core/src", "filter/src"];
const PAGE = "envoy/TROUBLESHOOTING.md";

/** What makes a refusal, with the reason as one of its arguments. */
const OWN = "Self::(?:error|with_body|unavailable|new|invalid_request)";
const MAKERS = new RegExp(`(?<!fn )\\b(?:LocalReply::\\w+|${OWN}|Fault::\\w+|unavailable|limited|self\\.reply)\\(`, "g");
const WORD = /"([a-z]+(?:_[a-z]+)*)"/g;
/** The key under which a reason stands in JSON. */
const NO_REASON = "reason";

export function problemsOfTroubleshooting(page = read(PAGE), code = coreText()) {
  const said = reasonsIn(code);
  const told = new Set([...page.matchAll(/`portcullis_([a-z_]+)`/g)].map(([, reason]) => reason));
  return [
    ...[...said].filter((reason) => !told.has(reason)).map((reason) => `portcullis_${reason} is not in ${PAGE}`),
    ...[...told].filter((reason) => !said.has(reason)).map((reason) => `no filter says portcullis_${reason}`),
  ];
}

/** Of all files, without their tests. */
export const coreText = () =>
  SOURCES.flatMap(rustBelow)
    .map((path) => read(path).split("#[cfg(test)]")[0])
    .join("\n");

const rustBelow = (directory) =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return rustBelow(path);
    return path.endsWith(".rs") ? [path] : [];
  });

export function reasonsIn(code) {
  const arguments_ = [...code.matchAll(MAKERS)].map((found) => argumentsFrom(code, found.index + found[0].length));
  // What names the reason of a kind of fault, and of an answer that is passed on.
  const named = [...code.matchAll(/fn (?:reason|relayed_as)\(.*?\n    \}/gs)].map(([body]) => body);
  const classes = [...code.matchAll(/\(code::\w+, ("[a-z_]+"), /g)].map(([, word]) => word);
  const details = [...code.matchAll(/details: "portcullis_([a-z_]+)"/g)].map(([, word]) => `"${word}"`);
  const texts = [...arguments_, ...named, ...classes, ...details];
  const words = texts.flatMap((text) => [...text.matchAll(WORD)].map(([, word]) => word));
  return new Set(words.filter((word) => word !== NO_REASON));
}

/** As far as the parenthesis that closes what was opened before `start`, without what stands in inner calls' texts. */
function argumentsFrom(code, start) {
  let depth = 1;
  let end = start;
  let inText = false;
  for (; depth > 0 && end < code.length; end += 1) {
    const character = code[end];
    if (character === '"' && code[end - 1] !== "\\") inText = !inText;
    if (!inText && character === "(") depth += 1;
    if (!inText && character === ")") depth -= 1;
  }
  return code.slice(start, end);
}
