//! Which addresses are on the public internet. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Everything that the IANA special-purpose address registries (RFC 6890) and the multicast registries hold back from
/// the public internet, as network and prefix length. `192.88.99.0/24`, the old 6to4 relays, is among them.
const SPECIAL_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast and reserved, the broadcast address included.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Of IPv6, only `2000::/3` is given out for global unicast; these parts of it are not the public internet either.
/// Those that carry an IPv4 address are listed as a whole, so that no public address is ever reached through one.
const SPECIAL_V6: [(Ipv6Addr, u32); 5] = [
    // IETF protocol assignments, Teredo (2001::/32) and ORCHID among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    // AS112.
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    // Documentation (RFC 9637).
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Where clouds hand credentials to whoever asks.
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    // Amazon ECS tasks and EKS pods.
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    // Alibaba Cloud.
    Ipv4Addr::new(100, 100, 100, 200),
];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)];

/// Whether the address belongs to the public internet, and neither it nor an IPv4 address that it carries to a
/// special purpose.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            in_network_v6(address, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
                && !SPECIAL_V6.iter().any(|(network, length)| in_network_v6(address, *network, *length))
                && embedded(address).is_none_or(is_public_v4)
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|(network, length)| in_network_v4(address, *network, *length))
}

/// Whether no allow-list can open the address: it is nobody's, everybody's, or a metadata service's.
pub(super) fn never(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => never_v4(address),
        IpAddr::V6(address) => {
            address.is_unspecified()
                || address.is_multicast()
                || METADATA_V6.contains(&address)
                || embedded(address).is_some_and(never_v4)
        }
    }
}

fn never_v4(address: Ipv4Addr) -> bool {
    // 0.0.0.0/8 is this very machine, 224.0.0.0/3 many machines or none.
    address.octets()[0] == 0 || address.octets()[0] >= 224 || METADATA_V4.contains(&address)
}

/// Whether the address is the machine's own, an IPv4 one in IPv6 clothing included.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// The IPv4 address that a translator, tunnel or stack would send to in place of this one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let groups = address.segments();
    let [first, second, third, .., last_but_one, last] = groups;
    let at_the_end = join(last_but_one, last);
    match groups {
        // ::/96 compatible, apart from :: and ::1.
        [0, 0, 0, 0, 0, 0, ..] if last_but_one != 0 || last > 1 => Some(at_the_end),
        // ::ffff:0:0/96 mapped; ::ffff:0:0:0/96 translated (RFC 2765); 64:ff9b::/96 and 64:ff9b:1::/48 (RFC 6052,
        // RFC 8215), the latter with the address in its last 32 bits.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0 | 1, ..] => {
            Some(at_the_end)
        }
        // 2002::/16, 6to4.
        [0x2002, ..] => Some(join(second, third)),
        // 2001::/32, Teredo: the client's address, inverted.
        [0x2001, 0, ..] => Some(join(!last_but_one, !last)),
        // ISATAP (RFC 5214): ::0:5efe:a.b.c.d and ::200:5efe:a.b.c.d under any prefix.
        [.., 0 | 0x200, 0x5efe, _, _] if first != 0 => Some(at_the_end),
        _ => None,
    }
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))
}

fn in_network_v4(address: Ipv4Addr, network: Ipv4Addr, length: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
}

fn in_network_v6(address: Ipv6Addr, network: Ipv6Addr, length: u32) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().expect(text))
    }

    #[test]
    fn the_public_internet() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "2001:200::1",
            "2001:4860:4860::8888",
        ] {
            assert!(public(text), "{text}");
        }
    }

    #[test]
    fn everything_else() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::a00:1",
            "100::1",
            "100:0:0:1::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:80ff:fffe",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "2620:4f:8000::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2606:4700::5efe:a00:1",
            "2606:4700::200:5efe:7f00:1",
        ] {
            assert!(!public(text), "{text}");
        }
    }

    #[test]
    fn what_no_allow_list_opens() {
        for text in [
            "0.0.0.0",
            "0.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "::",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
        ] {
            assert!(never(text.parse().expect(text)), "{text}");
        }
        for text in ["127.0.0.1", "10.0.0.1", "169.254.1.1", "::1", "fd00::1", "::ffff:10.0.0.1", "8.8.8.8"] {
            assert!(!never(text.parse().expect(text)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_clothing_makes_an_address_public(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let ([a, b, c, d], v6) = (address.octets().map(u16::from), address.to_ipv6_mapped());
            let (high, low) = ((a << 8) | b, (c << 8) | d);
            for clothed in [
                v6,
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
            ] {
                prop_assert!(!is_public(clothed.into()), "{clothed}");
                prop_assert_eq!(never(clothed.into()), never_v4(address) || clothed.is_unspecified(), "{}", clothed);
            }
            let isatap = Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0x5efe, high, low);
            prop_assert_eq!(is_public(isatap.into()), is_public_v4(address));
        }

        #[test]
        fn what_the_standard_library_knows_is_not_public(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation();
            prop_assert!(!(special && is_public(address.into())));
        }

        #[test]
        fn the_first_eighth_of_unicast_and_nothing_else(bits in any::<u128>()) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert!(bits >> 125 == 1 || !is_public(address.into()));
        }
    }
}
