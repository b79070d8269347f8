//! A scan of what the gateway speaks below HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CipherSuite, ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::authority::{Authority, Signed};
use crate::support::configuration::Configuration;
use crate::support::gateway::Gateway;
use crate::support::simulators::Vipps;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

const TLS_1_0: [u8; 2] = [3, 1];
const TLS_1_1: [u8; 2] = [3, 2];
const TLS_1_2: [u8; 2] = [3, 3];

/// Suites with a weakness: no forward secrecy, CBC, RC4, 3DES, export, NULL, anonymous.
const WEAK: [u16; 22] = [
    0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0009, 0x000a, 0x0016, 0x0018, 0x002f, 0x0033, 0x0035, 0x0039, 0x003c,
    0x003d, 0x006b, 0x009c, 0x009d, 0xc009, 0xc013, 0xc014, 0xc027,
];
const STRONG: u16 = 0xc02b;

struct Scanned {
    _vipps: Vipps,
    gateway: Gateway,
    _files: TempDir,
    trusted: RootCertStore,
}

async fn scanned() -> Scanned {
    let (vipps, files, authority) = (Vipps::start().await, tempfile::tempdir().expect("a folder"), Authority::new());
    let Signed { certificate, key } = authority.signs_server();
    let write = |name: &str, pem: &str| -> PathBuf {
        let path = files.path().join(name);
        std::fs::write(&path, pem).expect("a file can be written");
        path
    };
    let (certificate, key) = (write("certificate.pem", &certificate), write("key.pem", &key));
    let grpc = format!("listen = \"127.0.0.1:0\"\n[grpc.tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}");
    let gateway = Gateway::ready(&Configuration { grpc, ..Configuration::new(&vipps.issuer()) }).await;
    let mut trusted = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("a certificate");
    trusted.add(root).expect("an authority");
    Scanned { _vipps: vipps, gateway, _files: files, trusted }
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(content)].concat()
}

/// A ClientHello as of old: its version is the newest that the client knows.
fn client_hello(version: [u8; 2], suites: &[u16]) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let extensions = [
        // Curves: X25519, P-256. Points: uncompressed.
        extension(10, &sized(&[0, 29, 0, 23])),
        extension(11, &[1, 0]),
        // ECDSA and RSA with SHA-256, RSA and ECDSA with SHA-1.
        extension(13, &sized(&[4, 3, 4, 1, 8, 4, 2, 1, 2, 3])),
    ]
    .concat();
    let body = [&version[..], &[7; 32], &[0], &sized(&suites), &[1, 0], &sized(&extensions)].concat();
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    [&[HANDSHAKE, 3, 1][..], &sized(&message)].concat()
}

/// The first record that comes back: its kind and, of an alert, what it says.
async fn says(to: SocketAddr, hello: &[u8]) -> (u8, Option<u8>) {
    let mut line = TcpStream::connect(to).await.expect("a connection");
    line.write_all(hello).await.expect("an open line");
    let mut record = [0; 7];
    line.read_exact(&mut record).await.expect("an answer");
    (record[0], (record[0] == ALERT).then_some(record[6]))
}

/// SR33.
#[tokio::test]
async fn old_versions_of_tls_are_refused() {
    let scanned = scanned().await;
    let all: Vec<u16> = WEAK.into_iter().chain([STRONG, 0xc02f, 0xcca9]).collect();
    for version in [TLS_1_0, TLS_1_1] {
        let answer = says(scanned.gateway.grpc, &client_hello(version, &all)).await;
        assert_eq!(answer, (ALERT, Some(PROTOCOL_VERSION)), "{version:?}");
    }
    // The same with a version that is spoken: it is not the hello that is wrong.
    assert_eq!(says(scanned.gateway.grpc, &client_hello(TLS_1_2, &all)).await, (HANDSHAKE, None));
}

/// SR33.
#[tokio::test]
async fn weak_cipher_suites_are_refused() {
    let scanned = scanned().await;
    for suite in WEAK {
        let answer = says(scanned.gateway.grpc, &client_hello(TLS_1_2, &[suite])).await;
        assert_eq!(answer, (ALERT, Some(HANDSHAKE_FAILURE)), "{suite:#06x}");
    }
    assert_eq!(says(scanned.gateway.grpc, &client_hello(TLS_1_2, &[STRONG])).await, (HANDSHAKE, None));
}

type Agreed = (Option<ProtocolVersion>, Option<CipherSuite>, Option<Vec<u8>>);

async fn agree(
    scanned: &Scanned,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> std::io::Result<Agreed> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions);
    let config = config.expect("versions").with_root_certificates(scanned.trusted.clone());
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let line = TcpStream::connect(scanned.gateway.grpc).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    let mut line = TlsConnector::from(Arc::new(config)).connect(name, line).await?;
    // A refusal may come after our own part of the handshake.
    line.write_all(crate::support::raw_http2::PREFACE).await?;
    line.read_exact(&mut [0; 9]).await?;
    let (_, session) = line.get_ref();
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    Ok((session.protocol_version(), suite, session.alpn_protocol().map(<[u8]>::to_vec)))
}

/// SR33.
#[tokio::test]
async fn new_versions_of_tls_are_spoken_and_the_newest_is_preferred() {
    let scanned = scanned().await;
    let both = [&version::TLS12, &version::TLS13];
    for (versions, expected) in [
        (&[&version::TLS12][..], ProtocolVersion::TLSv1_2),
        (&[&version::TLS13][..], ProtocolVersion::TLSv1_3),
        (&both[..], ProtocolVersion::TLSv1_3),
    ] {
        let (version, suite, alpn) = agree(&scanned, versions, &[b"h2"]).await.expect("a connection");
        assert_eq!((version, alpn.as_deref()), (Some(expected), Some(&b"h2"[..])));
        let suite = format!("{suite:?}");
        assert!(suite.contains("GCM") || suite.contains("CHACHA20_POLY1305"), "{suite}");
        assert!(expected == ProtocolVersion::TLSv1_3 || suite.contains("ECDHE"), "{suite}");
    }
}

/// SR33: HTTP/2 and nothing else.
#[tokio::test]
async fn the_only_protocol_within_is_http2() {
    let scanned = scanned().await;
    let both = [&version::TLS12, &version::TLS13];
    let refused = agree(&scanned, &both, &[b"http/1.1"]).await.expect_err("refused");
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    let (_, _, chosen) = agree(&scanned, &both, &[b"http/1.1", b"h2"]).await.expect("a connection");
    assert_eq!(chosen.as_deref(), Some(&b"h2"[..]));
}
