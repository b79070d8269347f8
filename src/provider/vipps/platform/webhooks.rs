//! The Webhooks API: which registrations a sales unit has, one more, one less.
//!
//! Called by the command line; a running gateway asks for nothing of it.

use std::fmt;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{NotAsked, Platform};
use crate::provider::openid::http::{Answer, Operation};

const PATH: &str = "/webhooks/v1/webhooks";
/// Of what the vendor says about a refusal so much is shown.
const MAX_DETAIL: usize = 200;

/// A registration as the vendor has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Registered {
    pub(crate) id: String,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) events: Vec<String>,
}

/// What the vendor gives for a new one.
pub(crate) struct Created {
    pub(crate) id: String,
    /// Shown this once.
    pub(crate) secret: SecretString,
}

/// Why the vendor has not done what was asked; free of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotDone {
    #[error(transparent)]
    NotAsked(#[from] NotAsked),
    /// The vendor's words are shown without whatever could steer a terminal.
    #[error("the vendor answered {status}{detail}")]
    Refused { status: u16, detail: Detail },
    #[error("the vendor answered {0} with a body that cannot be read")]
    Unreadable(u16),
}

/// What the vendor says about a refusal, shortened; begins with a colon unless empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Detail(String);

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum List {
    Wrapped { webhooks: Vec<Registered> },
    Bare(Vec<Registered>),
}

#[derive(Serialize)]
struct Wanted<'w> {
    url: &'w str,
    events: &'w [&'w str],
}

#[derive(Deserialize)]
struct Given {
    id: String,
    secret: SecretString,
}

#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    message: Option<String>,
}

impl Platform {
    /// All registrations of the sales unit.
    pub(crate) async fn webhooks(&self) -> Result<Vec<Registered>, NotDone> {
        let url = self.url(PATH);
        let answer = self.send(Operation::Webhooks, |http| http.get(&url)).await?;
        Ok(match read(&answer)? {
            List::Wrapped { webhooks } | List::Bare(webhooks) => webhooks,
        })
    }

    /// One more. Repeated after an answer that was lost it makes another one.
    pub(crate) async fn register_webhook(&self, at: &Url, events: &[&str]) -> Result<Created, NotDone> {
        let url = self.url(PATH);
        let wanted = Wanted { url: at.as_str(), events };
        let answer = self.send(Operation::Webhooks, |http| http.post(&url).json(&wanted)).await?;
        let Given { id, secret } = read(&answer)?;
        Ok(Created { id, secret })
    }

    /// One less.
    pub(crate) async fn delete_webhook(&self, id: &str) -> Result<(), NotDone> {
        let mut url = self.url(PATH);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(id);
        }
        let answer = self.send(Operation::Webhooks, |http| http.delete(&url)).await?;
        if is_success(&answer) { Ok(()) } else { Err(refusal(&answer)) }
    }
}

const fn is_success(answer: &Answer) -> bool {
    answer.status / 100 == 2
}

fn read<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<T, NotDone> {
    if !is_success(answer) {
        return Err(refusal(answer));
    }
    let body = answer.body.as_deref().unwrap_or_default();
    serde_json::from_slice(body).map_err(|_| NotDone::Unreadable(answer.status))
}

fn refusal(answer: &Answer) -> NotDone {
    let problem: Option<Problem> = answer.body.as_deref().ok().and_then(|body| serde_json::from_slice(body).ok());
    let said = problem.and_then(|problem| problem.detail.or(problem.message).or(problem.title)).unwrap_or_default();
    let said: String = said.chars().filter(|letter| !letter.is_control()).take(MAX_DETAIL).collect();
    let detail = if said.is_empty() { said } else { format!(": {said}") };
    NotDone::Refused { status: answer.status, detail: Detail(detail) }
}
