//! A provider with behaviour: what the person does, how the line is, and what
//! was asked of it when.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use ciba_gateway::ciba::{Accepted, AuthReqId, PollAnswer, StartAnswer, Tokens};
use ciba_gateway::clock::Clock;
use ciba_gateway::identity::Identity;
use ciba_gateway::phone::BindingCode;
use ciba_gateway::provider::{IdentifyError, Provider, ProviderProblem};
use ciba_gateway::session::{FailureReason, Terms};
use ciba_gateway::timestamp::Timestamp;

/// The person who approves.
pub(crate) const SUBJECT: &str = "c06c4afe-d9e1-4c5d-939a-177d752a0944";
pub(crate) const FULL_NAME: &str = "Ada Lovelace";

/// What a provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Start,
    Poll,
    Identify,
    Revoke,
}

/// One request to the provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    pub(crate) sent_at: Timestamp,
    /// `None` while it is under way, and when whoever asked went away.
    pub(crate) answered_at: Option<Timestamp>,
}

/// What the person does with what the phone shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Person {
    Thinks,
    Approves,
    Denies,
}

pub(crate) struct FakeProvider {
    clock: Clock,
    stage: Mutex<Stage>,
}

struct Stage {
    person: Person,
    interval: Duration,
    /// What the provider grants instead of what was asked for.
    expires_in: Option<Duration>,
    starts: VecDeque<StartAnswer>,
    polls: VecDeque<PollAnswer>,
    identifications: VecDeque<IdentifyError>,
    start_takes: Duration,
    poll_takes: Duration,
    identify_takes: Duration,
    userinfo_is_down: bool,
    requests: Vec<Request>,
    shown: Vec<Terms>,
    in_flight: HashMap<String, usize>,
    redeemed: Vec<String>,
    overlapped: bool,
}

impl FakeProvider {
    pub(crate) fn new(clock: Clock) -> Self {
        let stage = Stage {
            person: Person::Thinks,
            interval: Duration::from_secs(5),
            expires_in: None,
            starts: VecDeque::new(),
            polls: VecDeque::new(),
            identifications: VecDeque::new(),
            start_takes: Duration::ZERO,
            poll_takes: Duration::ZERO,
            identify_takes: Duration::ZERO,
            userinfo_is_down: false,
            requests: Vec::new(),
            shown: Vec::new(),
            in_flight: HashMap::new(),
            redeemed: Vec::new(),
            overlapped: false,
        };
        Self { clock, stage: Mutex::new(stage) }
    }

    /// Whoever is asked says yes; also those who are asked later.
    pub(crate) fn person_approves(&self) {
        self.stage().person = Person::Approves;
    }

    pub(crate) fn person_denies(&self) {
        self.stage().person = Person::Denies;
    }

    pub(crate) fn interval_is(&self, interval: Duration) {
        self.stage().interval = interval;
    }

    pub(crate) fn grants(&self, expires_in: Duration) {
        self.stage().expires_in = Some(expires_in);
    }

    /// The next starts are answered so; later ones are accepted.
    pub(crate) fn answers_starts(&self, answers: impl IntoIterator<Item = StartAnswer>) {
        self.stage().starts.extend(answers);
    }

    /// The next polls are answered so; later ones as the person acts.
    pub(crate) fn answers_polls(&self, answers: impl IntoIterator<Item = PollAnswer>) {
        self.stage().polls.extend(answers);
    }

    /// The next attempt to identify the person fails so.
    pub(crate) fn does_not_identify(&self, why: IdentifyError) {
        self.stage().identifications.push_back(why);
    }

    pub(crate) fn userinfo_goes_down(&self) {
        self.stage().userinfo_is_down = true;
    }

    pub(crate) fn userinfo_comes_back(&self) {
        self.stage().userinfo_is_down = false;
    }

    pub(crate) fn start_takes(&self, time: Duration) {
        self.stage().start_takes = time;
    }

    pub(crate) fn poll_takes(&self, time: Duration) {
        self.stage().poll_takes = time;
    }

    pub(crate) fn identify_takes(&self, time: Duration) {
        self.stage().identify_takes = time;
    }

    /// The code that the person sees in the app, for the newest start.
    pub(crate) fn code_in_the_app(&self) -> String {
        self.shown().last().expect("a request on the phone").code.expose().to_owned()
    }

    /// A well-formed code that is not the one in the app.
    pub(crate) fn wrong_code(&self, nth: usize) -> String {
        let right = BindingCode::parse(&self.code_in_the_app()).expect("a code");
        let wrong = ["AAAAA", "CCCCC", "DDDDD", "EEEEE", "FFFFF"].into_iter();
        let mut wrong = wrong.filter(|code| BindingCode::parse(code).expect("a code") != right);
        wrong.nth(nth).expect("a wrong code").to_owned()
    }

    /// What was asked for, start by start.
    pub(crate) fn shown(&self) -> Vec<Terms> {
        self.stage().shown.clone()
    }

