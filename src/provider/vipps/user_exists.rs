//! The vendor's question whether a number has a usable account.
//!
//! It is in no discovery document: its path is fixed, on the issuer's host. The
//! vendor spells its one parameter in two ways, `login_hint` in the guide and
//! `loginHint` in the OpenAPI document; the one that is taken is kept to.

use std::sync::atomic::{AtomicBool, Ordering};

use url::Url;

use super::settings::Keys;
use crate::ciba::{self, CheckAnswer, Refusal};
use crate::provider::openid::OpenId;
use crate::provider::openid::http::{Answer, NoAnswer, Operation};

const PATH: &str = "/vipps-login-ciba/api/v1/user-exists";
const SPELLINGS: [&str; 2] = ["login_hint", "loginHint"];

/// The endpoint, and how it wants its parameter spelled.
pub(super) struct UserExists {
    url: Url,
    is_second_spelling: AtomicBool,
    keys: Keys,
}

impl UserExists {
    /// The one on the issuer's host.
    pub(super) fn at(issuer: &Url, keys: Keys) -> Option<Self> {
        Some(Self { url: issuer.join(PATH).ok()?, is_second_spelling: AtomicBool::new(false), keys })
    }

    /// One request; a second one when the parameter was not understood.
    pub(super) async fn ask(&self, openid: &OpenId, login_hint: &str) -> CheckAnswer {
        let is_second = self.is_second_spelling.load(Ordering::Relaxed);
        let answer = self.ask_in(is_second, openid, login_hint).await;
        if answer != CheckAnswer::Refused(Refusal::InvalidRequest) {
            return answer;
        }
        let other = self.ask_in(!is_second, openid, login_hint).await;
        if matches!(other, CheckAnswer::Usable(_)) {
            self.is_second_spelling.store(!is_second, Ordering::Relaxed);
        }
        other
    }

    async fn ask_in(&self, is_second: bool, openid: &OpenId, login_hint: &str) -> CheckAnswer {
        let form = [(SPELLINGS[usize::from(is_second)], login_hint)];
        match openid.send(Operation::UserExists, &self.url, &form).await {
            // The vendor's OpenAPI document has Basic alone for it, and says nothing of
            // partners: a refusal is about that and not about the number.
            Ok(answer) if self.keys == Keys::Partner && is_about_the_client(&answer) => CheckAnswer::NotOffered,
            Ok(answer) => ciba::check_answer(answer.reply()),
            Err(NoAnswer::ClientRefused) => CheckAnswer::CredentialsRefused,
            Err(NoAnswer::NotSent(_) | NoAnswer::TimedOut | NoAnswer::Interrupted) => CheckAnswer::Unavailable,
        }
    }
}

fn is_about_the_client(answer: &Answer) -> bool {
    matches!(answer.status, 401 | 403) || ciba::refuses_client(answer.reply())
}
