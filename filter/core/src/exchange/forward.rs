//! The request as the upstream gets it, or the token-service in its place.
//!
//! The header map is built from an allow-list, so nothing that a client sends reaches an upstream by being unknown to
//! us: no gateway credential, no cookie, no header that pretends to come from the gateway.

use portcullis_wire::lease::CredentialHeader;
use portcullis_wire::secret::SecretText;
use portcullis_wire::unconnected::{self, HANDLE_HEADER};
use portcullis_wire::watch::Upstream;

use super::head::{Head, Verb};
use crate::leases::UpstreamSession;
use crate::step::Headers;

/// Names the route out; Envoy's route table has no other way, and removes it before the other end.
pub(super) const UPSTREAM_HEADER: &str = "x-portcullis-upstream";

/// What a client may send to an upstream, besides `mcp-*`. `Origin` is judged here and not passed on: the upstream
/// would compare it with its own name.
const ALLOWED: [&str; 8] = [
    "accept",
    "accept-language",
    "content-length",
    "content-type",
    "last-event-id",
    "user-agent",
    "x-request-id",
    "tracestate",
];

/// Where a request goes, and what is said there for us.
pub(super) struct Target<'a> {
    scheme: &'static str,
    route: &'static str,
    authority: &'a str,
    path: &'a str,
    /// Headers in place of what the client sent under their names; those without a value are not sent at all.
    set: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Target<'a> {
    /// `session` is what stands behind the client's session.
    pub(super) fn upstream(
        upstream: &'a Upstream,
        credentials: &'a [CredentialHeader],
        session: Option<&'a UpstreamSession>,
    ) -> Self {
        let (scheme, route) = if upstream.tls { ("https", "tls") } else { ("http", "plain") };
        let mut set: Vec<_> =
            credentials.iter().map(|header| (header.name.as_str(), Some(header.value.expose()))).collect();
        if let Some(session) = session {
            set.push(("mcp-session-id", session.id.as_deref()));
            if let Some(version) = &session.protocol_version {
                set.push(("mcp-protocol-version", Some(version)));
            }
        }
        Self { scheme, route, authority: &upstream.authority, path: &upstream.path, set }
    }

    /// The token-service, which answers in the upstream's place.
    pub(super) fn service(authority: &'a str, handle: &'a SecretText) -> Self {
        let set = vec![(HANDLE_HEADER, Some(handle.expose()))];
        Self { scheme: "http", route: "service", authority, path: unconnected::PATH, set }
    }

    /// Where headers can go without harm whose body is to be refused: to the token-service, which answers nothing
    /// without a handle.
    pub(super) fn nobody(authority: &'a str) -> Self {
        let set = vec![(HANDLE_HEADER, None)];
        Self { scheme: "http", route: "service", authority, path: unconnected::PATH, set }
    }
}

/// The header map for `target`. `body_length` is that of a body in place of the client's.
pub(super) fn headers(head: &Head, target: &Target<'_>, body_length: Option<usize>) -> Headers {
    let method = match head.verb {
        Verb::Post => "POST",
        Verb::Get => "GET",
        Verb::Delete => "DELETE",
    };
    let ours = [
        (":method", method),
        (":scheme", target.scheme),
        (":authority", target.authority),
        (":path", target.path),
        (UPSTREAM_HEADER, target.route),
        // Replies are read here, so they have to come unencoded.
        ("accept-encoding", "identity"),
    ];
    let length = body_length.map(|length| length.to_string());
    let ours = ours
        .into_iter()
        .chain(head.traceparent().map(|trace| ("traceparent", trace)))
        .chain(length.as_deref().map(|length| ("content-length", length)))
        .chain(target.set.iter().filter_map(|(name, value)| Some((*name, (*value)?))));
    let mut map: Headers =
        ours.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    let set_by_us = |name: &[u8]| {
        target.set.iter().any(|(ours, _)| ours.as_bytes() == name)
            || (length.is_some() && name == b"content-length")
    };
    let passed = head.headers.iter().filter(|(name, value)| {
        is_allowed(name)
            && !set_by_us(name)
            && value.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t')
    });
    map.extend(passed.cloned());
    map
}

