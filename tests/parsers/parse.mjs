// Reads documents as Node does, and says what they mean. See README.md for how it is asked.

import { readSync, writeSync } from "node:fs";

const absent = Symbol("absent");

const text = (value) => "s" + Buffer.from(value, "utf8").toString("hex");

function number(value) {
  const bytes = Buffer.alloc(8);
  // Adding zero makes one of the two zeros.
  bytes.writeDoubleBE(value + 0);
  return "d" + bytes.toString("hex");
}

function canonical(value) {
  if (value === null) return "n";
  if (value === true) return "t";
  if (value === false) return "f";
  if (typeof value === "string") return text(value);
  if (typeof value === "number") return number(value);
  if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
  const members = Object.entries(value).map(([key, member]) => `${text(key)}:${canonical(member)}`);
  return "{" + members.sort().join(",") + "}";
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const member = (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : absent);
const shown = (value) => (value === absent ? "-" : canonical(value));

function reading(document) {
  try {
    const root = JSON.parse(document.toString("utf8"));
    const params = member(root, "params");
    const parts = ["name", "uri", "arguments"].map((key) => member(params, key));
    return [member(root, "method"), ...parts, root].map(shown).join(" ");
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return "refused";
    throw error;
  }
}

function fill(buffer) {
  let at = 0;
  while (at < buffer.length) {
    const read = readSync(0, buffer, at, buffer.length - at, null);
    if (read === 0) return false;
    at += read;
  }
  return true;
}

function put(answers) {
  const bytes = Buffer.from(answers);
  for (let at = 0; at < bytes.length; at += writeSync(1, bytes, at));
}

const head = Buffer.alloc(4);
let answers = [];
while (fill(head)) {
  const length = head.readUInt32BE();
  if (length === 0) {
    put(answers.join(""));
    answers = [];
    continue;
  }
  const document = Buffer.alloc(length);
  if (!fill(document)) break;
  answers.push(reading(document) + "\n");
}
