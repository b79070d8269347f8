//! A provider with behaviour: what the person does, how the line is, and what
//! was asked of it when.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ciba_gateway::ciba::{Accepted, AuthReqId, CheckAnswer, PollAnswer, RedirectCode, Refusal, StartAnswer, Tokens};
use ciba_gateway::clock::Clock;
use ciba_gateway::identity::{Claim, Identity};
use ciba_gateway::phone::{BindingCode, PhoneNumber};
use ciba_gateway::provider::IdentifyError;
use ciba_gateway::session::{FailureReason, Terms};
use ciba_gateway::timestamp::Timestamp;

use super::flaky_store::SPILLED;

/// The person who approves.
pub(crate) const SUBJECT: &str = "c06c4afe-d9e1-4c5d-939a-177d752a0944";
pub(crate) const FULL_NAME: &str = "Ada Lovelace";
pub(crate) const NIN: &str = "10921512345";

/// What a provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Check,
    Start,
    Poll,
    Code,
    Identify,
    Revoke,
}

/// One request to the provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) asked: Asked,
    /// The number of the start that it is about, from 1 on; 0 when unknown.
    pub(crate) about: usize,
    /// Which replica has asked.
    pub(crate) asker: usize,
    pub(crate) sent_at: Timestamp,
    /// `None` while it is under way, and when whoever asked went away.
    pub(crate) answered_at: Option<Timestamp>,
    /// The answer to a poll, whether or not it arrived.
    pub(crate) said: Option<Said>,
}

/// What a poll is answered, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Tokens,
    SlowDown,
    Else,
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
    checks: VecDeque<CheckAnswer>,
    starts: VecDeque<StartAnswer>,
    polls: VecDeque<PollAnswer>,
    /// What the first polls of each login are answered.
    polls_of_each: Vec<PollAnswer>,
    identifications: VecDeque<IdentifyError>,
    requests_of: VecDeque<IdentifyError>,
    start_takes: Duration,
    poll_takes: Duration,
    identify_takes: Duration,
    userinfo_is_down: bool,
    /// Who has no account.
    unknown: Vec<PhoneNumber>,
    withheld: BTreeSet<Claim>,
    unasked: BTreeSet<Claim>,
    requests: Vec<Request>,
    shown: Vec<Terms>,
    in_flight: HashMap<String, usize>,
    redeemed: Vec<String>,
    overlapped: bool,
    decides_on_arrival: bool,
    /// Requests of that kind run into a defect, so many of them.
    defect: Option<(Asked, u32)>,
}

