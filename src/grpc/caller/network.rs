//! Where a call comes from, and whether a client may call from there.
//!
//! It comes from whoever holds the other end of the connection. Only where that is a
//! proxy which the operator named is a header looked at, and in it only what such
//! proxies have written: from the right, up to the first address that is none of
//! theirs. Whatever stands further left is the caller's to invent.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use tonic::metadata::MetadataMap;

use crate::config::{Proxies, ProxyHeader};

/// Where the call with this metadata comes from; `None` where nobody can tell.
/// `peer` is the other end of the connection.
pub(super) fn origin(proxies: &Proxies, peer: Option<IpAddr>, metadata: &MetadataMap) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if !is_in(&proxies.trusted, peer) {
        return Some(peer);
    }
    let (header, read): (_, fn(&str) -> Option<IpAddr>) = match proxies.header {
        ProxyHeader::XForwardedFor => ("x-forwarded-for", address),
        ProxyHeader::Forwarded => ("forwarded", forwarded),
    };
    let lines: Vec<_> = metadata.get_all(header).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let hop = read(hop.trim())?.to_canonical();
        if !is_in(&proxies.trusted, hop) {
            return Some(hop);
        }
    }
    None
}

/// Whether a call from `origin` may be made by whom these networks are given for;
/// without any of them from everywhere.
pub(super) fn is_from(networks: &[IpNet], origin: Option<IpAddr>) -> bool {
    networks.is_empty() || origin.is_some_and(|origin| is_in(networks, origin))
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The node of one element of `forwarded` (RFC 7239, sections 4 and 6).
fn forwarded(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(node.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn told(header: ProxyHeader, name: &'static str, lines: &[&str], peer: &str) -> Option<String> {
        let mut metadata = MetadataMap::new();
        for line in lines {
            metadata.append(name, line.parse().unwrap());
        }
        let proxies = Proxies { trusted: nets(&["10.0.0.1/32", "10.0.0.2/32", "fd00::/8"]), header };
        origin(&proxies, Some(peer.parse().unwrap()), &metadata).map(|address| address.to_string())
    }

    /// SR4: nobody moves into a network by writing a header.
    #[test]
    fn the_rightmost_address_that_is_no_proxys_counts() {
        let told = |lines: &[&str], peer: &str| told(ProxyHeader::XForwardedFor, "x-forwarded-for", lines, peer);
        for (lines, peer, expected) in [
            // Not through a proxy: whatever is written is the caller's word.
            (&["10.20.0.5"][..], "203.0.113.9", Some("203.0.113.9")),
            (&[], "203.0.113.9", Some("203.0.113.9")),
            (&["198.51.100.7"], "10.0.0.1", Some("198.51.100.7")),
            (&["10.20.0.5, 198.51.100.7"], "10.0.0.1", Some("198.51.100.7")),
            (&["10.20.0.5, 198.51.100.7, 10.0.0.2"], "10.0.0.1", Some("198.51.100.7")),
            (&["10.20.0.5", "198.51.100.7"], "10.0.0.1", Some("198.51.100.7")),
            (&["198.51.100.7:4711"], "10.0.0.1", Some("198.51.100.7")),
            (&["2001:db8::7"], "::ffff:10.0.0.1", Some("2001:db8::7")),
            (&["[2001:db8::7]:4711"], "fd00::1", Some("2001:db8::7")),
            (&["::ffff:198.51.100.7"], "10.0.0.1", Some("198.51.100.7")),
            // A proxy that does not say for whom speaks for nobody.
            (&[], "10.0.0.1", None),
            (&["10.0.0.2"], "10.0.0.1", None),
            (&["198.51.100.7, "], "10.0.0.1", None),
            (&["198.51.100.7, unknown"], "10.0.0.1", None),
            (&["198.51.100.7, 10.0.0.2, x"], "10.0.0.1", None),
        ] {
            assert_eq!(told(lines, peer).as_deref(), expected, "{lines:?} by {peer}");
        }
    }

    /// SR4.
    #[test]
    fn the_standard_header_is_read_when_it_is_chosen() {
        let told = |lines: &[&str]| told(ProxyHeader::Forwarded, "forwarded", lines, "10.0.0.1");
        for (lines, expected) in [
            (&["for=198.51.100.7"][..], Some("198.51.100.7")),
            (&["for=10.20.0.5, proto=https; For=\"198.51.100.7:4711\";by=10.0.0.1"], Some("198.51.100.7")),
            (&["for=\"10.20.0.5, for=198.51.100.7"], Some("198.51.100.7")),
            (&["for=\"[2001:db8::7]:4711\""], Some("2001:db8::7")),
            (&["for=10.20.0.5, by=10.0.0.1"], None),
            (&["for=_hidden"], None),
            (&["for=unknown"], None),
        ] {
            assert_eq!(told(lines).as_deref(), expected, "{lines:?}");
        }
        assert_eq!(super::tests::told(ProxyHeader::Forwarded, "x-forwarded-for", &["198.51.100.7"], "10.0.0.1"), None);
    }

    #[test]
    fn without_a_rule_all_addresses_are_right_and_with_one_unknown_ones_are_wrong() {
        let networks = nets(&["10.20.0.0/16", "2001:db8::/32"]);
        let is_from = |address: &str| super::is_from(&networks, Some(address.parse().unwrap()));
        assert!(is_from("10.20.255.1") && is_from("2001:db8::1"));
        assert!(!is_from("10.21.0.1") && !is_from("::1"));
        assert!(!super::is_from(&networks, None));
        assert!(super::is_from(&[], None));
    }
}
