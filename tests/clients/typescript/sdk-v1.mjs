// @modelcontextprotocol/sdk 1.x: the legacy era.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { capabilities, drive, headers } from "./driver.mjs";

async function connect(job) {
  if (job.era !== "legacy") throw new Error("SDK 1.x knows only the legacy era");
  const client = new Client(
    { name: "portcullis-tests-typescript-v1", version: "1.0.0" },
    { capabilities: capabilities(job) },
  );
  const transport = new StreamableHTTPClientTransport(new URL(job.url), { requestInit: { headers: headers(job) } });
  await client.connect(transport);
  return { client, protocolVersion: () => transport.protocolVersion };
}

await drive({
  connect,
  callTool: (client, params, onprogress) => client.callTool(params, undefined, { onprogress }),
});
