//! Configuration files for the gateways of the stories.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciba_gateway::config::ApiKey;
use tempfile::TempDir;

use super::redis_server::RedisServer;

/// The client secret that the simulator knows.
pub(crate) const CLIENT_SECRET: &str = "demo-secret";

/// By what right the tenant `nordlys` asks for national identity numbers.
pub(crate) const GROUND: &str = "Personal Data Act, section 12: certain identification of borrowers";

/// The API key of the tenant `nordlys`'s client.
pub(crate) fn api_key() -> ApiKey {
    ApiKey::from_random([7; 32])
}

/// The API key of a client of the tenant `other`.
pub(crate) fn other_api_key() -> ApiKey {
    ApiKey::from_random([8; 32])
}

/// What numbers are hashed and records are sealed with.
pub(crate) fn store_keys() -> [String; 2] {
    [1, 2].map(|byte: u8| BASE64_STANDARD.encode([byte; 32]))
}

/// Stands in a configuration where the address of the public listener belongs, which a
/// gateway gets when it starts.
pub(crate) const PUBLIC_ADDRESS: &str = "{public}";

/// What a story's operator decides; ports are the system's choice.
#[derive(Clone)]
pub(crate) struct Configuration {
    /// Lines under `[grpc]`.
    pub(crate) grpc: String,
    /// Lines under `[http]`.
    pub(crate) http: String,
    /// The sections `[store]` and `[keys]`.
    pub(crate) store: String,
    /// Lines under `[drain]`.
    pub(crate) drain: String,
    /// Lines under `[guard]`; those of one number are the default's.
    pub(crate) guard: String,
    /// Lines under `[log]`.
    pub(crate) log: String,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// Further lines under `[tenants.provider]`.
    pub(crate) provider: String,
    /// Further lines under the provider of the tenant of this name.
    pub(crate) providers: HashMap<&'static str, String>,
    /// Further lines under the `[[tenants]]` of this name.
    pub(crate) tenants: HashMap<&'static str, String>,
    /// Further lines under the client of the tenant of this name.
    pub(crate) clients: HashMap<&'static str, String>,
}

impl Configuration {
    /// A gateway on loopback that keeps its logins in memory.
    pub(crate) fn new(issuer: &str) -> Self {
        Self {
            grpc: "listen = \"127.0.0.1:0\"".into(),
            http: "listen = \"127.0.0.1:0\"".into(),
            store: "[store]\nkind = \"memory\"".into(),
            drain: "notice = \"0s\"\nlimit = \"5s\"".into(),
            guard: "starts_per_terminal_an_hour = 3600\nstarts_per_client_a_minute = 60000\n\
                    starts_per_tenant_a_minute = 60000\nstarts_per_agent_an_hour = 600\n\
                    numbers_per_agent_an_hour = 600"
                .into(),
            log: "filter = \"info\"".into(),
            issuer: issuer.into(),
            client_id: "demo-client".into(),
            client_secret: CLIENT_SECRET.into(),
            provider: String::new(),
            providers: HashMap::new(),
            tenants: HashMap::new(),
            clients: HashMap::new(),
        }
    }

    /// The same with its logins in that Redis.
    pub(crate) fn with_redis(self, server: &RedisServer) -> Self {
        self.with_redis_at(&server.url())
    }

    /// The same with its logins in a Redis at that address.
    pub(crate) fn with_redis_at(self, url: &str) -> Self {
        self.with_redis_that(&format!("url = \"{url}\""))
    }

    /// The same with its logins in the Redis that these lines of `[store]` find.
    pub(crate) fn with_redis_that(mut self, lines: &str) -> Self {
        let [hash_key, seal_key] = store_keys();
        self.store = format!(
            "[store]\nkind = \"redis\"\nsettle_time = \"0s\"\n{lines}\n[keys]\nhash_key = \"{hash_key}\"\nactive_seal_key = \"one\"\n\
             [keys.seal]\none = \"{seal_key}\"",
        );
        self
    }

