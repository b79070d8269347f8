mod block_list;
mod certificates;
mod documents;
mod environment;
mod files;
mod mistakes;
mod profiles;
mod public;
mod purposes;
mod registrations;
mod running;
mod secrets;
mod store;
mod tokens;
mod values;
mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Config, Mistakes};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const HASH: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The least that a configuration must have.
const LEAST: &str = r#"
[store]
kind = "memory"

[[tenants]]
id = "bank"
default_country = "NO"

[tenants.provider]
issuer = "https://login.example/access/"
client_id = "bank-client"
client_secret = "bank-secret"

[[tenants.clients]]
id = "desktop"
channels = ["call-centre"]
api_keys = [{ sha256 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" }]
"#;

fn parse(text: &str) -> Result<Config, Mistakes> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, Path::new("gateway.toml"), variables)
}

/// The lines that an operator sees.
fn lines(result: Result<Config, Mistakes>) -> Vec<String> {
    result.unwrap_err().to_string().lines().map(str::to_owned).collect()
}

/// The only line that an operator sees.
fn line(result: Result<Config, Mistakes>) -> String {
    let lines = lines(result);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.into_iter().next().unwrap()
}

/// [`LEAST`] with one text replaced by another.
fn changed(from: &str, to: &str) -> Result<Config, Mistakes> {
    assert!(LEAST.contains(from), "{from}");
    parse(&LEAST.replace(from, to))
}

/// [`LEAST`] with more tables before it.
fn with(tables: &str) -> Result<Config, Mistakes> {
    parse(&format!("{tables}{LEAST}"))
}

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ciba-gateway-config-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn parse(&self, text: &str) -> Result<Config, Mistakes> {
        Config::parse(text, &self.0.join("gateway.toml"), std::iter::empty())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
