//! A stand-in for the wire to the provider: passes everything on and keeps
//! every answer.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::http::client;

/// The wire. Ends with the test.
pub(crate) struct Recorder {
    answers: Arc<Mutex<Vec<Value>>>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Wire {
    client: reqwest::Client,
    to: String,
    answers: Arc<Mutex<Vec<Value>>>,
}

impl Recorder {
    /// Passes on what arrives at `listener`.
    pub(crate) fn start(listener: TcpListener, to: String) -> Self {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let wire = Wire { client: client(), to, answers: Arc::clone(&answers) };
        let mut tasks = JoinSet::new();
        let router = Router::new().fallback(pass_on).with_state(wire);
        tasks.spawn(async move { axum::serve(listener, router).await.expect("the wire serves") });
        Self { answers, _tasks: tasks }
    }

    /// Every value that any JSON answer had under this name.
    pub(crate) fn answered(&self, name: &str) -> Vec<Value> {
        self.answers.lock().expect("unpoisoned").iter().filter_map(|answer| answer.get(name).cloned()).collect()
    }

    /// The answers that had something under this name.
    pub(crate) fn answers_with(&self, name: &str) -> Vec<Value> {
        self.answers.lock().expect("unpoisoned").iter().filter(|answer| answer.get(name).is_some()).cloned().collect()
    }
}

async fn pass_on(State(wire): State<Wire>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut headers = headers;
    headers.remove(header::HOST);
    let request = wire.client.request(method, format!("{}{uri}", wire.to)).headers(headers).body(body);
    let Ok(answer) = request.send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = Response::builder().status(answer.status());
    for name in [header::CONTENT_TYPE, header::RETRY_AFTER, header::CACHE_CONTROL] {
        if let Some(value) = answer.headers().get(&name) {
            response = response.header(name, value);
        }
    }
    let body = answer.bytes().await.unwrap_or_default();
    if let Ok(json) = serde_json::from_slice(&body) {
        wire.answers.lock().expect("unpoisoned").push(json);
    }
    response.body(Body::from(body)).expect("an answer")
}
