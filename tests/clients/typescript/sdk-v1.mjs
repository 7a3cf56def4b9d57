// @modelcontextprotocol/sdk 1.x: the legacy era.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { capabilities, drive, headers } from "./driver.mjs";
import { signedIn } from "./sign-in.mjs";

const NAME = "portcullis-tests-typescript-v1";

async function connect(job) {
  if (job.era !== "legacy") throw new Error("SDK 1.x knows only the legacy era");
  const { client, transport, expire } = await signedIn(job, NAME, {
    attempt: (authProvider) => ({
      client: new Client({ name: NAME, version: "1.0.0" }, { capabilities: capabilities(job) }),
      transport: new StreamableHTTPClientTransport(new URL(job.url), {
        requestInit: { headers: headers(job) },
        authProvider,
      }),
    }),
    finish: (transport, answer) => transport.finishAuth(answer.get("code")),
  });
  return { client, expire, protocolVersion: () => transport.protocolVersion };
}

await drive({
  connect,
  callTool: (client, params, onprogress) => client.callTool(params, undefined, { onprogress }),
});
