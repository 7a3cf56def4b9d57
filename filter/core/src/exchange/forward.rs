//! The request as the upstream gets it.
//!
//! The header map is built from an allow-list, so nothing that a client sends reaches an upstream by being unknown to
//! us: no gateway credential, no cookie, no header that pretends to come from the gateway.

use portcullis_wire::lease::CredentialHeader;
use portcullis_wire::watch::Upstream;

use super::head::{Head, Verb};
use crate::step::Headers;

/// Names the route to the upstream; Envoy's route table has no other way out, and removes it before the upstream.
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

/// The header map for the upstream.
pub(super) fn headers(head: &Head, upstream: &Upstream, credentials: &[CredentialHeader]) -> Headers {
    let (scheme, route) = if upstream.tls { ("https", "tls") } else { ("http", "plain") };
    let method = match head.verb {
        Verb::Post => "POST",
        Verb::Get => "GET",
        Verb::Delete => "DELETE",
    };
    let ours = [
        (":method", method),
        (":scheme", scheme),
        (":authority", upstream.authority.as_str()),
        (":path", upstream.path.as_str()),
        (UPSTREAM_HEADER, route),
        // Replies are read here, so they have to come unencoded.
        ("accept-encoding", "identity"),
    ];
    let ours = ours.into_iter().chain(head.traceparent().map(|trace| ("traceparent", trace)));
    let credentials = credentials.iter().map(|header| (header.name.as_str(), header.value.expose()));
    let mut map: Headers = ours
        .chain(credentials.clone())
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    let set_by_us = |name: &[u8]| credentials.clone().any(|(ours, _)| ours.as_bytes() == name);
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
    use portcullis_wire::secret::SecretText;

    use super::*;

    fn forwarded(pairs: &[(&str, &[u8])], credentials: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = [
            (":method", b"POST".as_slice()),
            (":path", b"/demo/mcp?x=1"),
            (":authority", b"gw"),
            (":scheme", b"http"),
        ];
        let headers = all.iter().chain(pairs).map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
        let head = Head::read(headers.collect()).expect("a POST");
        let upstream = Upstream { tls: true, authority: "mcp.example:8443".into(), path: "/v1/mcp".into() };
        let credentials: Vec<_> = credentials
            .iter()
            .map(|(name, value)| CredentialHeader {
                name: (*name).into(),
                value: SecretText::new((*value).into()),
            })
            .collect();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        super::headers(&head, &upstream, &credentials)
            .into_iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
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
        for name in ["x-forwarded-for", "connection", "user-agent"] {
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
}