    pub(crate) fn count(&self, asked: Asked) -> usize {
        self.requests(asked).len()
    }

    pub(crate) fn requests(&self, asked: Asked) -> Vec<Request> {
        self.stage().requests.iter().filter(|request| request.asked == asked).copied().collect()
    }

    /// Seconds from the first start to each poll's sending.
    pub(crate) fn polled_after(&self) -> Vec<u64> {
        let start = self.requests(Asked::Start).first().expect("a start").sent_at;
        self.requests(Asked::Poll).iter().map(|poll| poll.sent_at.since(start).as_secs()).collect()
    }

    /// Whether two polls of one login were ever under way at once.
    pub(crate) fn was_polled_twice_at_once(&self) -> bool {
        self.stage().overlapped
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrives(&self, asked: Asked) -> usize {
        let mut stage = self.stage();
        stage.requests.push(Request { asked, sent_at: self.clock.now(), answered_at: None });
        stage.requests.len() - 1
    }

    async fn takes(&self, request: usize, time: Duration) {
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        self.stage().requests[request].answered_at = Some(self.clock.now());
    }

    fn poll_begins(&self, handle: &str) -> Flight<'_> {
        let mut stage = self.stage();
        let flying = stage.in_flight.entry(handle.to_owned()).or_default();
        *flying += 1;
        let twice = *flying > 1;
        stage.overlapped |= twice;
        Flight { provider: self, handle: handle.to_owned() }
    }

    fn answer(&self, handle: &str) -> PollAnswer {
        let mut stage = self.stage();
        if let Some(answer) = stage.polls.pop_front() {
            return answer;
        }
        match stage.person {
            Person::Thinks => pending(),
            Person::Denies => PollAnswer::Denied,
            Person::Approves if stage.redeemed.iter().any(|redeemed| redeemed == handle) => PollAnswer::InvalidGrant,
            Person::Approves => {
                stage.redeemed.push(handle.to_owned());
                tokens()
            }
        }
    }
}

/// A poll under way; it ends also when whoever asked goes away.
struct Flight<'a> {
    provider: &'a FakeProvider,
    handle: String,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        *self.provider.stage().in_flight.entry(self.handle.clone()).or_default() -= 1;
    }
}

pub(crate) fn pending() -> PollAnswer {
    PollAnswer::Pending { retry_after: None }
}

pub(crate) fn slow_down() -> PollAnswer {
    PollAnswer::SlowDown { retry_after: None }
}

pub(crate) fn trouble() -> PollAnswer {
    PollAnswer::Trouble { retry_after: None }
}

pub(crate) fn tokens() -> PollAnswer {
    PollAnswer::Redeemed(Tokens::new("the-access-token".to_owned(), Some("the-id-token".to_owned())))
}

#[async_trait]
impl Provider for FakeProvider {
    async fn start(&self, terms: &Terms) -> StartAnswer {
        let request = self.arrives(Asked::Start);
        let (answer, time) = {
            let mut stage = self.stage();
            stage.shown.push(terms.clone());
            let accepted = Accepted {
                auth_req_id: AuthReqId::new(&format!("handle-{}", stage.shown.len())).expect("a handle"),
                expires_in: stage.expires_in.unwrap_or_else(|| terms.requested_expiry()),
                interval: stage.interval,
            };
            (stage.starts.pop_front().unwrap_or(StartAnswer::Accepted(accepted)), stage.start_takes)
        };
        self.takes(request, time).await;
        answer
    }

    async fn poll(&self, auth_req_id: &AuthReqId) -> PollAnswer {
        let request = self.arrives(Asked::Poll);
        let flight = self.poll_begins(auth_req_id.expose());
        let time = self.stage().poll_takes;
        self.takes(request, time).await;
        drop(flight);
        self.answer(auth_req_id.expose())
    }

    async fn identify(&self, _: &Tokens, terms: &Terms) -> Result<Identity, IdentifyError> {
        let request = self.arrives(Asked::Identify);
        let time = self.stage().identify_takes;
        self.takes(request, time).await;
        let mut stage = self.stage();
        if stage.userinfo_is_down {
            return Err(IdentifyError::Unavailable);
        }
        if let Some(problem) = stage.identifications.pop_front() {
            return Err(problem);
        }
        if terms.expected_subject.as_ref().is_some_and(|expected| expected.expose() != SUBJECT) {
            return Err(IdentifyError::Rejected(FailureReason::OtherPerson));
        }
        let userinfo = format!(r#"{{"sub":"{SUBJECT}","name":"{FULL_NAME}"}}"#);
        Ok(Identity::from_userinfo(userinfo.as_bytes()).expect("userinfo"))
    }

    async fn revoke(&self, _: &Tokens) {
        let request = self.arrives(Asked::Revoke);
        self.takes(request, Duration::ZERO).await;
    }

    async fn check(&self) -> Result<(), ProviderProblem> {
        Ok(())
    }
}
