//! The listener that the world reaches: off until somebody wants it, with a
//! certificate of its own or without.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::authority::{Authority, Signed};
use crate::support::configuration::{Configuration, PUBLIC_ADDRESS, replace};
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, Serve};
use crate::support::http;
use crate::support::simulators::Vipps;

#[tokio::test]
async fn the_public_listener_is_there_when_it_is_wanted() {
    let vipps = Vipps::start().await;
    let configuration = Configuration::new(&vipps.issuer());
    let gateway = Gateway::ready(&configuration).await;
    TcpStream::connect(gateway.public).await.expect_err("nobody listens");

    let gateway = Gateway::ready(&configuration.with_public_listener()).await;
    let answer = http::get(&format!("http://{}/", gateway.public)).await;
    assert_eq!(answer, Some((404, String::new())));
}

/// SR33: and its certificate is replaced while it serves.
#[tokio::test]
async fn the_public_listener_may_do_tls_by_itself() {
    http::install_crypto();
    let (vipps, folder) = (Vipps::start().await, tempfile::tempdir().expect("a folder"));
    let path = |name: &str| folder.path().join(name);
    let (first, second) = (Authority::new(), Authority::new());
    let certify = |authority: &Authority| {
        let Signed { certificate, key } = authority.signs_server();
        replace(&path("key"), &key);
        replace(&path("crt"), &certificate);
    };
    certify(&first);
    let public = format!(
        "[public]\nlisten = \"{PUBLIC_ADDRESS}\"\nbase_url = \"https://localhost\"\n\
         tls = {{ certificate_file = {:?}, key_file = {:?} }}",
        path("crt"),
        path("key")
    );
    let serve = Serve::ready(&Configuration::new(&vipps.issuer()).with_section(&public)).await;
    let to = serve.public.expect("a public listener");
    assert_eq!(http::get(&format!("http://{to}/")).await, None, "nothing is said in the clear");
    assert_eq!(protocol(to, &first).await, Some(b"http/1.1".to_vec()));
    assert_eq!(protocol(to, &second).await, None);

    certify(&second);
    eventually("the other certificate is shown", async || protocol(to, &second).await).await;
}

/// The protocol that is agreed upon with somebody who trusts that authority.
async fn protocol(to: SocketAddr, trusted: &Authority) -> Option<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).expect("PEM")).expect("an authority");
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let line = TcpStream::connect(to).await.expect("the port is open");
    let connector = TlsConnector::from(Arc::new(config));
    let line = connector.connect("localhost".try_into().expect("a name"), line).await.ok()?;
    line.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
}
