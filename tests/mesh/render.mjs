// Prints the configuration that the Envoy of a mesh would have: `node tests/mesh/render.mjs <variant> <place.json>`, at the
// top of the repository. The variants are istio-stream, istio-hold and envoy-gateway. A place has
// - gateway, admin: where Envoy listens, host and port
// - internal, public: where the token-service does
// - upstream: host and port by which a server is registered; it is reached at that port of 127.0.0.1
// - public_url: by which agents call the gateway
// - module, access_log: files
// - filter_file: which Envoy follows, and which is written here (not for envoy-gateway)

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { envoyGateway } from "./envoy_gateway.mjs";
import { istio } from "./istio.mjs";

export const VARIANTS = {
  "istio-stream": (place) => istio(place, { holds: false }),
  "istio-hold": (place) => istio(place, { holds: true }),
  "envoy-gateway": envoyGateway,
};

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , variant, file] = process.argv;
  const render = VARIANTS[variant];
  if (render === undefined || file === undefined) {
    console.error(`usage: node tests/mesh/render.mjs ${Object.keys(VARIANTS).join("|")} place.json`);
    process.exit(1);
  }
  console.log(JSON.stringify(render(JSON.parse(readFileSync(file, "utf8"))), null, 2));
}
