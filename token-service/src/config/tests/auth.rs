//! How the gateway authenticates to servers, and which ways out it has.

use insta::assert_snapshot;

use super::{minimal, problems};

const BAD_AUTH: &str = r"
egress:
  allow:
    - {host: 'https://mcp.internal', network: 10.1.0.0/16}
    - {host: mcp.internal, network: 10.1.2.3}
  trusted_ca: nowhere.pem
servers:
  - slug: one
    auth: {type: oauth, preset: liner}
    workspaces: all
  - slug: two
    auth: {type: oauth, preset: github}
    workspaces: all
  - slug: three
    url: https://a.example/mcp
    auth:
      type: oauth
      client:
        id: my client
        secret: {env: UNUSABLE}
        private_key: {env: LINEAR_TEAM}
        method: basic
      headers: {X-Key: {env: LINEAR_TEAM}}
    workspaces: all
  - slug: four
    url: https://a.example/mcp
    auth:
      type: oauth
      client:
        id: my client
        secret: {env: UNUSABLE}
        private_key: {env: LINEAR_TEAM}
      scopes: [read, read write]
      authorize_parameters: {prompt: consent, redirect_uri: https://evil.example}
      authorization_server: {issuer: http://a.example, token_endpoint: https://a.example/token}
    workspaces: all
  - slug: five
    url: https://a.example/mcp
    auth: {type: client_credentials, assume_pkce: true, authorize_parameters: {prompt: x}, scopes: all}
    workspaces: all
  - slug: six
    url: https://a.example/mcp
    auth: {type: none, scopes: [read]}
    workspaces: all
";

#[test]
fn every_problem_of_an_authorization_is_named() {
    assert_snapshot!(problems(&minimal(BAD_AUTH)), @r#"
    portcullis.yaml:9: egress.allow[0].host: the host must be one name or IP address, without scheme, port or wildcard
        write the host as it is in the URL, such as mcp.internal
    portcullis.yaml:10: egress.allow[1].network: the network must be written as address and prefix length, such as 10.1.0.0/16
        write the network that the host's addresses are in
    portcullis.yaml:11: egress.trusted_ca: nowhere.pem cannot be read as certificates
        name a readable PEM file with the certificate of the authority
    portcullis.yaml:14: servers[0].auth.preset: there is no preset "liner"
        did you mean linear?
    portcullis.yaml:17: servers[1].auth: GitHub takes only clients that were registered there by hand
        Register a GitHub App or an OAuth App (organization settings, Developer settings) and copy its client ID and a client secret. Its callback URL is the `callback_url` that GET /v1/servers/<slug> shows once the server is registered here.
    portcullis.yaml:27: servers[2].auth.client.method: "basic": not a client authentication method
        write none, client_secret_basic, client_secret_post or private_key_jwt
    portcullis.yaml:28: servers[2].auth.headers: this type has no use for it
        remove the headers, or write type: headers
    portcullis.yaml:35: servers[3].auth.client.id: it has 1 to 2048 visible ASCII characters
        copy it from the provider's settings
    portcullis.yaml:36: servers[3].auth.client.secret: a client secret has 1 to 16384 ASCII characters, none of them a control character, and no space at its ends
        copy it from the provider's settings
    portcullis.yaml:37: servers[3].auth.client.private_key: this is not the private key of a P-256, RSA (2048 bits or more) or Ed25519 key pair in PEM
        give it in PEM as PKCS #8, such as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes it
    portcullis.yaml:37: servers[3].auth.client.private_key: the method has no use for a private key
        remove it, or write method: private_key_jwt
    portcullis.yaml:38: servers[3].auth.scopes[1]: a scope has 1 to 256 visible ASCII characters, none of them a quote, a backslash or a space
        write each scope as the provider spells it
    portcullis.yaml:39: servers[3].auth.authorize_parameters.redirect_uri: this parameter belongs to OAuth itself and is set by the gateway
        leave it out, or give it by its own setting if there is one
    portcullis.yaml:40: servers[3].auth.authorization_server.issuer: it must be an https URL (http for a loopback host) without user name, password, query or fragment
        write it byte for byte as the provider's metadata have it
    portcullis.yaml:40: servers[3].auth.authorization_server: `authorization_server.authorization_endpoint` is missing next to the other endpoints
        give it too, or give the issuer alone to have its metadata read
    portcullis.yaml:44: servers[4].auth.scopes: this must be a list, but it is a text
        write a list
    portcullis.yaml:44: servers[4].auth.authorize_parameters: type client_credentials has no use for it
        remove it
    portcullis.yaml:44: servers[4].auth.assume_pkce: type client_credentials has no use for it
        remove it
    portcullis.yaml:44: servers[4].auth: `client` is missing
        give the id and the secret or private key of a client that the provider knows
    portcullis.yaml:48: servers[5].auth.scopes: this type has no use for it
        remove it, or write type: oauth
    20 problems
    "#);
}
