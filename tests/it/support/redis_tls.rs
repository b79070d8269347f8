//! A Redis that takes gateways by TLS, with a certificate of a private authority.

use std::path::{Path, PathBuf};

use ciba_gateway::store::redis::Settings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::http::install_crypto;
use super::redis_server::{PASSWORD, RedisServer, USERNAME, free_port};

pub(crate) struct RedisTls {
    server: RedisServer,
    port: u16,
    /// The authority's certificate, as PEM.
    pub(crate) authority: String,
}

impl RedisTls {
    pub(crate) async fn start() -> Self {
        install_crypto();
        let authority = authority();
        let port = free_port();
        let server = RedisServer::start_with(|folder| arguments(folder, &authority, port)).await;
        Self { server, port, authority: authority.pem() }
    }

    /// Where it is for gateways.
    pub(crate) fn url(&self) -> String {
        format!("rediss://{USERNAME}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { ca_pem: Some(self.authority.clone()), ..Settings::new(self.url()) }
    }

    /// Keeps a file as long as the server is there, and gives its path.
    pub(crate) fn keep(&self, name: &str, text: &str) -> PathBuf {
        let path = self.server.folder().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    pub(crate) async fn flush(&self) {
        self.server.flush().await;
    }
}

/// An authority that nobody else knows.
pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

fn arguments(folder: &Path, authority: &CertifiedIssuer<'static, KeyPair>, port: u16) -> Vec<String> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path.to_string_lossy().into_owned()
    };
    let (certificate, key) = (file("tls.crt", certificate.pem()), file("tls.key", key.serialize_pem()));
    let authority = file("ca.crt", authority.pem());
    let words = [
        ["--tls-port", &port.to_string()],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &authority],
        ["--tls-auth-clients", "no"],
    ];
    words.as_flattened().iter().map(|word| (*word).to_owned()).collect()
}
