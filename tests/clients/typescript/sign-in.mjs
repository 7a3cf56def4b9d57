// A client that is given the URL of a server and nothing else: its person signs in at the address that it opens, and the
// browser brings the code back to a listener of its own. What is discovered, asked for and checked is up to the SDK.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { tell } from "./driver.mjs";

/** An `OAuthClientProvider` of either SDK, and what its driver needs besides. */
async function provider(name) {
  const listener = createServer();
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  listener.unref();
  const redirect = `http://127.0.0.1:${listener.address().port}/callback`;
  const kept = {};
  let land;
  listener.on("request", (request, response) => {
    response.setHeader("Connection", "close").end("Signed in. You can close this page.");
    const { pathname, searchParams } = new URL(request.url, redirect);
    if (pathname === "/callback") land?.(searchParams);
  });
  return {
    redirectUrl: redirect,
    clientMetadata: {
      client_name: name,
      redirect_uris: [redirect],
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
    saveCodeVerifier: (verifier) => (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    redirectToAuthorization: async (url) => {
      const landed = new Promise((resolve) => (land = resolve));
      if ((await tell({ authorize: url.href })) !== "accept") throw new Error("nobody signed in");
      kept.answer = await landed;
    },
    /** What the browser brought; the SDKs leave `state` to their users. */
    answer: () => {
      if (kept.answer?.get("state") !== kept.state) throw new Error("an answer to another question");
      return kept.answer;
    },
    hasAnswer: () => kept.answer !== undefined,
    /** The access token is over, as if time had passed; the refresh token is not. */
    expire: () => {
      const token = kept.tokens.access_token;
      kept.tokens = { ...kept.tokens, access_token: token.slice(0, -6) + "AAAAAA" };
    },
  };
}

/**
 * Connects; where the job says so, with a sign-in on the way. `attempt(authProvider)` makes a client and a transport,
 * `connect` connects them, and `finish(transport, answer)` bridges what differs between the two major versions.
 */
export async function signedIn(job, name, { attempt, finish }) {
  if (!job.sign_in) {
    const made = attempt(undefined);
    await made.client.connect(made.transport);
    return made;
  }
  const authProvider = await provider(name);
  const first = attempt(authProvider);
  try {
    await first.client.connect(first.transport);
    return { ...first, expire: authProvider.expire };
  } catch (error) {
    if (!authProvider.hasAnswer()) throw error;
  }
  await finish(first.transport, authProvider.answer());
  const second = attempt(authProvider);
  await second.client.connect(second.transport);
  return { ...second, expire: authProvider.expire };
}
