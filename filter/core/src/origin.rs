//! Whether a request may come from where it says it comes from.
//!
//! A web page can make its visitor's browser call a gateway on the visitor's network, by a foreign `Origin` or, with
//! DNS rebinding, by a foreign `Host` (MCP 2025-11-25, transports, security warning). The gateway rewrites `Host` for
//! the upstream, so no upstream can check this in its place.

use std::fmt;

/// An entry of `allowed_hosts`: a host, and a port if only that port will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    /// Lower case; an IPv6 address with its brackets.
    host: String,
    port: Option<u16>,
}

/// Where requests may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedSources {
    pub hosts: Vec<AllowedHost>,
    /// Serialised origins, `https://app.example`, compared byte for byte: browsers have one spelling.
    pub origins: Vec<String>,
}

/// Why a request is refused for where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFault {
    Host,
    Origin,
    /// The credential may not be used from the client's address.
    Address,
}

impl SourceFault {
    pub fn status(self) -> u32 {
        match self {
            // Misdirected Request (RFC 9110, 15.5.20).
            Self::Host => 421,
            Self::Origin | Self::Address => 403,
        }
    }

    /// Goes into the response-code details, behind `portcullis_`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Host => "host_not_allowed",
            Self::Origin => "origin_not_allowed",
            Self::Address => "source_not_allowed",
        }
    }
}

impl fmt::Display for SourceFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Host => {
                "This gateway does not answer for the host in this request. Use the gateway's public URL, or have \
                 its operator add the host to allowed_hosts."
            }
            Self::Origin => {
                "Pages of this origin may not call this gateway. Have its operator add the origin to \
                 allowed_origins."
            }
            Self::Address => {
                "This credential may not be used from your network address. Use it from where it was made for, or ask an \
                 administrator to change its networks."
            }
        })
    }
}

impl AllowedSources {
    /// Judges the header map: exactly one allowed host (Envoy joins several with commas, which no host contains), and
    /// no `Origin` or exactly one allowed, which is returned. The opaque origin `null` is never allowed.
    pub fn judge(&self, headers: &[(Vec<u8>, Vec<u8>)]) -> Result<Option<&str>, SourceFault> {
        let mut authorities = headers.iter().filter(|(name, _)| name == b":authority" || name == b"host");
        let (Some((_, authority)), None) = (authorities.next(), authorities.next()) else {
            return Err(SourceFault::Host);
        };
        let (host, port) = split_authority(authority).ok_or(SourceFault::Host)?;
        if !self.hosts.iter().any(|allowed| allowed.admits(host, port)) {
            return Err(SourceFault::Host);
        }
        let mut origins = headers.iter().filter(|(name, _)| name == b"origin");
        match (origins.next(), origins.next()) {
            (None, _) => Ok(None),
            (Some((_, origin)), None) => self.allowed_origin(origin).map(Some).ok_or(SourceFault::Origin),
            _ => Err(SourceFault::Origin),
        }
    }

    fn allowed_origin(&self, origin: &[u8]) -> Option<&str> {
        let allowed = self.origins.iter().find(|allowed| allowed.as_bytes() == origin);
        allowed.map(String::as_str).filter(|origin| *origin != "null")
    }
}

impl AllowedHost {
    /// Reads `host` or `host:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = split_authority(text.as_bytes())?;
        Some(Self { host: String::from_utf8(host.to_ascii_lowercase()).ok()?, port })
    }

    fn admits(&self, host: &[u8], port: Option<u16>) -> bool {
        self.host.as_bytes().eq_ignore_ascii_case(host) && (self.port.is_none() || self.port == port)
    }
}

/// Splits `host` or `host:port`; `None` for anything else, user information and empty hosts included.
fn split_authority(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let host_length = match authority.strip_prefix(b"[") {
        Some(rest) => rest.iter().position(|byte| *byte == b']')?.checked_add(2)?,
        None => authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(host_length)?;
    let address = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    let well_formed = match address {
        Some(address) => {
            !address.is_empty() && address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte))
        }
        None => {
            !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(byte))
        }
    };
    let port = match rest.strip_prefix(b":") {
        None if rest.is_empty() => None,
        None => return None,
        Some(digits) => Some(port(digits)?),
    };
    well_formed.then_some((host, port))
}

