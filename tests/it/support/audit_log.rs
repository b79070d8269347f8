//! An audit log of a story: the file, its key, and `audit verify`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciba_gateway::audit::{Audit, Entry, Settings, What};
use ciba_gateway::clock::Clock;
use ciba_gateway::telemetry::Metrics;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::configuration::Configuration;
use super::lying_provider::terms;
use super::processes::{Ended, Process};
use super::reservations::login_id;

const KEY: [u8; 32] = [9; 32];

/// A folder with logs and their key.
pub(crate) struct AuditLog(TempDir);

impl AuditLog {
    pub(crate) fn new() -> Self {
        let log = Self(tempfile::tempdir().expect("a folder"));
        std::fs::write(log.path("key"), BASE64_STANDARD.encode(KEY) + "\n").expect("a key");
        log
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn begin(&self, name: &str) -> Audit {
        let key = Zeroizing::new(KEY);
        let settings = Settings { file: Some(self.path(name)), stdout: false, key, refuse_starts: true };
        Audit::begin(&settings, Clock::system(), Arc::new(Metrics::new())).expect("an audit log")
    }

    /// The same configuration with this log.
    pub(crate) fn kept_by(&self, configuration: Configuration, name: &str) -> Configuration {
        let (file, key) = (self.path(name), self.path("key"));
        let audit = format!("\n[audit]\nfile = \"{}\"\nkey_file = \"{}\"", text(&file), text(&key));
        let store = configuration.store.clone() + &audit;
        Configuration { store, ..configuration }
    }

    /// A run of four lines, closed.
    pub(crate) async fn run(&self, name: &str) {
        let audit = self.begin(name);
        note(&audit, What::StartAsked);
        note(&audit, What::PushAccepted);
        assert!(audit.close().await);
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).expect("a log");
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn write(&self, name: &str, lines: &[String]) {
        std::fs::write(self.path(name), lines.join("\n") + "\n").expect("a log");
    }

    pub(crate) async fn verify(&self, arguments: &[&str]) -> Ended {
        let key = self.path("key");
        let named = |argument: &&str| self.path(argument).to_string_lossy().into_owned();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|argument| if argument.starts_with("--") { (*argument).to_owned() } else { named(argument) })
            .collect();
        let fixed = ["audit", "verify", "--key-file", text(&key)];
        Process::gateway(&[&fixed[..], &arguments.iter().map(String::as_str).collect::<Vec<_>>()].concat())
            .ended()
            .await
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

pub(crate) fn note(audit: &Audit, what: What) {
    audit.note(Entry::of(&login_id(1), &terms(), what));
}
