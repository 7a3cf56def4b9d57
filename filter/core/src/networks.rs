//! Whether a client's address lies in the networks that a credential may be used from.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Whether one of `networks` (CIDR) holds `source`, an address with a port behind it or without. A network or an
/// address that cannot be read admits nobody.
pub fn admit(networks: &[String], source: &str) -> bool {
    let Some(address) = address(source) else { return false };
    networks
        .iter()
        .filter_map(|network| network.parse::<IpNet>().ok())
        .any(|network| network.contains(&address))
}

/// IPv4 clients of a listener for both versions come as `::ffff:192.0.2.1`; the networks have them as `192.0.2.1`.
pub(crate) fn address(source: &str) -> Option<IpAddr> {
    let with_port = source.parse::<SocketAddr>().map(|source| source.ip());
    let address = with_port.or_else(|_| source.parse()).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admitted(networks: &[&str], source: &str) -> bool {
        let networks: Vec<String> = networks.iter().map(|network| (*network).to_owned()).collect();
        admit(&networks, source)
    }

    #[test]
    fn inside_and_outside() {
        for (networks, source, expected) in [
            (&["192.0.2.0/24"][..], "192.0.2.7:40000", true),
            (&["192.0.2.0/24"], "192.0.2.7", true),
            (&["192.0.2.0/24"], "[::ffff:192.0.2.7]:40000", true),
            (&["192.0.2.0/24"], "192.0.3.7:40000", false),
            (&["192.0.2.7/32"], "192.0.2.7:1", true),
            (&["192.0.2.7/32"], "192.0.2.8:1", false),
            (&["0.0.0.0/0"], "203.0.113.1:1", true),
            (&["0.0.0.0/0"], "[2001:db8::1]:1", false),
            (&["2001:db8::/32"], "[2001:db8::1]:443", true),
            (&["2001:db8::/32"], "2001:db8::1", true),
            (&["2001:db8::/32"], "[2001:db9::1]:443", false),
            (&["198.51.100.0/24", "192.0.2.0/24"], "192.0.2.7:1", true),
            (&[], "192.0.2.7:1", false),
        ] {
            assert_eq!(admitted(networks, source), expected, "{source} in {networks:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_admits_nobody() {
        for network in ["", "192.0.2.0", "192.0.2.0/33", "192.0.2.0/24 ", "192.0.2/24", "any", "*", "::/129"]
        {
            assert!(!admitted(&[network], "192.0.2.7:1"), "{network}");
            assert!(admitted(&[network, "192.0.2.0/24"], "192.0.2.7:1"), "{network} does not count");
        }
        for source in
            ["", "192.0.2.7:", "192.0.2.7:99999", "192.0.2.07:1", "localhost:1", "@pipe", "[::1]", "::1:x"]
        {
            assert!(!admitted(&["0.0.0.0/0", "::/0"], source), "{source}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_arithmetic(network in any::<u32>(), length in 1_u8..=32, address in any::<u32>(), port: u16) {
            let mask = u32::MAX << (32 - length);
            let text = |bits: u32| std::net::Ipv4Addr::from(bits).to_string();
            let inside = network & mask == address & mask;
            let network = format!("{}/{length}", text(network));
            prop_assert_eq!(admitted(&[&network], &format!("{}:{port}", text(address))), inside);
        }

        #[test]
        fn any_text_is_judged_without_panic(network in ".{0,20}", source in ".{0,20}") {
            admitted(&[&network], &source);
        }
    }
}
