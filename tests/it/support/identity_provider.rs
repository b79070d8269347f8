//! A tenant's own identity provider: signs tokens, publishes its keys, and can be
//! told to do that badly.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use ciba_gateway::clock::Clock;
use ciba_gateway::timestamp::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::gateway::local;
use super::signer::Signer;

/// What the identity providers of the tests call the gateway.
pub(crate) const AUDIENCE: &str = "https://gateway.example";
/// The identity provider's name for the client `desk` of `nordlys`.
pub(crate) const DESK: &str = "desk-app";

/// How the keys are answered for.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Keys(Vec<Value>),
    Text(String),
    /// Elsewhere, where keys are.
    Redirect,
    Down,
}

struct Shared {
    url: String,
    answer: Mutex<Answer>,
    /// The paths that were asked for.
    asked: Mutex<Vec<String>>,
    /// What the metadata says instead.
    metadata: Mutex<Option<Value>>,
}

/// Over a real socket; ends with the test.
pub(crate) struct IdentityProvider {
    shared: Arc<Shared>,
    pub(crate) signer: Signer,
    _tasks: JoinSet<()>,
}

impl IdentityProvider {
    pub(crate) async fn start() -> Self {
        let listener = local().await;
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let signer = Signer::es256("one");
        let shared = Arc::new(Shared {
            url,
            answer: Mutex::new(Answer::Keys(vec![signer.jwk()])),
            asked: Mutex::default(),
            metadata: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { shared, signer, _tasks: tasks }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.shared.url
    }

    /// Lines of `[[tenants]]` and the table for it.
    pub(crate) fn lines(&self, more: &str) -> String {
        format!(
            "[tenants.tokens]\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\nallow_insecure_hosts = true\n\
             agent_claim = \"agent\"\n{more}",
            self.issuer()
        )
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    pub(crate) fn says_of_itself(&self, metadata: Value) {
        *self.shared.metadata.lock().unwrap() = Some(metadata);
    }

    /// How often it was asked for its keys.
    pub(crate) fn key_requests(&self) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|path| path.ends_with("/keys")).count()
    }

    pub(crate) fn asked(&self, path: &str) -> bool {
        self.shared.asked.lock().unwrap().iter().any(|asked| asked == path)
    }

    /// What a good token says that is made now.
    pub(crate) fn claims(&self, client: &str, agent: Option<&str>) -> Value {
        claims(self.issuer(), Clock::system().now(), client, agent)
    }

    /// A good token.
    pub(crate) fn token(&self, client: &str, agent: Option<&str>) -> String {
        self.signer.sign(&self.claims(client, agent))
    }
}

/// What a good token says that is made at `now` and lives ten minutes.
pub(crate) fn claims(issuer: &str, now: Timestamp, client: &str, agent: Option<&str>) -> Value {
    let mut claims = json!({
        "iss": issuer, "aud": AUDIENCE, "azp": client, "sub": "c4b1", "iat": now.as_secs(), "exp": now.as_secs() + 600,
    });
    if let Some(agent) = agent {
        claims["agent"] = json!(agent);
    }
    claims
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    shared.asked.lock().unwrap().push(path.clone());
    let answer = shared.answer.lock().unwrap().clone();
    let body = match (path.as_str(), answer) {
        (_, Answer::Down) => return axum::http::StatusCode::SERVICE_UNAVAILABLE.into_response(),
        ("/.well-known/openid-configuration", _) => {
            let honest = json!({ "issuer": shared.url, "jwks_uri": format!("{}/keys", shared.url) });
            shared.metadata.lock().unwrap().clone().unwrap_or(honest).to_string()
        }
        ("/keys", Answer::Redirect) => {
            return (axum::http::StatusCode::FOUND, [(LOCATION, format!("{}/elsewhere", shared.url))]).into_response();
        }
        (_, Answer::Text(text)) => text,
        (_, Answer::Keys(keys)) => json!({ "keys": keys }).to_string(),
        (_, Answer::Redirect) => return axum::http::StatusCode::NOT_FOUND.into_response(),
    };
    ([("content-type", "application/json"), ("cache-control", "max-age=60")], body).into_response()
}