    /// The same with one more line in `[store]`.
    pub(crate) fn with_store_line(mut self, line: &str) -> Self {
        self.store = self.store.replacen("[store]\n", &format!("[store]\n{line}\n"), 1);
        self
    }

    /// The same with these lines before its tenants.
    pub(crate) fn with_section(self, lines: &str) -> Self {
        Self { log: format!("{}\n{lines}", self.log), ..self }
    }

    /// The same with a public listener, which the world reaches as it is.
    pub(crate) fn with_public_listener(self) -> Self {
        self.with_section(&format!(
            "[public]\nlisten = \"{PUBLIC_ADDRESS}\"\nbase_url = \"http://{PUBLIC_ADDRESS}\"\n\
             allow_insecure_base_url = true"
        ))
    }

    /// The same with one more line at that tenant.
    pub(crate) fn with_tenant_line(mut self, tenant: &'static str, line: &str) -> Self {
        self.tenants.entry(tenant).or_default().push_str(&format!("{line}\n"));
        self
    }

    /// The same with one more line at the provider of that tenant.
    pub(crate) fn with_provider_line(mut self, tenant: &'static str, line: &str) -> Self {
        self.providers.entry(tenant).or_default().push_str(&format!("{line}\n"));
        self
    }

    /// The same with one more line at the client of that tenant.
    pub(crate) fn with_client_line(mut self, tenant: &'static str, line: &str) -> Self {
        self.clients.entry(tenant).or_default().push_str(&format!("{line}\n"));
        self
    }

    /// The same with a ground for national identity numbers, and a client that may
    /// ask for them.
    pub(crate) fn that_asks_for_national_ids(self) -> Self {
        self.with_tenant_line("nordlys", &format!("national_id = {{ ground = \"{GROUND}\" }}"))
            .with_client_line("nordlys", "roles = [\"national-id\"]")
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let Self { grpc, http, store, drain, guard, log, .. } = self;
        let sections =
            format!("[grpc]\n{grpc}\n[http]\n{http}\n{store}\n[drain]\n{drain}\n[guard]\n{guard}\n[log]\n{log}\n");
        sections + &self.tenant("nordlys", &api_key()) + &self.tenant("other", &other_api_key())
    }

    fn tenant(&self, id: &str, key: &ApiKey) -> String {
        let Self { issuer, client_id, client_secret, provider, .. } = self;
        let hash = key.hash();
        let lines = |of: &HashMap<&str, String>| of.get(id).cloned().unwrap_or_default();
        let (tenant, own_provider, client) = (lines(&self.tenants), lines(&self.providers), lines(&self.clients));
        format!(
            r#"
[[tenants]]
id = "{id}"
default_country = "NO"
{tenant}
[tenants.provider]
issuer = "{issuer}"
client_id = "{client_id}"
client_secret = "{client_secret}"
allow_insecure_hosts = true
{provider}
{own_provider}
[[tenants.clients]]
id = "desk"
channels = ["call-centre", "tv-box", "point-of-sale"]
api_keys = [{{ sha256 = "{hash}" }}]
{client}
"#
        )
    }

    /// The file itself.
    pub(crate) fn file(&self) -> ConfigurationFile {
        ConfigurationFile::with_text(&self.text())
    }
}

/// Puts a file with this text in the place of the one that is there.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("a file can be written");
    std::fs::rename(&beside, path).expect("a file can be put in its place");
}

/// A configuration file in a folder of its own.
pub(crate) struct ConfigurationFile {
    folder: TempDir,
}

impl ConfigurationFile {
    pub(crate) fn with_text(text: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::write(file.path(), text).expect("a file can be written");
        file
    }

    /// Says something else from now on, as an editor does it: beside the file, and then
    /// in its place.
    pub(crate) fn becomes(&self, text: &str) {
        replace(&self.path(), text);
    }

    /// What it says.
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(self.path()).expect("a file can be read")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ciba-gateway.toml")
    }
}
