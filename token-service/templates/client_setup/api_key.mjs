import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const SERVER = new URL({{ url }});
const headers = { Authorization: `Bearer ${process.env[{{ variable }}]}` };

const client = new Client({ name: "my-program", version: "1.0.0" });
await client.connect(new StreamableHTTPClientTransport(SERVER, { requestInit: { headers } }));
const { tools } = await client.listTools();
for (const tool of tools) console.log(tool.name);
await client.close();
