// npm `oidc-provider`, a certified authorization server, set up as one for MCP: clients register themselves, PKCE,
// opaque access tokens for the one resource that a request names (RFC 8707), refresh tokens that rotate.
//
// It is the company's identity provider besides, with a client for the gateway and groups (OpenID Connect).
//
// Its own pages ask for a login (any name, any password) and for consent. Each grant is one JSON line on standard
// output.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const { PORT, INTROSPECTION_SECRET, ACCESS_TOKEN_SECONDS, COMPANY_SECRET, COMPANY_REDIRECTS, COMPANY_PEOPLE } = process.env;
const SCOPES = ["read", "write", "export"];
/** Name and groups by login. */
const PEOPLE = JSON.parse(COMPANY_PEOPLE ?? "{}");

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [
    {
      client_id: "protected",
      client_secret: INTROSPECTION_SECRET,
      redirect_uris: [],
      response_types: [],
      grant_types: [],
    },
    ...(COMPANY_REDIRECTS
      ? [
          {
            client_id: "portcullis",
            client_secret: COMPANY_SECRET,
            redirect_uris: COMPANY_REDIRECTS.split(" "),
            response_types: ["code"],
            grant_types: ["authorization_code"],
            token_endpoint_auth_method: "client_secret_basic",
          },
        ]
      : []),
  ],
  scopes: ["openid", "offline_access", ...SCOPES],
  claims: { openid: ["sub"], profile: ["name"], groups: ["groups"] },
  // As most companies' providers have it: what a scope gives is in the ID token.
  conformIdTokenClaims: false,
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        scope: SCOPES.join(" "),
        audience: resource,
        accessTokenFormat: "opaque",
        accessTokenTTL: Number(ACCESS_TOKEN_SECONDS),
      }),
      useGrantedResource: () => true,
    },
  },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  // MCP clients ask for `offline_access` only where it is offered; what they registered for is what counts here.
  issueRefreshToken: async (_context, client) => client.grantTypeAllowed("refresh_token"),
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) }),
});

for (const name of ["grant.success", "grant.error", "grant.revoked", "registration_create.success"]) {
  provider.on(name, (context, error) => {
    const { params, client } = context.oidc;
    console.log(
      JSON.stringify({
        event: name,
        grant_type: params?.grant_type ?? null,
        client_id: client?.clientId ?? null,
        subject: context.oidc.account?.accountId ?? null,
        error: typeof error?.error === "string" ? error.error : null,
      }),
    );
  });
}

/** `/expire?token=…` ends an access token in the place of time; its refresh token stays. */
async function expire(token, response) {
  await (await provider.AccessToken.find(token))?.destroy();
  response.end();
}

const oidc = provider.callback();
createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, provider.issuer);
  return pathname === "/expire" ? expire(searchParams.get("token"), response) : oidc(request, response);
}).listen(Number(PORT), "127.0.0.1");
