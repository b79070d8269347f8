//! What must be true of every play.

use std::collections::BTreeSet;
use std::time::Duration;

use super::plan::{Act, Kind, Person, Plan, Poll};
use super::play::{Played, Told};
use crate::support::fake_provider::{Asked, Request, Said};

const INTERVAL: Duration = Duration::from_secs(5);
const SLOW_DOWN: Duration = Duration::from_secs(5);
/// An answer after this may come too late for the last poll.
const LATE: Duration = Duration::from_secs(40);
const ORDER: [&str; 4] = ["starting", "pending", "redeemed", "awaiting_code"];

/// The rules that were broken, in words.
pub(super) fn faults(plan: &Plan, played: &Played) -> Vec<String> {
    let mut faults = Vec::new();
    for login in 0..plan.logins {
        faults.extend(ends_once(played, login));
        faults.extend(streams(played, login));
        faults.extend(played.ends[login].as_deref().and_then(|end| is_earned(plan, end, login)));
    }
    for about in 1..=count(played, Asked::Start) {
        faults.extend(polls(played, about));
    }
    if count(played, Asked::Start) > plan.logins {
        faults.push("a phone was rung twice".to_owned());
    }
    faults.extend(
        played
            .told
            .iter()
            .find(|told| told.has_identity && told.standing != "approved")
            .map(|told| format!("an identity was shown: {told:?}")),
    );
    faults
}

fn count(played: &Played, asked: Asked) -> usize {
    played.requests.iter().filter(|request| request.asked == asked).count()
}

fn is_end(standing: &str) -> bool {
    !ORDER.contains(&standing)
}

/// One end, for everybody, for ever.
fn ends_once(played: &Played, login: usize) -> Option<String> {
    let told = played.told.iter().filter(|told| told.login == login).map(|told| told.standing.as_str());
    let last_words = played.last_words.iter().filter(|(of, _)| *of == login).map(|(_, word)| word.as_str());
    let end = played.ends[login].as_deref();
    if let Some(end) = end.filter(|end| !is_end(end)) {
        return Some(format!("login {login} has not ended but is {end}"));
    }
    let words: BTreeSet<_> = told.filter(|standing| is_end(standing)).chain(last_words).chain(end).collect();
    (words.len() > 1).then(|| format!("login {login} ended more than once: {words:?}"))
}

/// A stream goes forward, and nothing comes after the end.
fn streams(played: &Played, login: usize) -> Option<String> {
    let told: Vec<&Told> = played.told.iter().filter(|told| told.login == login).collect();
    let rank = |told: &Told| ORDER.iter().position(|state| *state == told.standing).unwrap_or(ORDER.len());
    let streams: BTreeSet<_> = told.iter().filter_map(|told| told.stream).collect();
    streams.into_iter().find_map(|stream| {
        let messages: Vec<_> = told.iter().filter(|told| told.stream == Some(stream)).collect();
        let is_bad = messages.windows(2).any(|pair| is_end(&pair[0].standing) || rank(pair[0]) > rank(pair[1]));
        is_bad.then(|| format!("a stream of login {login} went back: {messages:?}"))
    })
}

/// Whether anything in the plan explains that end.
fn is_earned(plan: &Plan, end: &str, login: usize) -> Option<String> {
    let person = plan.person.map(|(_, person)| person);
    let is_troubled = !plan.faults.is_empty();
    let has_died_or_frozen = plan.faults.iter().any(|fault| !matches!(fault.kind, Kind::DrainsAt(_)));
    let is_explained = match end {
        "approved" => person == Some(Person::Approves),
        "denied" => person == Some(Person::Denies),
        "cancelled" => plan.has_act(&[Act::Cancel, Act::Erase]),
        "code_mismatch" => {
            plan.acts.iter().filter(|(_, of, _, act)| *of == login && *act == Act::TypeWrong).count() >= 3
        }
        "code_not_confirmed" => plan.is_read_back && person == Some(Person::Approves),
        "start_unknown" | "result_lost" => has_died_or_frozen,
        "provider_unavailable" => is_troubled || plan.polls.contains(&Poll::Trouble),
        // Polls may be far apart when it matters.
        "expired" => plan.person.is_none_or(|(at, _)| at > LATE) || is_troubled,
        _ => false,
    };
    (!is_explained).then(|| format!("login {login} ended {end}, for no reason"))
}

/// The poll rule, and one exchange.
fn polls(played: &Played, about: usize) -> Option<String> {
    let of_it = |asked| played.requests.iter().filter(move |it| it.asked == asked && it.about == about);
    let polls: Vec<&Request> = of_it(Asked::Poll).collect();
    let redeemed = polls.iter().filter(|poll| poll.said == Some(Said::Tokens)).count();
    if redeemed > 1 || (redeemed == 0 && of_it(Asked::Identify).count() > 0) {
        return Some(format!("the exchange of {about} happened {redeemed} times"));
    }
    let started = of_it(Asked::Start).next().and_then(|start| start.answered_at);
    if let (Some(started), Some(first)) = (started, polls.first())
        && first.sent_at.since(started) < INTERVAL
    {
        return Some(format!("the first poll of {about} was early: {first:?}"));
    }
    let mut interval = INTERVAL;
    polls.windows(2).find_map(|pair| {
        let (before, next) = (pair[0], pair[1]);
        let is_same = before.asker == next.asker;
        // Whoever comes next cannot know of a longer interval that was not written.
        interval = match (is_same, before.said, before.answered_at) {
            (true, Some(Said::SlowDown), Some(_)) => interval + SLOW_DOWN,
            (true, _, _) => interval,
            (false, _, _) => INTERVAL,
        };
        let is_handed_over = is_same || played.drained.contains(&before.asker);
        let from = before.answered_at.filter(|_| is_handed_over).unwrap_or(before.sent_at);
        let overlaps = before.answered_at.is_some_and(|answered| next.sent_at < answered);
        let is_early = next.sent_at.since(from) < interval;
        (overlaps || is_early).then(|| format!("a poll was early: {before:?}, {next:?}, interval {interval:?}"))
    })
}
