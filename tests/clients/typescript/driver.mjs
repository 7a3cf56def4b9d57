// What both TypeScript drivers do: read the job, use the client, print the report.
import { createInterface } from "node:readline";

/** "URL elicitation required" (2025-11-25): the client opens the addresses in the error's data, and asks again. */
const URL_ELICITATION_REQUIRED = -32042;

/** Every item of a list, page by page, as sorted values of one field. */
async function every(list, items, field) {
  const found = [];
  let cursor;
  do {
    const page = await list(cursor === undefined ? {} : { cursor });
    found.push(...page[items].map((item) => item[field]));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found.sort();
}

/** A list that the server does not offer is empty; SDKs differ in whether they ask for it. */
async function offered(capability, listing) {
  return capability === undefined ? [] : listing();
}

let answers;

/** Tells whoever started the driver what happens: one line out, one line in. What they did. */
export async function tell(event) {
  answers ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log(JSON.stringify(event));
  const { value, done } = await answers.next();
  return done ? "cancel" : JSON.parse(value).action;
}

/** Has an address opened. What became of it. */
export function open(url) {
  return tell({ open: url });
}

/** Asks again after each address that has to be opened first. The SDKs leave that to their users. */
async function persistently(request) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (error?.code !== URL_ELICITATION_REQUIRED) throw error;
      for (const { url } of error.elicitations) {
        if ((await open(url)) !== "accept") throw error;
      }
    }
  }
}

async function outcome(labels, elicit, job) {
  try {
    return { ...labels, outcome: "result", ...(await (elicit ? persistently(job) : job())) };
  } catch (error) {
    // A protocol error carries its JSON-RPC code; anything else (HTTP, transport, schema) must not look like one.
    if (!Number.isInteger(error?.code)) throw error;
    return { ...labels, outcome: "error", code: error.code };
  }
}

function texts(content) {
  return content.map((block) => (block.type === "text" ? block.text : `<${block.type}>`));
}

/**
 * Runs the job of the command line.
 *
 * `connect(job)` resolves to the SDK's client, and, if it signed in, to how its access token expires; `callTool(client, params, onprogress)` bridges the one call whose
 * signature differs between the two major versions; `protocolVersion()` is known once connected.
 */
export async function drive({ connect, callTool }) {
  const job = JSON.parse(process.argv[2]);
  const { client, protocolVersion, expire } = await connect(job);
  const can = client.getServerCapabilities() ?? {};

  const report = {
    protocol_version: protocolVersion(),
    server: client.getServerVersion()?.name ?? null,
    tools: await offered(can.tools, () => every((page) => client.listTools(page), "tools", "name")),
    prompts: await offered(can.prompts, () => every((page) => client.listPrompts(page), "prompts", "name")),
    resources: await offered(can.resources, () => every((page) => client.listResources(page), "resources", "uri")),
    resource_templates: await offered(can.resources, () =>
      every((page) => client.listResourceTemplates(page), "resourceTemplates", "uriTemplate"),
    ),
    calls: [],
    prompt_results: [],
    resource_results: [],
  };
  for (const { tool, arguments: toolArguments = {} } of job.calls ?? []) {
    const answered = await outcome({ tool }, job.elicit, async () => {
      const progress = [];
      const params = { name: tool, arguments: toolArguments };
      const result = await callTool(client, params, (update) => progress.push(update.progress));
      return { is_error: result.isError ?? false, text: texts(result.content), progress };
    });
    if (job.attended && (await tell({ answered })) === "expire") expire();
    report.calls.push(answered);
  }
  for (const { name, arguments: promptArguments = {} } of job.prompts ?? []) {
    report.prompt_results.push(
      await outcome({ name }, job.elicit, async () => {
        const result = await client.getPrompt({ name, arguments: promptArguments });
        return { text: texts(result.messages.map((message) => message.content)) };
      }),
    );
  }
  for (const uri of job.resources ?? []) {
    report.resource_results.push(
      await outcome({ uri }, job.elicit, async () => {
        const result = await client.readResource({ uri });
        return { text: result.contents.map((content) => content.text ?? "<blob>") };
      }),
    );
  }
  await client.close();
  console.log(JSON.stringify(report));
}

/** What a client that can open addresses says of itself; the others say nothing. */
export function capabilities(job) {
  return job.elicit ? { elicitation: { url: {} } } : {};
}

export function headers(job) {
  return job.key ? { Authorization: `Bearer ${job.key}` } : {};
}
