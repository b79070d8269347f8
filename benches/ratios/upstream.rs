//! The provider: a minimal HTTP/1.1 server with fixed answers, as a neighbour.
//!
//! It keeps the newest POST as it came over the wire, so that a probe can be held
//! against what it claims to equal.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

use super::neighbour::{self, Neighbour};

/// The argument that makes this program the server.
pub(crate) const ROLE: &str = "upstream";

/// The handle that every start is answered with.
pub(crate) const AUTH_REQ_ID: &str = "WQiGzfQyxGpPuRwTZ7nRvzQqLVnEsMJkYqPzXfGhB0w";

/// The longest interval that is taken for one, so that no login is polled
/// while others are started.
const START_ANSWER: &str =
    r#"{"auth_req_id":"WQiGzfQyxGpPuRwTZ7nRvzQqLVnEsMJkYqPzXfGhB0w","expires_in":600,"interval":300}"#;
const POLL_ANSWER: &str = r#"{"error":"authorization_pending","error_description":"The authorization request is still pending as the end-user hasn't yet been authenticated."}"#;

/// The running server. Ends with the value.
pub(crate) struct Upstream {
    base: Url,
    _process: Neighbour,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let process = Neighbour::start(ROLE);
        Self { base: Url::parse(process.address()).expect("its address"), _process: process }
    }

    /// The issuer, as its discovery document writes it.
    pub(crate) fn issuer(&self) -> &str {
        self.base.as_str()
    }

    /// Where logins are started.
    pub(crate) fn start_endpoint(&self) -> Url {
        self.at("start")
    }

    /// Where logins are polled.
    pub(crate) fn token_endpoint(&self) -> Url {
        self.at("token")
    }

    /// The newest POST, byte for byte.
    pub(crate) async fn newest_post(&self) -> String {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.get(self.at("newest-post")).send().await.expect("an answer");
        answer.text().await.expect("a whole answer")
    }

    fn at(&self, path: &str) -> Url {
        self.base.join(path).expect("a path")
    }
}

/// Serves until standard input ends.
pub(crate) async fn serve() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let base = format!("http://{}/", listener.local_addr().expect("an address"));
    let site = Arc::new(Site::at(&base));
    neighbour::serve(&base, async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            connections.spawn(Arc::clone(&site).talk(stream));
        }
    })
    .await;
}

/// What there is to answer with, and the newest POST.
struct Site {
    discovery: String,
    newest_post: Mutex<Vec<u8>>,
}

impl Site {
    fn at(base: &str) -> Self {
        let discovery = format!(
            r#"{{"issuer":"{base}","backchannel_authentication_endpoint":"{base}start","token_endpoint":"{base}token",
            "userinfo_endpoint":"{base}userinfo","jwks_uri":"{base}jwks"}}"#
        );
        Self { discovery: answer("200 OK", &discovery), newest_post: Mutex::default() }
    }

    /// Answers one request after the other until the client leaves.
    async fn talk(self: Arc<Self>, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut received = Vec::new();
        while let Some(length) = whole_request(&mut stream, &mut received).await {
            let answer = self.answer(&received[..length]);
            received.drain(..length);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &[u8]) -> String {
        let mut newest_post = self.newest_post.lock().unwrap_or_else(PoisonError::into_inner);
        if request.starts_with(b"POST ") {
            newest_post.clear();
            newest_post.extend_from_slice(request);
        }
        match request.split(|byte| *byte == b' ').nth(1) {
            Some(b"/.well-known/openid-configuration") => self.discovery.clone(),
            Some(b"/jwks") => answer("200 OK", r#"{"keys":[]}"#),
            Some(b"/start") => answer("200 OK", START_ANSWER),
            Some(b"/token") => answer("400 Bad Request", POLL_ANSWER),
            Some(b"/newest-post") => answer("200 OK", &String::from_utf8_lossy(&newest_post)),
            _ => answer("404 Not Found", "{}"),
        }
    }
}

/// The length of the request at the beginning of `received`, once it is whole.
async fn whole_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(length) = request_length(received).filter(|length| *length <= received.len()) {
            return Some(length);
        }
        match stream.read_buf(received).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// `None` while the head is not whole.
fn request_length(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let lines = std::str::from_utf8(&received[..head]).expect("a head in ASCII").lines();
    let body =
        lines.filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Some(head + body.map_or(0, |(_, length)| length.parse().expect("a length")))
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n\
         date: Tue, 15 Jul 2025 12:00:00 GMT\r\n\
         content-type: application/json;charset=UTF-8\r\n\
         cache-control: no-store\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
