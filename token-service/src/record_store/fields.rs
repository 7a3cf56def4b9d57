//! What a record says, field by field: its name here and in the access log, its OTLP attribute, and how much is kept.
//!
//! A field is a line here and a column in the migrations of each backend. `envoy/README.md` explains all of them, and a
//! test holds the three together.

use serde::Serialize;
use utoipa::ToSchema;

/// One field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// In the API, in the JSON lines, and as a column.
    pub name: &'static str,
    /// In OTLP.
    pub attribute: &'static str,
    pub kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text of so many bytes at most; what is longer is cut.
    Text(usize),
    /// A whole number that is not negative.
    Number,
    /// As `Text`, of what was sent: only read where it is asked for.
    Payload(usize),
}

macro_rules! fields {
    (
        texts { $( $(#[$text_doc:meta])* $text:ident: $text_attribute:literal, $longest:literal; )* }
        numbers { $( $(#[$number_doc:meta])* $number:ident: $number_attribute:literal; )* }
        payloads { $( $(#[$payload_doc:meta])* $payload:ident: $payload_attribute:literal, $most:literal; )* }
    ) => {
        /// The fields of a record; those that do not apply are absent.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
        pub struct Fields {
            $( $(#[$text_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $text: Option<String>, )*
            $( $(#[$number_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $number: Option<u64>, )*
            $( $(#[$payload_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $payload: Option<String>, )*
        }

        /// Every field, in the order of the struct.
        pub const FIELDS: &[Field] = &[
            $( Field { name: stringify!($text), attribute: $text_attribute, kind: Kind::Text($longest) }, )*
            $( Field { name: stringify!($number), attribute: $number_attribute, kind: Kind::Number }, )*
            $( Field { name: stringify!($payload), attribute: $payload_attribute, kind: Kind::Payload($most) }, )*
        ];

        /// Columns of the texts, the numbers and the payloads.
        pub const TEXTS: &[&str] = &[$( stringify!($text) ),*];
        pub const NUMBERS: &[&str] = &[$( stringify!($number) ),*];
        pub const PAYLOADS: &[&str] = &[$( stringify!($payload) ),*];

        impl Fields {
            /// Sets the field of this attribute; `false` if there is none. What is no number leaves a number absent.
            pub fn set(&mut self, attribute: &str, value: String) -> bool {
                match attribute {
                    $( $text_attribute => self.$text = Some(cut(value, $longest)), )*
                    $( $number_attribute => self.$number = value.parse().ok(), )*
                    $( $payload_attribute => self.$payload = Some(cut(value, $most)), )*
                    _ => return false,
                }
                true
            }

            /// In the order of [`TEXTS`].
            pub fn texts(&self) -> [Option<&str>; TEXTS.len()] {
                [$( self.$text.as_deref() ),*]
            }

            /// In the order of [`NUMBERS`].
            pub fn numbers(&self) -> [Option<u64>; NUMBERS.len()] {
                [$( self.$number ),*]
            }

            /// In the order of [`PAYLOADS`].
            pub fn payloads(&self) -> [Option<&str>; PAYLOADS.len()] {
                [$( self.$payload.as_deref() ),*]
            }

            pub fn texts_mut(&mut self) -> [&mut Option<String>; TEXTS.len()] {
                [$( &mut self.$text ),*]
            }

            pub fn numbers_mut(&mut self) -> [&mut Option<u64>; NUMBERS.len()] {
                [$( &mut self.$number ),*]
            }

            pub fn payloads_mut(&mut self) -> [&mut Option<String>; PAYLOADS.len()] {
                [$( &mut self.$payload ),*]
            }
        }
    };
}

fields! {
    texts {
        /// Envoy's id of the request, also in the response's `x-request-id`.
        request_id: "portcullis.request_id", 64;
        /// The client's trace (W3C), where it sent a well-formed one.
        trace_id: "portcullis.trace_id", 32;
        /// The client's address.
        source: "client.address", 64;
        /// What the client calls itself.
        user_agent: "user_agent.original", 256;
        /// `POST`, `GET` or `DELETE`.
        http_method: "http.request.method", 16;
        /// The server's slug.
        server: "portcullis.server", 64;
        /// The workspace's slug.
        workspace: "portcullis.workspace", 64;
        /// The workspace's id, which outlives the slug.
        workspace_id: "portcullis.workspace_id", 64;
        /// The member's id; a service key's own for such a key.
        caller: "user.id", 64;
        /// What to call the caller.
        caller_name: "user.name", 200;
        /// `member_key`, `service_key`, `jwt`, `opaque_token` or `access_token`.
        credential: "portcullis.credential", 32;
        /// The public id of the API key.
        key: "portcullis.key", 32;
        /// The sign-in that an access token of the gateway comes from.
        session_id: "portcullis.session_id", 64;
        /// The client that signed in.
        client_id: "portcullis.client_id", 256;
        /// The MCP version.
        version: "mcp.protocol.version", 32;
        /// A digest of the legacy session's id.
        session: "mcp.session.id", 128;
        /// What the client calls itself to MCP; nobody has checked it.
        client_name: "portcullis.client_name", 128;
        /// … and its version.
        client_version: "portcullis.client_version", 128;
        /// The JSON-RPC id.
        rpc_id: "jsonrpc.request.id", 128;
        /// The JSON-RPC method.
        method: "mcp.method.name", 128;
        /// `tool`, `prompt` or `resource`.
        kind: "portcullis.kind", 16;
        /// Which tool, prompt or resource.
        name: "portcullis.name", 1024;
        /// `allow`, `deny`, `connect_required` or `error`.
        decision: "portcullis.decision", 32;
        /// What decided.
        rule: "portcullis.rule", 512;
        /// Of a denied request: what `POST /v1/explain` takes.
        decision_id: "portcullis.decision_id", 2048;
        /// The commit of the registry that the decision rests on.
        revision: "portcullis.revision", 20;
        /// Of JSON-RPC, as the caller got it.
        error_code: "rpc.response.status_code", 32;
        /// Which of `parameters` and `response` is longer than its text shows.
        truncated: "portcullis.truncated", 32;
        /// `true` where the tool's result has `isError`.
        tool_error: "portcullis.tool_error", 8;
        /// Of `notifications/cancelled`: the id of the request that is to be given up.
        cancels: "portcullis.cancels", 128;
        /// How the request ended, in one word; `envoy/README.md` has them all.
        ended: "portcullis.ended", 64;
        /// `true` where it was decided while nobody could say whether that still holds.
        stale: "portcullis.stale", 8;
        /// Envoy's response-code details.
        details: "portcullis.details", 256;
        /// Envoy's response flags.
        flags: "portcullis.flags", 64;
        /// The address that was called.
        upstream_host: "portcullis.upstream_host", 64;
    }
    numbers {
        /// Of HTTP; 0 where there was no response.
        status: "http.response.status_code";
        /// Of the whole, in milliseconds.
        latency_ms: "portcullis.latency_ms";
        /// Of the upstream's part, in milliseconds.
        upstream_ms: "portcullis.upstream_ms";
        /// Of the request's `params`, as they were.
        parameters_bytes: "portcullis.parameters_bytes";
        /// Of the JSON-RPC response, as it was.
        response_bytes: "portcullis.response_bytes";
        /// Of an event stream: how many events with data the client was sent.
        events: "portcullis.events";
        /// Of the request's body.
        bytes_in: "http.request.body.size";
        /// Of the response's body.
        bytes_out: "http.response.body.size";
    }
    payloads {
        /// As the server's payload policy says.
        parameters: "gen_ai.tool.call.arguments", 66_560;
        /// As the server's payload policy says.
        response: "gen_ai.tool.call.result", 66_560;
        /// What else the log record said, as a JSON object of texts.
        attributes: "portcullis.attributes", 8192;
    }
}

/// The start of `text` that is not longer than `longest` bytes. NUL, which PostgreSQL cannot keep, becomes U+FFFD.
pub fn cut(mut text: String, longest: usize) -> String {
    if text.contains('\0') {
        text = text.replace('\0', "\u{fffd}");
    }
    text.truncate(text.floor_char_boundary(longest));
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_attributes_differ() {
        let names: BTreeSet<_> = FIELDS.iter().map(|field| field.name).collect();
        let attributes: BTreeSet<_> = FIELDS.iter().map(|field| field.attribute).collect();
        assert_eq!((names.len(), attributes.len()), (FIELDS.len(), FIELDS.len()));
        assert_eq!(TEXTS.len() + NUMBERS.len() + PAYLOADS.len(), FIELDS.len());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("aé".into(), 2), "a");
        assert_eq!(cut("aé".into(), 3), "aé");
        assert_eq!(cut("a\0b".into(), 5), "a\u{fffd}b");
    }

    #[test]
    fn what_is_no_number_is_absent() {
        let mut fields = Fields::default();
        assert!(fields.set("http.response.status_code", "200".into()));
        assert!(fields.set("portcullis.latency_ms", "-1".into()));
        assert!(!fields.set("unheard.of", "x".into()));
        assert_eq!((fields.status, fields.latency_ms), (Some(200), None));
    }
}
