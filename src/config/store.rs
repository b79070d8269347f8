//! `[store]`: memory, or Redis in one of its shapes.

use std::net::Ipv4Addr;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;
use url::{Host, Url};

use super::secrets::Given;
use super::section::{Section, Table};
use super::service::seconds;
use super::{Certificates, Keys, Redis, RedisAccess, RedisPlace, Store};

/// What a URL of Redis that tells everything looks like.
const WHOLE_URL: &str = "must be a URL, as rediss://user:password@host:6379/0";
/// What one of several looks like.
const NODE_URL: &str = "must be a URL of host and port alone, as rediss://host:6379";
const SHAPES: &str = "give one of url, url_file, [store.sentinel] and [store.cluster]";

/// Where logins are kept.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoreKind {
    Redis,
    Memory,
}

/// `[store]` by itself; `[keys]` joins it in [`super::Config`].
pub(super) enum StoreSection {
    Memory,
    Redis(Box<RedisSection>),
}

/// [`Redis`] without its keys.
pub(super) struct RedisSection {
    place: RedisPlace,
    access: RedisAccess,
    ca_certificates: Option<Certificates>,
    connect_timeout: Duration,
    response_timeout: Duration,
    settle_time: Duration,
    wait_replicas: u32,
    wait_timeout: Duration,
}

impl StoreSection {
    pub(super) fn with_keys(self, keys: Option<Keys>) -> Option<Store> {
        let Self::Redis(redis) = self else { return Some(Store::Memory) };
        Some(Store::Redis(Box::new(Redis {
            place: redis.place,
            access: redis.access,
            ca_certificates: redis.ca_certificates,
            connect_timeout: redis.connect_timeout,
            response_timeout: redis.response_timeout,
            settle_time: redis.settle_time,
            wait_replicas: redis.wait_replicas,
            wait_timeout: redis.wait_timeout,
            keys: keys?,
        })))
    }
}

impl Table for StoreSection {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let kind: Option<StoreKind> = section.required("kind");
        let trusted = section.agreed("plaintext", "trusted-network");
        let is_cluster = section.has("cluster");
        let place = section.place(matches!(kind, Some(StoreKind::Redis)), trusted);
        let access = section.access();
        let is_file_of_use = place.as_ref().is_none_or(uses_tls);
        let ca_certificates = section.certificates("ca_file");
        section.check("ca_file", ca_certificates.as_ref(), |_| is_file_of_use, "is of use with rediss:// only");
        let bounds = Duration::from_millis(50)..=seconds(30);
        let connect_timeout = section.within("connect_timeout", seconds(2), bounds.clone());
        let response_timeout = section.within("response_timeout", seconds(1), bounds);
        let settle_time = section.within("settle_time", seconds(5), seconds(0)..=seconds(60));
        let wait_replicas = section.within("wait_replicas", 0, 0..=10);
        if is_cluster && wait_replicas > 0 {
            section.wrong("wait_replicas", "must be 0 with [store.cluster]; set min-replicas-to-write on its nodes");
        }
        let wait_bounds = Duration::from_millis(10)..=seconds(10);
        let wait_timeout = section.within("wait_timeout", Duration::from_millis(500), wait_bounds);
        match kind? {
            StoreKind::Memory => Some(Self::Memory),
            StoreKind::Redis => Some(Self::Redis(Box::new(RedisSection {
                place: place?,
                access,
                ca_certificates,
                connect_timeout,
                response_timeout,
                settle_time,
                wait_replicas,
                wait_timeout,
            }))),
        }
    }
}