fn is_allowed(name: &[u8]) -> bool {
    name.starts_with(b"mcp-") || ALLOWED.iter().any(|allowed| allowed.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(headers: Headers) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        headers.into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    fn head(pairs: &[(&str, &[u8])]) -> Head {
        let all = [
            (":method", b"POST".as_slice()),
            (":path", b"/demo/mcp?x=1"),
            (":authority", b"gw"),
            (":scheme", b"http"),
        ];
        let headers = all.iter().chain(pairs).map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
        Head::read(headers.collect()).expect("a POST")
    }

    fn forwarded(pairs: &[(&str, &[u8])], credentials: &[(&str, &str)]) -> Vec<(String, String)> {
        let upstream = Upstream { tls: true, authority: "mcp.example:8443".into(), path: "/v1/mcp".into() };
        let credentials: Vec<_> = credentials
            .iter()
            .map(|(name, value)| CredentialHeader {
                name: (*name).into(),
                value: SecretText::new((*value).into()),
            })
            .collect();
        text(headers(&head(pairs), &Target::upstream(&upstream, &credentials, None), None))
    }

    fn has(map: &[(String, String)], name: &str) -> bool {
        map.iter().any(|(header, _)| header == name)
    }

    #[test]
    fn addresses_the_upstream_and_carries_its_credential() {
        let map = forwarded(&[("mcp-param-region", b"eu")], &[("authorization", "Bearer upstream")]);
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "mcp.example:8443"),
            (":path", "/v1/mcp"),
            ("x-portcullis-upstream", "tls"),
            ("authorization", "Bearer upstream"),
            ("mcp-param-region", "eu"),
        ] {
            assert!(map.contains(&(name.into(), value.into())), "{name}: {map:?}");
        }
    }

    #[test]
    fn nothing_else_of_the_client_passes() {
        let map = forwarded(
            &[
                ("authorization", b"Bearer gateway"),
                ("x-portcullis-api-key", b"k"),
                ("x-portcullis-upstream", b"plain"),
                ("cookie", b"a=b"),
                ("proxy-authorization", b"Basic x"),
                ("origin", b"https://app"),
                ("x-forwarded-for", b"1.2.3.4"),
                ("connection", b"authorization"),
                ("upgrade", b"websocket"),
                ("accept-encoding", b"gzip"),
                ("x-unknown", b"1"),
                ("user-agent", b"caf\xe9"),
            ],
            &[],
        );
        for name in
            ["authorization", "x-portcullis-api-key", "cookie", "proxy-authorization", "origin", "x-unknown"]
        {
            assert!(!has(&map, name), "{name}");
        }
        for name in ["x-forwarded-for", "connection", "upgrade", "user-agent"] {
            assert!(!has(&map, name), "{name}");
        }
        assert_eq!(map.iter().filter(|(name, _)| name == "x-portcullis-upstream").count(), 1);
        assert!(map.contains(&("accept-encoding".into(), "identity".into())));
    }

    #[test]
    fn a_credential_header_cannot_be_overridden() {
        let map = forwarded(&[("mcp-key", b"mine"), ("user-agent", b"agent")], &[("mcp-key", "theirs")]);
        assert_eq!(map.iter().filter(|(name, _)| name == "mcp-key").count(), 1);
        assert!(map.contains(&("mcp-key".into(), "theirs".into())));
        assert!(has(&map, "user-agent"));
    }

    #[test]
    fn the_token_service_gets_the_handle_and_no_credential_of_the_client() {
        let head = head(&[
            ("authorization", b"Bearer gateway"),
            ("x-portcullis-handle", b"mine"),
            ("mcp-name", b"x"),
        ]);
        let handle = SecretText::new("ours".into());
        let map = text(headers(&head, &Target::service("token-service", &handle), None));
        for (name, value) in [
            (":authority", "token-service"),
            (":path", "/v1/unconnected"),
            ("x-portcullis-upstream", "service"),
            ("mcp-name", "x"),
        ] {
            assert!(map.contains(&(name.into(), value.into())), "{name}: {map:?}");
        }
        let handles: Vec<_> = map.iter().filter(|(name, _)| name == HANDLE_HEADER).collect();
        assert_eq!(handles, [&(HANDLE_HEADER.to_owned(), "ours".to_owned())]);
        assert!(!has(&map, "authorization"));
    }

    #[test]
    fn a_session_is_the_upstreams_and_another_body_has_its_own_length() {
        let head = head(&[
            ("mcp-session-id", b"pcl-session.x"),
            ("mcp-protocol-version", b"2025-11-25"),
            ("content-length", b"99"),
        ]);
        let upstream = Upstream { tls: false, authority: "mcp.example".into(), path: "/".into() };
        for id in [Some("theirs"), None] {
            let session = UpstreamSession {
                id: id.map(str::to_owned),
                protocol_version: Some("2025-06-18".to_owned()),
            };
            let target = Target::upstream(&upstream, &[], Some(&session));
            let map = text(headers(&head, &target, Some(7)));
            let all = |name: &str| -> Vec<&str> {
                map.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
            };
            assert_eq!(all("mcp-session-id"), Vec::from_iter(id));
            assert_eq!(all("mcp-protocol-version"), ["2025-06-18"]);
            assert_eq!(all("content-length"), ["7"]);
        }
    }
}