impl FakeProvider {
    pub(crate) fn new(clock: Clock) -> Self {
        let stage = Stage {
            person: Person::Thinks,
            interval: Duration::from_secs(5),
            expires_in: None,
            checks: VecDeque::new(),
            starts: VecDeque::new(),
            polls: VecDeque::new(),
            polls_of_each: Vec::new(),
            identifications: VecDeque::new(),
            requests_of: VecDeque::new(),
            start_takes: Duration::ZERO,
            poll_takes: Duration::ZERO,
            identify_takes: Duration::ZERO,
            userinfo_is_down: false,
            unknown: Vec::new(),
            withheld: BTreeSet::new(),
            unasked: BTreeSet::new(),
            requests: Vec::new(),
            shown: Vec::new(),
            in_flight: HashMap::new(),
            redeemed: Vec::new(),
            overlapped: false,
            decides_on_arrival: false,
            defect: None,
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

    /// The next questions about a number are answered so; to later ones it can log in.
    pub(crate) fn answers_checks(&self, answers: impl IntoIterator<Item = CheckAnswer>) {
        self.stage().checks.extend(answers);
    }

    /// The next starts are answered so; later ones are accepted.
    pub(crate) fn answers_starts(&self, answers: impl IntoIterator<Item = StartAnswer>) {
        self.stage().starts.extend(answers);
    }

    /// The next polls are answered so; later ones as the person acts.
    pub(crate) fn answers_polls(&self, answers: impl IntoIterator<Item = PollAnswer>) {
        self.stage().polls.extend(answers);
    }

    /// The first polls of every login are answered so.
    pub(crate) fn answers_first_polls(&self, answers: impl IntoIterator<Item = PollAnswer>) {
        self.stage().polls_of_each = answers.into_iter().collect();
    }

    /// The next attempt to identify the person fails so.
    pub(crate) fn does_not_identify(&self, why: IdentifyError) {
        self.stage().identifications.push_back(why);
    }

    /// What comes for a code cannot be told whose it is.
    pub(crate) fn does_not_say_whose(&self, why: IdentifyError) {
        self.stage().requests_of.push_back(why);
    }

    /// Nobody has an account at that number.
    pub(crate) fn knows_nobody_at(&self, number: &str) {
        self.stage().unknown.push(PhoneNumber::from_msisdn(number).expect("a number"));
    }

    /// Does not tell this, although it was asked for.
    pub(crate) fn withholds(&self, claim: Claim) {
        self.stage().withheld.insert(claim);
    }

    /// Tells this, although it was not asked for.
    pub(crate) fn tells_unasked(&self, claim: Claim) {
        self.stage().unasked.insert(claim);
    }

    pub(crate) fn userinfo_goes_down(&self) {
        self.stage().userinfo_is_down = true;
    }

    pub(crate) fn userinfo_comes_back(&self) {
        self.stage().userinfo_is_down = false;
    }

    /// What becomes of a poll is decided when it arrives, not when it is answered:
    /// the exchange has happened although nobody may hear of it.
    pub(crate) fn decides_on_arrival(&self) {
        self.stage().decides_on_arrival = true;
    }

    /// The next `times` requests of that kind panic, once they have been sent.
    pub(crate) fn panics_at(&self, asked: Asked, times: u32) {
        self.stage().defect = Some((asked, times));
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

    /// Everything that was asked, in that order.
    pub(crate) fn journal(&self) -> Vec<Request> {
        self.stage().requests.clone()
    }

    fn arrives(&self, asked: Asked, about: usize, asker: usize) -> usize {
        let mut stage = self.stage();
        let sent_at = self.clock.now();
        stage.requests.push(Request { asked, about, asker, sent_at, answered_at: None, said: None });
        let request = stage.requests.len() - 1;
        let is_next = match &mut stage.defect {
            Some((at, times)) if *at == asked && *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        };
        drop(stage);
        assert!(!is_next, "{SPILLED}");
        request
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
        let is_poll_of_it = |it: &&Request| it.asked == Asked::Poll && it.about == number(handle);
        let nth = stage.requests.iter().filter(is_poll_of_it).count();
        if let Some(answer) = nth.checked_sub(1).and_then(|nth| stage.polls_of_each.get(nth)) {
            return answer.clone();
        }
        match stage.person {
            Person::Thinks => pending(),
            Person::Denies => PollAnswer::Denied,
            Person::Approves if stage.redeemed.iter().any(|redeemed| redeemed == handle) => PollAnswer::InvalidGrant,
            Person::Approves => {
                stage.redeemed.push(handle.to_owned());
                tokens_of(handle)
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

const TOKEN_OF: &str = "the-access-token-of-";
const CODE_OF: &str = "the-code-of-";

/// What the phone lands with after the start with that number, from 1 on.
pub(crate) fn code_of(start: usize) -> String {
    format!("{CODE_OF}handle-{start}")
}

fn tokens_of(handle: &str) -> PollAnswer {
    PollAnswer::Redeemed(Tokens::new(format!("{TOKEN_OF}{handle}"), Some("the-id-token".to_owned())))
}

/// Which start a handle is of, or a token.
fn number(text: &str) -> usize {
    text.rsplit_once("handle-").and_then(|(_, number)| number.parse().ok()).unwrap_or_default()
}

impl Said {
    const fn of(answer: &PollAnswer) -> Self {
        match answer {
            PollAnswer::Redeemed(_) => Self::Tokens,
            PollAnswer::SlowDown { .. } => Self::SlowDown,
            _ => Self::Else,
        }
    }
}

/// What a replica asks over its line.
impl FakeProvider {
    pub(crate) async fn user_exists(&self, asker: usize) -> CheckAnswer {
        let request = self.arrives(Asked::Check, 0, asker);
        let answer = self.stage().checks.pop_front();
        self.takes(request, Duration::ZERO).await;
        answer.unwrap_or(CheckAnswer::Usable(true))
    }

    pub(crate) async fn start(&self, asker: usize, terms: &Terms) -> StartAnswer {
        let about = self.stage().shown.len() + 1;
        let request = self.arrives(Asked::Start, about, asker);
        let (answer, time) = {
            let mut stage = self.stage();
            stage.shown.push(terms.clone());
            let accepted = Accepted {
                auth_req_id: AuthReqId::new(&format!("handle-{}", stage.shown.len())).expect("a handle"),
                expires_in: stage.expires_in.unwrap_or_else(|| terms.requested_expiry()),
                interval: stage.interval,
            };
            let is_unknown = terms.person.phone().is_some_and(|phone| stage.unknown.contains(phone));
            let usual =
                if is_unknown { StartAnswer::Refused(Refusal::PersonUnknown) } else { StartAnswer::Accepted(accepted) };
            (stage.starts.pop_front().unwrap_or(usual), stage.start_takes)
        };
        self.takes(request, time).await;
        answer
    }

    pub(crate) async fn poll(&self, asker: usize, auth_req_id: &AuthReqId) -> PollAnswer {
        let handle = auth_req_id.expose();
        let request = self.arrives(Asked::Poll, number(handle), asker);
        let flight = self.poll_begins(handle);
        let (time, is_early) = {
            let stage = self.stage();
            (stage.poll_takes, stage.decides_on_arrival)
        };
        let early = is_early.then(|| self.answer(handle));
        let said = early.as_ref().map(Said::of);
        self.stage().requests[request].said = said;
        self.takes(request, time).await;
        drop(flight);
        let answer = early.unwrap_or_else(|| self.answer(handle));
        self.stage().requests[request].said = Some(Said::of(&answer));
        answer
    }

    /// Codes are those of [`code_of`]; each gives its login's tokens once.
    pub(crate) async fn exchange_code(&self, asker: usize, code: &RedirectCode) -> PollAnswer {
        let handle = code.expose().strip_prefix(CODE_OF).unwrap_or_default();
        let request = self.arrives(Asked::Code, number(handle), asker);
        let time = self.stage().poll_takes;
        self.takes(request, time).await;
        let mut stage = self.stage();
        if let Some(answer) = stage.polls.pop_front() {
            return answer;
        }
        if handle.is_empty() || stage.redeemed.iter().any(|redeemed| redeemed == handle) {
            return PollAnswer::InvalidGrant;
        }
        stage.redeemed.push(handle.to_owned());
        tokens_of(handle)
    }

    pub(crate) fn request_of(&self, tokens: &Tokens) -> Result<AuthReqId, IdentifyError> {
        if let Some(problem) = self.stage().requests_of.pop_front() {
            return Err(problem);
        }
        let handle = tokens.access_token().strip_prefix(TOKEN_OF).and_then(AuthReqId::new);
        handle.ok_or(IdentifyError::Rejected(FailureReason::IdTokenInvalid))
    }

    pub(crate) async fn identify(
        &self,
        asker: usize,
        tokens: &Tokens,
        terms: &Terms,
    ) -> Result<Identity, IdentifyError> {
        let request = self.arrives(Asked::Identify, number(tokens.access_token()), asker);
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
        let told = |claim| !stage.withheld.contains(&claim);
        let mut userinfo = serde_json::json!({ "sub": SUBJECT });
        if told(Claim::Name) {
            userinfo["name"] = FULL_NAME.into();
        }
        let is_asked = terms.claims.contains(&Claim::Nin) || stage.unasked.contains(&Claim::Nin);
        if is_asked && told(Claim::Nin) {
            userinfo["nin"] = NIN.into();
        }
        if terms.claims.contains(&Claim::DelegatedConsents) && told(Claim::DelegatedConsents) {
            let consent = |id: &str, accepted: bool| serde_json::json!({ "id": id, "accepted": accepted });
            userinfo["delegatedConsents"] =
                serde_json::json!({ "consents": [consent("email", true), consent("sms", false)] });
        }
        Ok(Identity::from_userinfo(userinfo.to_string().as_bytes()).expect("userinfo"))
    }

    pub(crate) async fn revoke(&self, asker: usize, tokens: &Tokens) {
        let request = self.arrives(Asked::Revoke, number(tokens.access_token()), asker);
        self.takes(request, Duration::ZERO).await;
    }
}