impl Section<'_> {
    /// The one shape that is given; there must be one where `needed`.
    fn place(&mut self, needed: bool, trusted: bool) -> Option<RedisPlace> {
        let has_url = self.has("url") || self.has("url_file");
        let shapes: Vec<&str> =
            [("url", has_url), ("sentinel", self.has("sentinel")), ("cluster", self.has("cluster"))]
                .into_iter()
                .filter_map(|(key, is_given)| is_given.then_some(key))
                .collect();
        if needed && shapes.is_empty() {
            self.need("url", SHAPES);
        }
        let url = self.secret("url", "url_file");
        let sentinel = self.table::<Sentinel>("sentinel");
        let cluster = self.table::<Cluster>("cluster");
        if let [_, others @ ..] = shapes.as_slice() {
            for key in others {
                self.wrong(key, format_args!("stands beside {}; {SHAPES}", shapes[0]));
            }
        }
        if let Some(Given { key, secret }) = &url
            && let Some(problem) = problem_of(secret.expose_secret(), trusted, WHOLE_URL)
        {
            self.wrong(key, problem);
        }
        for (key, urls) in [
            ("sentinel", sentinel.as_ref().map(|found| &found.urls)),
            ("cluster", cluster.as_ref().map(|found| &found.0)),
        ] {
            if let Some(problem) = urls.and_then(|urls| problem_among(urls, trusted)) {
                self.wrong(key, problem);
            }
        }
        match (url, sentinel, cluster) {
            (Some(url), _, _) => Some(RedisPlace::Standalone(url.secret)),
            (None, Some(Sentinel { master, urls, access }), _) => Some(RedisPlace::Sentinel { master, urls, access }),
            (None, None, Some(Cluster(urls))) => Some(RedisPlace::Cluster(urls)),
            (None, None, None) => None,
        }
    }

    fn access(&mut self) -> RedisAccess {
        let username = self.optional("username");
        let password = self.secret("password", "password_file").map(|given| given.secret);
        if username.is_some() && password.is_none() {
            self.wrong("username", "needs a password; give password or password_file");
        }
        RedisAccess { username, password }
    }
}

/// `[store.sentinel]`
struct Sentinel {
    master: String,
    urls: Vec<String>,
    access: RedisAccess,
}

impl Table for Sentinel {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let master = section.required("master");
        section.need("urls", "name two Sentinels or more");
        let urls = section.list_of_some("urls", "name two Sentinels or more");
        let access = section.access();
        Some(Self { master: master?, urls: urls?, access })
    }
}

/// `[store.cluster]`
struct Cluster(Vec<String>);

impl Table for Cluster {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        section.need("urls", "name two nodes or more");
        section.list_of_some("urls", "name two nodes or more").map(Self)
    }
}

fn uses_tls(place: &RedisPlace) -> bool {
    let is_tls = |url: &str| url.starts_with("rediss:");
    match place {
        RedisPlace::Standalone(url) => is_tls(url.expose_secret()),
        RedisPlace::Sentinel { urls, .. } | RedisPlace::Cluster(urls) => urls.iter().any(|url| is_tls(url)),
    }
}

/// What is wrong with the first of several URLs that is not right.
fn problem_among(urls: &[String], trusted: bool) -> Option<String> {
    for (index, text) in urls.iter().enumerate() {
        let is_bare = |url: &Url| {
            let has_path = !matches!(url.path(), "" | "/") || url.query().is_some();
            url.username().is_empty() && url.password().is_none() && !has_path
        };
        let problem = problem_of(text, trusted, NODE_URL)
            .or_else(|| Url::parse(text).is_ok_and(|url| !is_bare(&url)).then_some(NODE_URL));
        if let Some(problem) = problem {
            return Some(format!("has urls[{index}], which {problem}"));
        }
    }
    let schemes = urls.iter().filter(|url| url.starts_with("rediss:")).count();
    (schemes != 0 && schemes != urls.len()).then(|| "has urls that must all begin with rediss://, or none".to_owned())
}

fn problem_of(text: &str, trusted: bool, expected: &'static str) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else {
        return Some(expected);
    };
    match url.scheme() {
        "rediss" | "redis" if url.host().is_none() => Some(expected),
        "rediss" => None,
        "redis" if trusted || is_loopback(&url) => None,
        "redis" => Some(
            "must begin with rediss:// unless it is on this machine; \
             where the network between is trusted, set plaintext = \"trusted-network\"",
        ),
        _ => Some("must begin with rediss:// or redis://"),
    }
}

/// URLs of other schemes than the web's keep an IPv4 address as a name.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
