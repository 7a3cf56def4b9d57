// @modelcontextprotocol/client 2.x: both eras.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { capabilities, drive, headers, open } from "./driver.mjs";
import { signedIn } from "./sign-in.mjs";

const NAME = "portcullis-tests-typescript-v2";

// Pinned, because a client that may fall back would hide a gateway that answers the modern era wrongly.
const MODES = { legacy: "legacy", modern: { pin: "2026-07-28" } };

function attempt(job, authProvider) {
  const client = new Client(
    { name: NAME, version: "1.0.0" },
    { versionNegotiation: { mode: MODES[job.era] }, capabilities: capabilities(job) },
  );
  if (job.elicit) {
    // Since 2026-07-28 the SDK itself asks this handler, and calls again with what it says.
    client.setRequestHandler("elicitation/create", async ({ params }) => ({ action: await open(params.url) }));
  }
  const transport = new StreamableHTTPClientTransport(new URL(job.url), {
    requestInit: { headers: headers(job) },
    authProvider,
  });
  return { client, transport };
}

async function connect(job) {
  const { client, transport, expire } = await signedIn(job, NAME, {
    attempt: (authProvider) => attempt(job, authProvider),
    finish: (transport, answer) => transport.finishAuth(answer),
  });
  const protocolVersion = () => client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion;
  return { client, expire, protocolVersion };
}

await drive({
  connect,
  callTool: (client, params, onprogress) => client.callTool(params, { onprogress }),
});