fn port(digits: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sources(hosts: &[&str], origins: &[&str]) -> AllowedSources {
        AllowedSources {
            hosts: hosts.iter().map(|host| AllowedHost::parse(host).expect("a host")).collect(),
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        }
    }

    fn judge(sources: &AllowedSources, headers: &[(&str, &str)]) -> Result<(), SourceFault> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        sources.judge(&headers).map(|_| ())
    }

    #[test]
    fn hosts() {
        let sources = sources(&["gateway.example", "other.example:8443", "[::1]"], &[]);
        for good in [
            "gateway.example",
            "GATEWAY.Example",
            "gateway.example:443",
            "gateway.example:10000",
            "other.example:8443",
            "[::1]",
            "[::1]:80",
        ] {
            assert_eq!(judge(&sources, &[(":authority", good)]), Ok(()), "{good}");
        }
        for bad in [
            "",
            ":443",
            "evil.example",
            "gateway.example.",
            "gateway.example.evil.example",
            "gateway.example,evil.example",
            "gateway.example, gateway.example",
            "gateway.example:",
            "gateway.example:1@evil.example",
            "user@gateway.example",
            "gateway.example:443:443",
            "gateway.example:99999",
            "gateway.example:+443",
            "gateway.example/x",
            " gateway.example",
            "other.example",
            "other.example:443",
            "[::1",
            "[]",
            "[::1]x",
            "::1",
            "xn--gteway-1ta.example",
        ] {
            assert_eq!(judge(&sources, &[(":authority", bad)]), Err(SourceFault::Host), "{bad:?}");
        }
    }

    #[test]
    fn the_origin_is_told() {
        let sources = sources(&["gw.example"], &["https://app.example"]);
        let mut headers = vec![(b":authority".to_vec(), b"gw.example".to_vec())];
        assert_eq!(sources.judge(&headers), Ok(None));
        headers.push((b"origin".to_vec(), b"https://app.example".to_vec()));
        assert_eq!(sources.judge(&headers), Ok(Some("https://app.example")));
    }

    #[test]
    fn exactly_one_host() {
        let sources = sources(&["gateway.example"], &[]);
        assert_eq!(judge(&sources, &[]), Err(SourceFault::Host));
        assert_eq!(judge(&sources, &[("host", "gateway.example")]), Ok(()));
        let twice = [(":authority", "gateway.example"), ("host", "gateway.example")];
        assert_eq!(judge(&sources, &twice), Err(SourceFault::Host));
        let not_utf8 = vec![(b":authority".to_vec(), b"gateway.example\xff".to_vec())];
        assert_eq!(sources.judge(&not_utf8), Err(SourceFault::Host));
    }

    #[test]
    fn origins() {
        let sources = sources(&["gw.example"], &["https://gw.example", "https://app.example:8443", "null"]);
        let with = |origins: &[&str]| {
            let mut headers = vec![(":authority", "gw.example")];
            headers.extend(origins.iter().map(|origin| ("origin", *origin)));
            judge(&sources, &headers)
        };
        assert_eq!(with(&[]), Ok(()));
        assert_eq!(with(&["https://gw.example"]), Ok(()));
        assert_eq!(with(&["https://app.example:8443"]), Ok(()));
        for bad in [
            "",
            "null",
            "http://gw.example",
            "https://GW.example",
            "https://gw.example/",
            "https://gw.example:443",
            "https://app.example",
            "https://gw.example.evil.example",
            "https://gw.example,https://gw.example",
            "https://evil.example",
        ] {
            assert_eq!(with(&[bad]), Err(SourceFault::Origin), "{bad:?}");
        }
        assert_eq!(with(&["https://gw.example", "https://gw.example"]), Err(SourceFault::Origin));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(
            authority in proptest::collection::vec(any::<u8>(), 0..30),
            origin in proptest::collection::vec(any::<u8>(), 0..30),
        ) {
            let headers = vec![(b":authority".to_vec(), authority), (b"origin".to_vec(), origin)];
            prop_assert!(sources(&["gateway.example"], &[]).judge(&headers).is_err());
        }
    }
}
