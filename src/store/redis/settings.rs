//! Where Redis is, who we are there and how long to wait for it.

use std::time::Duration;

use secrecy::SecretString;

use crate::store::Formats;

/// What [`super::RedisStore::connect`] needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Redis is.
    pub place: Place,
    /// Who we are at the nodes that hold data; in the place of what a URL says.
    pub access: Access,
    /// Certificate authorities, as PEM, that are trusted instead of the public
    /// ones. For `rediss://`.
    pub ca_pem: Option<String>,
    /// For making a connection. Where several nodes must be asked for that, the
    /// whole takes up to three times as long.
    pub connect_timeout: Duration,
    /// For each answer.
    pub response_timeout: Duration,
    /// Between two signs of life of the subscription.
    pub ping_interval: Duration,
    /// For how long nothing is started after Redis was found empty or rolled back,
    /// so that whoever remembers its logins can put them back.
    pub settle_time: Duration,
    /// Which record formats this process writes and reads.
    pub formats: Formats,
    /// What starts and ends wait for besides the master; not in a cluster.
    pub wait: Option<Wait>,
}

/// The shapes that Redis comes in. URLs begin with `redis://` or `rediss://`.
#[derive(Clone, Debug)]
pub enum Place {
    /// One server.
    Standalone {
        /// With or without user and password.
        url: SecretString,
    },
    /// A master that Sentinels choose. It is reached by TLS when they are.
    Sentinel {
        /// What they call it.
        master: String,
        /// The Sentinels; at least one.
        urls: Vec<String>,
        /// Who we are at the Sentinels.
        access: Access,
    },
    /// A Redis Cluster.
    Cluster {
        /// Nodes that tell where the others are; at least one.
        urls: Vec<String>,
    },
}

/// A user of Redis; the default user when there is no name.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The user's name.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<SecretString>,
}

/// How many replicas must have a write, and how long they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// At least one.
    pub replicas: u32,
    /// Longer, and the write counts as not made.
    pub timeout: Duration,
}

impl Settings {
    /// The usual times for Redis at `place`.
    #[must_use]
    pub fn at(place: Place) -> Self {
        Self {
            place,
            access: Access::default(),
            ca_pem: None,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_millis(500),
            ping_interval: Duration::from_secs(2),
            settle_time: Duration::from_secs(5),
            formats: Formats::CURRENT,
            wait: None,
        }
    }

    /// The usual times for the one Redis at `url`.
    #[must_use]
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self::at(Place::Standalone { url: url.into() })
    }
}
