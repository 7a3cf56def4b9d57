//! Judging a URL, and the addresses that its host stands for. Pure.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use super::{EgressError, EgressPolicy, address};

const HTTPS_PORT: u16 = 443;
/// The longest name that DNS has (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// A URL that may be fetched if its host resolves well.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// As it is in the URL, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Set where the URL has an address for a host.
    pub(super) literal: Option<IpAddr>,
    reach: Reach,
}

/// Which addresses a host may have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reach {
    Loopback,
    /// Public ones (on port 443), and those in the networks that the allow-list names for the host.
    Ordinary(Vec<IpNet>),
}

impl Target {
    pub(super) fn judge(url: &Url, policy: &EgressPolicy) -> Result<Self, EgressError> {
        let host = url.host().ok_or(EgressError::Refused("it has no host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::Refused("it holds a user name or password"));
        }
        if url.fragment().is_some() {
            return Err(EgressError::Refused("it has a fragment"));
        }
        let (text, literal) = match host {
            Host::Domain(name) => (name.to_owned(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        if text.len() > MAX_HOST {
            return Err(EgressError::Refused("its host is longer than 253 bytes"));
        }
        let port = url.port_or_known_default().ok_or(EgressError::Refused("its scheme must be https"))?;
        let local =
            policy.development_loopback && literal.map_or_else(|| is_localhost(&text), address::is_loopback);
        let reach =
            if local { Reach::Loopback } else { Reach::Ordinary(networks(policy, &host.to_string())) };
        let target = Self { host: text, port, literal, reach };
        target.check_scheme(url.scheme())?;
        target.check_port()?;
        match literal {
            Some(address) if !target.permits(address) => Err(NOT_PUBLIC),
            _ => Ok(target),
        }
    }

    fn check_scheme(&self, scheme: &str) -> Result<(), EgressError> {
        match (scheme, &self.reach) {
            ("https", _) | ("http", Reach::Loopback) => Ok(()),
            ("http", Reach::Ordinary(_)) => {
                Err(EgressError::Refused("plain http is not used; it must be https"))
            }
            _ => Err(EgressError::Refused("its scheme must be https")),
        }
    }

    fn check_port(&self) -> Result<(), EgressError> {
        let any_port = match &self.reach {
            Reach::Loopback => true,
            Reach::Ordinary(networks) => !networks.is_empty(),
        };
        if any_port || self.port == HTTPS_PORT {
            return Ok(());
        }
        Err(EgressError::Refused("its port must be 443 unless the host is on the allow-list"))
    }

    fn permits(&self, address: IpAddr) -> bool {
        match &self.reach {
            Reach::Loopback => address::is_loopback(address),
            Reach::Ordinary(networks) => {
                // An allowed 10.0.0.1 that the resolver clothes as ::ffff:10.0.0.1 is dialled as what it is.
                let allowed = networks.iter().any(|network| network.contains(&address.to_canonical()));
                !address::never(address)
                    && (allowed || (self.port == HTTPS_PORT && address::is_public(address)))
            }
        }
    }

    /// What is left of the addresses that the host resolved to, `own` listeners apart.
    pub(super) fn permitted(
        &self,
        resolved: &[IpAddr],
        own: &[SocketAddr],
    ) -> Result<Vec<SocketAddr>, EgressError> {
        if resolved.is_empty() {
            return Err(EgressError::Unreachable);
        }
        let permitted = resolved.iter().filter(|address| self.permits(**address));
        let addresses: Vec<_> = permitted
            .map(|address| SocketAddr::new(*address, self.port))
            .filter(|address| !own.iter().any(|listener| reaches(*address, *listener)))
            .collect();
        if addresses.is_empty() { Err(NOT_PUBLIC) } else { Ok(addresses) }
    }
}

/// Whether `address` leads to `listener`, as far as can be said without knowing the machine's own addresses.
fn reaches(address: SocketAddr, listener: SocketAddr) -> bool {
    let (from, to) = (address.ip().to_canonical(), listener.ip().to_canonical());
    address.port() == listener.port() && (from == to || (to.is_unspecified() && from.is_loopback()))
}

const NOT_PUBLIC: EgressError =
    EgressError::Refused("it is not on the public internet, and not on the allow-list for this host");

/// `localhost` and the names below it (RFC 6761, section 6.3).
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn networks(policy: &EgressPolicy, host: &str) -> Vec<IpNet> {
    policy.allowed.iter().filter(|entry| entry.host == host).map(|entry| entry.network).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{AllowedPrivate, AllowedPrivateError};
    use super::*;
    use proptest::prelude::*;

    fn judge(text: &str, policy: &EgressPolicy) -> Result<Target, EgressError> {
        Target::judge(&Url::parse(text).map_err(|_| EgressError::Refused("not a URL"))?, policy)
    }

    fn strict(text: &str) -> Result<Target, EgressError> {
        judge(text, &EgressPolicy::default())
    }

    fn private() -> EgressPolicy {
        let entry = |host, network| AllowedPrivate::parse(host, network).expect("an entry");
        EgressPolicy {
            allowed: vec![
                entry("mcp.internal", "10.1.0.0/16"),
                entry("MCP.internal", "fd00:1::/32"),
                entry("10.9.0.1", "10.9.0.0/24"),
                entry("meta.internal", "169.254.0.0/16"),
            ],
            ..EgressPolicy::default()
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn names_on_port_443() {
        for text in ["https://mcp.linear.app/mcp", "https://a.example:443", "https://A.example/x?y=$(z);--q"]
        {
            let target = strict(text).expect(text);
            assert_eq!((target.port, target.literal), (443, None));
        }
        assert_eq!(strict("https://1.1.1.1/").expect("public").literal, Some(address("1.1.1.1")));
        assert!(strict("https://[2606:4700:4700::1111]/").is_ok());
    }

    #[test]
    fn other_schemes_ports_and_parts() {
        for text in [
            "http://a.example/",
            "file:///etc/passwd",
            "gopher://a.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://a.example/",
            "ws://a.example/",
            "unix:/run/x",
            "https://a.example:8443/",
            "https://a.example:80/",
            "https://me@a.example/",
            "https://me:pw@a.example/",
            "https://:pw@a.example/",
            "https://a.example/#x",
            "http://localhost/",
            "http://127.0.0.1/",
            "mailto:a@b.example",
        ] {
            assert!(matches!(strict(text), Err(EgressError::Refused(_))), "{text}");
        }
        let long = format!("https://{}example/", "a.".repeat(130));
        assert!(strict(&long).is_err());
    }

    #[test]
    fn every_spelling_of_an_address_inside() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0",
            "0.0.0.0",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "127。0。0。1",
            "①②⑦.0.0.1",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "100.64.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "10.0.0.1",
            "192.168.0.1",
            "172.16.0.1",
            "100.100.100.200",
        ] {
            let text = format!("https://{host}/");
            assert!(matches!(strict(&text), Err(EgressError::Refused(_))), "{host}");
        }
    }

    #[test]
    fn names_that_resolve_inside() {
        for name in
            ["localhost", "localhost.", "metadata.google.internal", "127.0.0.1.nip.io", "portcullis.internal"]
        {
            let target = strict(&format!("https://{name}/")).expect("nothing is known of it yet");
            for inside in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:10.0.0.1", "fd00::1"] {
                assert_eq!(target.permitted(&[address(inside)], &[]), Err(NOT_PUBLIC), "{name} {inside}");
            }
            assert_eq!(target.permitted(&[], &[]), Err(EgressError::Unreachable));
            let mixed = target.permitted(&[address("127.0.0.1"), address("1.1.1.1"), address("::1")], &[]);
            assert_eq!(mixed, Ok(vec!["1.1.1.1:443".parse().expect("an address")]));
        }
    }

    #[test]
    fn the_allow_list_is_for_host_and_network() {
        let permitted = |url: &str, to: &str| {
            judge(url, &private()).and_then(|target| target.permitted(&[address(to)], &[]))
        };
        assert!(permitted("https://mcp.internal:8443/mcp", "10.1.2.3").is_ok());
        assert!(permitted("https://mcp.internal/mcp", "fd00:1::5").is_ok());
        assert!(permitted("https://mcp.internal/mcp", "::ffff:10.1.2.3").is_ok());
        assert!(permitted("https://mcp.internal/mcp", "1.1.1.1").is_ok(), "public on 443, as ever");
        assert!(permitted("https://10.9.0.1:9000/mcp", "10.9.0.1").is_ok());
        for (url, to) in [
            ("https://mcp.internal:8443/mcp", "10.2.0.1"),
            ("https://mcp.internal:8443/mcp", "127.0.0.1"),
            ("https://mcp.internal:8443/mcp", "1.1.1.1"),
            ("https://other.internal/mcp", "10.1.2.3"),
            ("https://mcp.internal.evil.example/mcp", "10.1.2.3"),
            ("http://mcp.internal/mcp", "10.1.2.3"),
            ("https://10.9.0.2:9000/mcp", "10.9.0.2"),
            ("https://meta.internal/latest", "169.254.169.254"),
            ("https://meta.internal/latest", "::ffff:169.254.169.254"),
        ] {
            assert!(matches!(permitted(url, to), Err(EgressError::Refused(_))), "{url} {to}");
        }
    }

    #[test]
    fn loopback_in_development() {
        let policy = EgressPolicy { development_loopback: true, ..EgressPolicy::default() };
        for text in
            ["http://127.0.0.1:9/", "http://localhost:9/", "http://as.localhost:9/", "http://[::1]:9/"]
        {
            let target = judge(text, &policy).expect(text);
            assert!(target.permitted(&[address("127.0.0.1")], &[]).is_ok(), "{text}");
            assert_eq!(target.permitted(&[address("1.1.1.1")], &[]), Err(NOT_PUBLIC), "{text}");
        }
        for text in ["http://a.example/", "http://10.0.0.1/", "http://0.0.0.0/", "https://a.example:9/"] {
            assert!(judge(text, &policy).is_err(), "{text}");
        }
        let named = judge("https://rebound.example/", &policy).expect("a name");
        assert_eq!(named.permitted(&[address("127.0.0.1")], &[]), Err(NOT_PUBLIC));
    }

    #[test]
    fn never_to_our_own_listeners() {
        let policy = EgressPolicy { development_loopback: true, ..EgressPolicy::default() };
        let target = judge("http://localhost:8081/", &policy).expect("a target");
        for (listener, kept) in [
            ("127.0.0.1:8081", 0),
            ("0.0.0.0:8081", 0),
            ("[::]:8081", 0),
            ("[::ffff:127.0.0.1]:8081", 0),
            ("127.0.0.1:8082", 1),
            ("127.0.0.2:8081", 1),
        ] {
            let own = [listener.parse().expect("an address")];
            let permitted = target.permitted(&[address("127.0.0.1")], &own);
            assert_eq!(permitted.map_or(0, |addresses| addresses.len()), kept, "{listener}");
        }
    }

    #[test]
    fn entries_of_the_allow_list() {
        for (host, network, error) in [
            ("https://a.example", "10.0.0.0/8", AllowedPrivateError::Host),
            ("a.example:443", "10.0.0.0/8", AllowedPrivateError::Host),
            ("*.example", "10.0.0.0/8", AllowedPrivateError::Host),
            ("", "10.0.0.0/8", AllowedPrivateError::Host),
            ("a.example", "10.0.0.1", AllowedPrivateError::Network),
            ("a.example", "ten", AllowedPrivateError::Network),
            (
                "a.example",
                "10.0.0.1/8",
                AllowedPrivateError::HostBits("10.0.0.0/8".parse().expect("a network")),
            ),
            ("a.example", "0.0.0.0/0", AllowedPrivateError::TooWide),
            ("a.example", "::/0", AllowedPrivateError::TooWide),
            ("a.example", "224.0.0.0/8", AllowedPrivateError::NoServers),
            ("a.example", "169.254.169.254/32", AllowedPrivateError::NoServers),
        ] {
            assert_eq!(AllowedPrivate::parse(host, network), Err(error), "{host} {network}");
        }
    }

    proptest! {
        #[test]
        fn any_url_is_judged_without_panic(text in "(https?|file)://[a-z0-9.:@%\\[\\]x]{0,30}[/#?a]{0,3}") {
            if let Ok(target) = strict(&text) {
                prop_assert_eq!(target.port, 443);
                prop_assert!(target.literal.is_none_or(address::is_public));
            }
        }

        #[test]
        fn without_a_policy_only_public_addresses_are_left(bits in any::<u128>(), v4 in any::<u32>()) {
            let target = strict("https://a.example/").expect("a name");
            let resolved = [IpAddr::from(bits.to_be_bytes()), IpAddr::from(v4.to_be_bytes())];
            for kept in target.permitted(&resolved, &[]).unwrap_or_default() {
                prop_assert!(address::is_public(kept.ip()) && kept.port() == 443);
            }
        }
    }
}
