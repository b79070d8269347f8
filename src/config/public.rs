//! `[public]`: the listener that the world reaches.

use std::fmt;
use std::net::SocketAddr;

use url::Url;

use super::section::{Section, Table};
use super::service::{is_behind_a_proxy, local};
use super::{BaseUrl, Public, Tls};

/// Tables that are read later: there is a public listener.
pub(super) const IS_PUBLIC: &str = "there is a public listener";

impl Table for Public {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        section.establish(IS_PUBLIC);
        let has_tls = section.has("tls");
        let tls = section.table::<OwnTls>("tls").map(|OwnTls(tls)| tls);
        let listen: SocketAddr = section.or("listen", local(8080));
        is_behind_a_proxy(section, "public.tls", has_tls, listen);
        let allow_http = section.or("allow_insecure_base_url", false);
        let url: Option<Url> = section.required("base_url");
        let base_url = url.and_then(|url| {
            let base_url = BaseUrl::new(&url, allow_http);
            base_url.map_err(|problem| section.wrong("base_url", problem)).ok()
        });
        Some(Self { listen, base_url: base_url?, tls })
    }
}

/// A certificate and its key, and nothing about those of clients: nobody out there has
/// one.
struct OwnTls(Tls);

impl Table for OwnTls {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let (certificates, key) = Tls::read_pair(section);
        Some(Self(Tls { certificates: certificates?, key: key?, clients: None }))
    }
}

impl BaseUrl {
    /// Takes an https URL of a host and, perhaps, a path; `allow_http` lets http through,
    /// for tests.
    ///
    /// # Errors
    /// What would be right, in words for an operator.
    pub fn new(url: &Url, allow_http: bool) -> Result<Self, &'static str> {
        let is_plain = url.query().is_none() && url.fragment().is_none();
        let has_user = !url.username().is_empty() || url.password().is_some();
        match url.scheme() {
            _ if !is_plain || has_user || !url.has_host() => {
                return Err("must have a host, and no user, query or fragment");
            }
            "https" => {}
            "http" if allow_http => {}
            "http" => return Err("must begin with https://; only tests set allow_insecure_base_url = true"),
            _ => return Err("must begin with https://"),
        }
        let path = url.path().trim_end_matches('/');
        let is_segment = |segment: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !segment.is_empty() && segment.bytes().all(allowed)
        };
        if !path.is_empty() && !path[1..].split('/').all(is_segment) {
            return Err("must have a path of letters, digits and - . _ ~ between slashes, or none");
        }
        let mut url = url.clone();
        url.set_path(path);
        Ok(Self(url))
    }

    /// The host as a `Host` header has it: with the port where that is not the scheme's.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The path before all others: empty, or with a slash at its beginning and none at its
    /// end.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Where the world finds `path`, which begins with a slash.
    #[must_use]
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.prefix()));
        url
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}
