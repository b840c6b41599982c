//! Which addresses of the internet are ordinary ones.
//!
//! The special ones are those of the IANA registries, plus what clouds use for metadata. An IPv6 address that only
//! carries an IPv4 one is judged as that one.
//!
//! The one law: an address that is not known to be ordinary is special.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// A host of the public internet.
    Public,
    /// Special, for the reason given; an operator may allow it.
    Special(&'static str),
    /// A cloud's metadata service, which hands out credentials to whoever asks; nobody may allow it.
    Metadata,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len)
}

/// The network whose first 32 bits are these.
const fn v6(first: u16, second: u16, len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), len)
}

const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "shared (carrier NAT)"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "cloud platform"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignment"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "relay anycast"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmark"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast"),
];

/// Everything outside is loopback, private, link-local, multicast or not assigned.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (v6(0x2001, 0, 23), "protocol assignment"),
    (v6(0x2001, 0xdb8, 32), "documentation"),
    (v6(0x2002, 0, 16), "6to4 tunnel"),
    (v6(0x3fff, 0, 20), "documentation"),
];

/// The translators' prefix: the last four bytes are the IPv4 address that is meant.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The address that is really meant: an IPv4 one carried in IPv6 becomes itself.
pub(crate) fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    if let Some(four) = six.to_ipv4_mapped() {
        return IpAddr::V4(four);
    }
    if NAT64.contains(&six) {
        let [.., a, b, c, d] = six.octets();
        return IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    }
    address
}

/// What the address is for.
pub(crate) fn nature(address: IpAddr) -> Nature {
    let address = meant(address);
    if METADATA.contains(&address) {
        return Nature::Metadata;
    }
    match address {
        IpAddr::V4(four) => of_v4(four),
        IpAddr::V6(six) => of_v6(six),
    }
}

fn of_v4(address: Ipv4Addr) -> Nature {
    let found = SPECIAL_V4.iter().find(|(net, _)| net.contains(&address));
    found.map_or(Nature::Public, |(_, reason)| Nature::Special(reason))
}

fn of_v6(address: Ipv6Addr) -> Nature {
    if !GLOBAL_V6.contains(&address) {
        let reason = if address.is_loopback() {
            "loopback"
        } else if address.is_unique_local() {
            "private"
        } else if address.is_unicast_link_local() {
            "link-local"
        } else if address.is_multicast() {
            "multicast"
        } else {
            "not a public"
        };
        return Nature::Special(reason);
    }
    let found = SPECIAL_V6.iter().find(|(net, _)| net.contains(&address));
    found.map_or(Nature::Public, |(_, reason)| Nature::Special(reason))
}

/// A network as an operator writes it: `10.0.0.0/8`, `fd00::/8` or a single address.
pub(crate) fn parse_net(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.ok().map(|it| it.trunc())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::{Nature, nature, parse_net};

    fn of(text: &str) -> Nature {
        nature(text.parse().unwrap())
    }

    #[test]
    fn hosts_of_the_internet_are_public() {
        for address in [
            "8.8.8.8",
            "52.218.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "2600:1f68:8000::1",
            "2a00:1450:4001:827::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(of(address), Nature::Public, "{address}");
        }
    }

    #[test]
    fn special_networks_are_special_in_every_spelling() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(
                matches!(of(address), Nature::Special(_)),
                "{address}: {:?}",
                of(address)
            );
        }
    }

    #[test]
    fn metadata_services_are_known_in_every_spelling() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
        ] {
            assert_eq!(of(address), Nature::Metadata, "{address}");
        }
    }

    #[test]
    fn networks_are_read_as_operators_write_them() {
        assert_eq!(parse_net("127.0.0.1").unwrap().to_string(), "127.0.0.1/32");
        assert_eq!(parse_net(" 10.1.2.3/8 ").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(parse_net("::1").unwrap().to_string(), "::1/128");
        assert_eq!(parse_net("localhost"), None);
    }

    proptest! {
        /// Whatever std calls special is never public for us, plain or carried in IPv6.
        #[test]
        fn nothing_special_passes(bits: u32) {
            let four = Ipv4Addr::from(bits);
            let special = four.is_private() || four.is_loopback() || four.is_link_local()
                || four.is_broadcast() || four.is_multicast() || four.is_unspecified()
                || four.is_documentation();
            let plain = nature(IpAddr::V4(four));
            prop_assert!(!(special && plain == Nature::Public));
            prop_assert_eq!(nature(IpAddr::V6(four.to_ipv6_mapped())), plain);
        }
    }
}
