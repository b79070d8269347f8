//! Which addresses the gateway may call.
//!
//! A discovery document is untrusted input: it may name endpoints only on hosts
//! that the operator named, over https, and no name may lead into the private
//! network. One flag lifts the last two for the simulator. A webhook has the one
//! host of its own URL.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The longest name of a host (RFC 1035, section 2.3.4). URLs may have longer ones;
/// what is told of them ends here.
const MAX_HOST_NAME: usize = 253;

/// Why a URL is not called, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenUrl {
    /// Not https.
    #[error("must be an https URL without query, fragment and user name")]
    NotHttps,
    /// A host that nobody named.
    #[error("names the host {0:?}, which is neither the issuer's nor listed in additional_hosts")]
    ForeignHost(String),
    /// An address inside a private network.
    #[error("names a loopback or private address")]
    PrivateAddress,
}

/// The rule for one provider or webhook: its hosts, fixed when the process starts.
#[derive(Clone, Debug)]
pub(crate) struct AllowedHosts {
    hosts: BTreeSet<String>,
    allow_http: bool,
    allow_private: bool,
}

impl AllowedHosts {
    /// The issuer's host and what else the operator named.
    pub(crate) fn new(issuer: &Url, additional: &BTreeSet<String>, allow_insecure: bool) -> Self {
        let own = issuer.host_str().map(str::to_owned);
        let hosts = additional.iter().map(|host| host.to_ascii_lowercase()).chain(own).collect();
        Self { hosts, allow_http: allow_insecure, allow_private: allow_insecure }
    }

    /// The host of this URL alone, over https.
    pub(crate) fn only(url: &Url, allow_private: bool) -> Self {
        Self { allow_http: false, allow_private, ..Self::new(url, &BTreeSet::new(), false) }
    }

    /// The same, and private addresses too.
    pub(crate) fn with_private_addresses(self) -> Self {
        Self { allow_private: true, ..self }
    }

    /// Whether this URL may be called.
    pub(crate) fn check(&self, url: &Url) -> Result<(), ForbiddenUrl> {
        let has_scheme = url.scheme() == "https" || (self.allow_http && url.scheme() == "http");
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !has_scheme || !is_plain || url.query().is_some() || url.fragment().is_some() {
            return Err(ForbiddenUrl::NotHttps);
        }
        let host = url.host_str().unwrap_or_default();
        if !self.hosts.contains(host) {
            return Err(ForbiddenUrl::ForeignHost(host.chars().take(MAX_HOST_NAME).collect()));
        }
        // A literal address never meets the resolver below.
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        match address {
            Some(address) if !self.allow_private && !is_public(address) => Err(ForbiddenUrl::PrivateAddress),
            _ => Ok(()),
        }
    }
}

/// Resolves names as the system does and forgets what is not a public address.
pub(crate) struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is on the public Internet (IANA special-purpose registries).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or_else(|| is_public_v6(address), is_public_v4),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let special = matches!(
        (octets[0], octets[1], octets[2]),
        (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _) | (240..=255, ..)
    );
    !(special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

const fn is_public_v6(address: Ipv6Addr) -> bool {
    // 2000::/3 is all that is given out; 2001:db8::/32 in it is for examples,
    // 2002::/16 wraps IPv4 addresses of any kind.
    let segments = address.segments();
    let documentation = segments[0] == 0x2001 && segments[1] == 0x0db8;
    segments[0] & 0xe000 == 0x2000 && !documentation && segments[0] != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_private_networks_are_not_public() {
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "198.18.0.1",
            "224.0.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["20.50.2.47", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_needs_https_a_named_host_and_nothing_beside_the_path() {
        let issuer = Url::parse("https://api.example.com/a/").unwrap();
        let hosts = AllowedHosts::new(&issuer, &BTreeSet::from(["Login.example.com".to_owned()]), false);
        let check = |url: &str| hosts.check(&Url::parse(url).unwrap());

        assert_eq!(check("https://api.example.com/token"), Ok(()));
        assert_eq!(check("https://login.example.com:8443/token"), Ok(()));
        for refused in [
            "http://api.example.com/token",
            "ftp://api.example.com/",
            "https://user@api.example.com/",
            "https://api.example.com/?next=1",
            "https://api.example.com/#a",
        ] {
            assert_eq!(check(refused), Err(ForbiddenUrl::NotHttps), "{refused}");
        }
        for foreign in ["https://evil.example/", "https://api.example.com.evil.example/", "https://127.0.0.1/"] {
            assert!(matches!(check(foreign), Err(ForbiddenUrl::ForeignHost(_))), "{foreign}");
        }
    }

    #[test]
    fn a_private_address_needs_the_flag_even_when_it_is_named() {
        let issuer = Url::parse("https://10.0.0.1/").unwrap();
        let strict = AllowedHosts::new(&issuer, &BTreeSet::new(), false);
        let lenient = AllowedHosts::new(&issuer, &BTreeSet::new(), true);

        assert_eq!(strict.check(&issuer), Err(ForbiddenUrl::PrivateAddress));
        assert_eq!(lenient.check(&issuer), Ok(()));
        assert_eq!(lenient.check(&Url::parse("http://10.0.0.1/").unwrap()), Ok(()));
    }
}
