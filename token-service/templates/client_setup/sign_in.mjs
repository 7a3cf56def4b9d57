import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const SERVER = new URL({{ url }});

// The browser comes back to this program.
const listener = createServer();
listener.listen(0, "127.0.0.1");
await once(listener, "listening");
const redirectUrl = `http://127.0.0.1:${listener.address().port}/callback`;
const landed = new Promise((resolve) => {
  listener.on("request", (request, response) => {
    response.setHeader("Connection", "close").end("Signed in. You can close this page.");
    const { pathname, searchParams } = new URL(request.url, redirectUrl);
    if (pathname === "/callback") resolve(searchParams);
  });
});

// Forgets everything at the end. To stay signed in, keep client and tokens where your system keeps secrets.
const kept = {};
const authProvider = {
  redirectUrl,
  clientMetadata: {
    client_name: "My program",
    redirect_uris: [redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
    application_type: "native",
  },
  state: () => (kept.state = randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => (kept.verifier = verifier),
  redirectToAuthorization: (address) => console.log("To sign in, open", address.href),
};

const transport = () => new StreamableHTTPClientTransport(SERVER, { authProvider });
const client = new Client({ name: "my-program", version: "1.0.0" });
const first = transport();
try {
  await client.connect(first);
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
  const answer = await landed;
  if (answer.get("state") !== kept.state) throw new Error("this answers another question");
  if (!answer.has("code")) throw new Error(`not signed in: ${answer.get("error")}`);
  await first.finishAuth(answer.get("code"));
  await client.connect(transport());
}
const { tools } = await client.listTools();
for (const tool of tools) console.log(tool.name);
await client.close();
listener.close();
