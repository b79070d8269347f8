//! A tenant's fraud desk, over real TLS, that takes signals or does something else.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::HeaderMap;
use axum::response::Response;
use ciba_gateway::fraud::Secret;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, Signed};
use super::eventually::eventually;
use super::gateway::local;
use super::http::install_crypto;
use super::processes::Process;
use super::tools::python;

/// What it does with whatever comes.
#[derive(Clone)]
pub(crate) enum Mood {
    /// Takes it.
    Takes,
    /// Answers otherwise.
    Says(u16, Option<(&'static str, String)>),
    /// Says nothing as long as the mood lasts.
    Silent,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) is_taken: bool,
}

impl Received {
    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).expect("the header").to_str().expect("a text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub(crate) fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    /// As tests/fraud-desk/desk.py reads it.
    fn line(&self, secret: &Secret) -> String {
        let text = |name| (name, self.header(name));
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(text);
        let headers = headers.into_iter().collect::<std::collections::HashMap<_, _>>();
        json!({ "secret": *secret.expose(), "headers": headers, "body": self.body }).to_string()
    }
}

/// Ends with the test.
pub(crate) struct FraudDesk {
    pub(crate) port: u16,
    folder: TempDir,
    inbox: Arc<Mutex<Vec<Received>>>,
    mood: watch::Sender<Mood>,
    _tasks: JoinSet<()>,
}

impl FraudDesk {
    pub(crate) const SECRET: [u8; 32] = [21; 32];

    pub(crate) async fn open() -> Self {
        install_crypto();
        let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("a certificate");
        let (listener, inbox, mood) = (local().await, Arc::default(), watch::Sender::new(Mood::Takes));
        let port = listener.local_addr().expect("an address").port();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor(&authority.signs_server()), Arc::clone(&inbox), mood.subscribe()));
        Self { port, folder, inbox, mood, _tasks: tasks }
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Lines of a tenant's configuration that has this desk.
    pub(crate) fn lines(&self, path: &str) -> String {
        self.lines_at(&format!("https://127.0.0.1:{}{path}", self.port))
    }

    /// The same for a desk that is reached there.
    pub(crate) fn lines_at(&self, url: &str) -> String {
        let (secret, ca_file) = (Secret::from_random(Self::SECRET), self.ca_file());
        format!(
            "[tenants.fraud_webhook]\nurl = \"{url}\"\nsecret = \"{}\"\nallow_private_addresses = true\n\
             timeout = \"1s\"\nca_file = {ca_file:?}",
            *secret.expose()
        )
    }

    pub(crate) fn becomes(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Everything that came.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.inbox.lock().expect("nobody panicked").clone()
    }

    /// What came and was taken.
    pub(crate) fn taken(&self) -> Vec<Received> {
        self.received().into_iter().filter(|received| received.is_taken).collect()
    }

    /// Waits until so many were taken.
    pub(crate) async fn has(&self, count: usize) -> Vec<Received> {
        let taken = async || Some(self.taken()).filter(|taken| taken.len() >= count);
        eventually(&format!("{count} signals are taken"), taken).await
    }

    /// Waits until so many came, taken or not.
    pub(crate) async fn heard(&self, count: usize) -> Vec<Received> {
        let heard = async || Some(self.received()).filter(|received| received.len() >= count);
        eventually(&format!("{count} signals came"), heard).await
    }

    /// What a fraud desk of other make says of each.
    pub(crate) async fn verified(&self, signals: &[Received], secret: &Secret) -> Vec<String> {
        let lines: Vec<_> = signals.iter().map(|signal| signal.line(secret)).collect();
        let path = self.folder.path().join("signals.jsonl");
        std::fs::write(&path, lines.join("\n")).expect("a file");
        let mut command = python("tests/fraud-desk/desk.py");
        command.arg(&path);
        let ended = Process::start(command).expect("Python runs").ended().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout.lines().map(str::to_owned).collect()
    }
}

fn acceptor(Signed { certificate, key }: &Signed) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(chain.expect("a certificate"), key).expect("both fit together");
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    inbox: Arc<Mutex<Vec<Received>>>,
    mood: watch::Receiver<Mood>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        connections.spawn(serve(stream, acceptor.clone(), Arc::clone(&inbox), mood.clone()));
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    inbox: Arc<Mutex<Vec<Received>>>,
    mood: watch::Receiver<Mood>,
) {
    // Whoever does not trust the certificate goes away.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (inbox, mood) = (Arc::clone(&inbox), mood.clone());
        async move { Ok::<_, Infallible>(answer(request.map(Body::new), &inbox, mood).await) }
    });
    // Some tests cut the line.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request, inbox: &Mutex<Vec<Received>>, mut mood: watch::Receiver<Mood>) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let (status, header) = match mood.borrow_and_update().clone() {
        Mood::Takes => (204, None),
        Mood::Silent => (0, None),
        Mood::Says(status, header) => (status, header),
    };
    let received = Received {
        path: format!("{} {}", head.method, head.uri.path()),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).expect("a text"),
        is_taken: status == 204,
    };
    inbox.lock().expect("nobody panicked").push(received);
    if status == 0 {
        let _ = mood.changed().await;
    }
    let response = Response::builder().status(if status == 0 { 503 } else { status });
    let response = header.into_iter().fold(response, |response, (name, value)| response.header(name, value));
    response.body(Body::empty()).expect("a response")
}
