//! What the filter refuses without a lease, or whatever the lease.

/// `None`: the filter refuses nothing by this name.
pub(super) fn refusal(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "no_credential" => {
            "The request had no credential. Send Authorization: Bearer with an API key or a token."
        }
        "unsupported_scheme" | "several_credentials" | "malformed_credential" | "credential_too_long" => {
            "The request had no single well-formed credential. Send one Authorization header with the scheme Bearer."
        }
        "misspelt_api_key" => "The API key is misspelt or cut off. Copy it again, whole.",
        "not_a_token"
        | "bad_token_header"
        | "bad_token_claims"
        | "token_algorithm_not_allowed"
        | "wrong_token_type"
        | "bound_token" => "The credential is no access token that this gateway takes.",
        "unknown_issuer" => "The issuer of the token is not declared. Add it to the configuration.",
        "unknown_token_key" | "bad_token_signature" => {
            "The token is not signed by a key of its issuer that is known here. The client gets a new token."
        }
        "wrong_audience" => {
            "The token is for another audience than this server. The client asks for one for this URL."
        }
        "credential_expired" => "The token has expired. The client gets a new one.",
        "token_not_yet_valid" => "The token is not valid yet. Check the clock of its issuer.",
        "unknown_server" => {
            "The path names no MCP server. It has the form /<server>/mcp or /<workspace>/<server>/mcp."
        }
        "host_not_allowed" => {
            "The request was for another host than the gateway's. See allowed_hosts of the filter."
        }
        "origin_not_allowed" => {
            "Pages of this origin may not call the gateway. See allowed_origins of the filter."
        }
        "source_not_allowed" => {
            "The credential may not be used from this network address. Change the key's networks."
        }
        "too_many_unknown_credentials" => {
            "Too many unknown credentials came from the client's address, so new ones are not looked at for a while. See guesses_per_minute of the filter."
        }
        "request_too_large" => "The body is larger than max_request_bytes of the filter.",
        "request_state_refused" => {
            "The requestState has expired, was changed, or belongs to another request. The client starts the call anew."
        }
        "unknown_session" => {
            "The MCP session is over, or is another caller's. The client initializes a new one."
        }
        "method_not_found" => {
            "MCP has no such method in the version that the client speaks, or the gateway does not let it pass."
        }
        "unsupported_protocol_version" => {
            "The gateway does not speak this version of MCP. The answer told the client which it speaks."
        }
        "method_not_allowed" => {
            "The HTTP method is none that MCP has at this address. Clients POST messages; GET and DELETE are for legacy sessions."
        }
        "unsupported_media_type" => {
            "The body was not declared as application/json. Send it as that, uncompressed."
        }
        "unexpected_body" => "A GET or DELETE had a body. Use POST to send a message.",
        "invalid_json" => "The body is not valid JSON. The answer told the client what is wrong and where.",
        "ambiguous_request" => {
            "Parsers differ on what the request says, for instance because a key or a header is there twice, so it is not let through. The answer told the client what and where."
        }
        "body_too_complex" => {
            "The body is nested too deeply or holds too many values. The answer told the client which bound it broke."
        }
        "batch" => {
            "The body is a JSON-RPC batch, which MCP does not have any more. Send each message in a request of its own."
        }
        "invalid_request" => {
            "The body is JSON, but no JSON-RPC message as MCP has it. The answer told the client what is wrong."
        }
        "unexpected_response" => {
            "The body is a JSON-RPC response, and the gateway has asked the client nothing. Clients of this version answer in inputResponses of a retry."
        }
        "invalid_params" => {
            "The parameters are not those of the MCP method. The answer told the client what is missing or wrong."
        }
        "header_mismatch" => {
            "The headers MCP-Protocol-Version, Mcp-Method and Mcp-Name do not say what the body says. The client has a fault, or something in between changes headers."
        }
        _ => return None,
    })
}
