//! Plays one plan in a runtime of its own, whose time is paused.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ciba_gateway::logins::{LoginView, WatchEvent};
use ciba_gateway::phone::BindingCode;
use ciba_gateway::session::LoginId;
use ciba_gateway::timestamp::Timestamp;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::plan::{Act, Fault, Kind, LIFETIME, Person, Plan, Poll, Trouble};
use super::words::{caller, number, request, standing, wrong_code};
use crate::support::fake_provider::{Request, pending, slow_down, trouble};
use crate::support::stage::{Gateway, Stage};

/// How long a caller waits for an answer before it asks another replica.
const PATIENCE: Duration = Duration::from_secs(15);
/// No login lives longer, whatever happens to it.
const LONG_ENOUGH: Duration = Duration::from_secs(600);

/// One thing that a caller was told about a login.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Told {
    pub(super) at: Duration,
    pub(super) login: usize,
    pub(super) replica: usize,
    /// The stream it came by; what came by other calls has none.
    pub(super) stream: Option<usize>,
    pub(super) standing: String,
    pub(super) has_identity: bool,
}

/// What happened.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) requests: Vec<Request>,
    pub(super) told: Vec<Told>,
    /// How each login ended, if it came to be.
    pub(super) ends: Vec<Option<String>>,
    /// What every living replica said in the end, and again later.
    pub(super) last_words: Vec<(usize, String)>,
    /// Replicas that were told to stop, and when they had done so well.
    pub(super) drained: Vec<(usize, Timestamp)>,
}

pub(super) fn play(plan: &Plan) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async { Scene::new(plan.clone()).run().await })
}

#[derive(Clone)]
struct Scene(Arc<Inner>);

struct Inner {
    plan: Plan,
    stage: Stage,
    gateways: Vec<Gateway>,
    began: Instant,
    /// The logins that have begun.
    begun: Vec<watch::Sender<Option<LoginId>>>,
    told: Mutex<Vec<Told>>,
    drained: Mutex<Vec<(usize, Timestamp)>>,
}

impl Scene {
    fn new(plan: Plan) -> Self {
        let stage = Stage::new();
        let mut dice = plan.dice.clone();
        let gateways: Vec<_> = (0..plan.replicas).map(|_| stage.deaf_gateway()).collect();
        for gateway in &gateways {
            gateway.store.takes_random_time(dice.below(u64::MAX));
            gateway.store.brings_wakes_badly(dice.fork());
        }
        for Fault { replica, kind } in &plan.faults {
            if let Kind::DiesAtCall(call, moment) = kind {
                gateways[*replica].store.dies_at(*call, *moment);
            }
        }
        let provider = &stage.provider;
        provider.decides_on_arrival();
        provider.start_takes(plan.start_takes);
        provider.poll_takes(plan.poll_takes);
        provider.identify_takes(plan.identify_takes);
        provider.answers_first_polls(plan.polls.iter().map(|poll| match poll {
            Poll::Pending => pending(),
            Poll::SlowDown => slow_down(),
            Poll::Trouble => trouble(),
        }));
        let begun = (0..plan.logins).map(|_| watch::Sender::new(None)).collect();
        let (told, drained) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { plan, stage, gateways, began: Instant::now(), begun, told, drained }))
    }

    async fn run(self) -> Played {
        let plan = &self.0.plan;
        let mut tasks = JoinSet::new();
        (0..plan.logins).for_each(|login| drop(tasks.spawn(self.clone().begins(login))));
        plan.faults.iter().for_each(|fault| drop(tasks.spawn(self.clone().suffers(*fault))));
        let acts = plan.acts.iter().enumerate();
        acts.for_each(|(place, act)| drop(tasks.spawn(self.clone().acts(place, *act))));
        let watchers = plan.watchers.iter().enumerate();
        watchers.for_each(|(stream, watcher)| drop(tasks.spawn(self.clone().watches(stream, *watcher))));
        if let Some((at, person)) = plan.person {
            tokio::time::sleep(at).await;
            match person {
                Person::Approves => self.0.stage.provider.person_approves(),
                Person::Denies => self.0.stage.provider.person_denies(),
            }
        }
        let over = async {
            while let Some(part) = tasks.join_next().await {
                part.expect("no part of a play panics");
            }
        };
        let _ = tokio::time::timeout(LONG_ENOUGH, over).await;
        self.epilogue().await
    }

    /// Everybody is asked once all is over, somebody new too.
    async fn epilogue(self) -> Played {
        let newcomer = self.0.stage.gateway();
        let mut ends = Vec::new();
        let mut last_words = Vec::new();
        for login in 0..self.0.plan.logins {
            let id = self.0.begun[login].borrow().clone();
            let Some(id) = id else {
                ends.push(None);
                continue;
            };
            let end = newcomer
                .logins
                .wait(&caller(), &id, LONG_ENOUGH, CancellationToken::new())
                .await
                .map(|view| standing(&view));
            ends.push(Some(end.unwrap_or_else(|error| error.to_string())));
            for _ in 0..2 {
                for (index, gateway) in self.0.gateways.iter().enumerate().filter(|(index, _)| self.lives(*index)) {
                    let looked = tokio::time::timeout(PATIENCE, gateway.logins.get(&caller(), &id)).await;
                    // It may die of having to answer.
                    if !self.lives(index) {
                        continue;
                    }
                    let word = looked.map(|view| view.map_or_else(|error| error.to_string(), |view| standing(&view)));
                    last_words.push((login, word.unwrap_or_else(|_| format!("nothing, at {index}"))));
                }
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        }
        let requests = self.0.stage.provider.journal();
        let told = std::mem::take(&mut *self.0.told.lock().expect("unpoisoned"));
        let drained = self.0.drained.lock().expect("unpoisoned").clone();
        Played { requests, told, ends, last_words, drained }
    }

    fn lives(&self, replica: usize) -> bool {
        !self.0.gateways[replica].store.death().is_cancelled()
    }

    /// A replica that answers, that one if it lives.
    fn at(&self, replica: usize) -> (usize, &Gateway) {
        let count = self.0.gateways.len();
        let index = (0..count).map(|step| (replica + step) % count).find(|index| self.lives(*index)).unwrap_or(replica);
        (index, &self.0.gateways[index])
    }

    fn hear(&self, login: usize, replica: usize, stream: Option<usize>, view: &LoginView) {
        // What a dead process would still have said was never sent.
        if self.lives(replica) {
            let (standing, has_identity) = (standing(view), view.identity().is_some());
            let at = self.0.began.elapsed();
            let told = Told { at, login, replica, stream, standing, has_identity };
            self.0.told.lock().expect("unpoisoned").push(told);
        }
    }

    /// One after the other, because those who wait for the same thing are woken in
    /// any order. `None` when the login does not come to be.
    async fn id(&self, login: usize, place: usize) -> Option<LoginId> {
        let mut begun = self.0.begun[login].subscribe();
        let begun = tokio::time::timeout(LIFETIME, begun.wait_for(Option::is_some)).await.ok()?;
        let id = begun.expect("the scene lives").clone();
        tokio::time::sleep(Duration::from_millis(place as u64)).await;
        id
    }

    /// A client that repeats its start until it is answered.
    async fn begins(self, login: usize) {
        for attempt in 0..6 {
            if self.starts(login, attempt).await {
                return;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    async fn starts(&self, login: usize, replica: usize) -> bool {
        let (index, gateway) = self.at(replica % self.0.gateways.len());
        let caller = caller();
        let start = gateway.logins.start(&caller, request(login, self.0.plan.is_read_back));
        let Ok(Ok(view)) = tokio::time::timeout(PATIENCE, start).await else {
            return false;
        };
        self.hear(login, index, None, &view);
        self.0.begun[login].send_if_modified(|begun| begun.replace(view.login().clone()).is_none());
        true
    }

    async fn suffers(self, fault: Fault) {
        let gateway = &self.0.gateways[fault.replica];
        let line = &gateway.store;
        match fault.kind {
            Kind::DiesAtCall(..) => {}
            Kind::DiesAt(at) => {
                tokio::time::sleep(at).await;
                gateway.dies();
            }
            Kind::DrainsAt(at) => {
                tokio::time::sleep(at).await;
                if gateway.tries_to_drain().await {
                    self.0.drained.lock().expect("unpoisoned").push((fault.replica, self.0.stage.clock.now()));
                }
                // The process has ended.
                gateway.dies();
            }
            Kind::Line(at, how_long, trouble) => {
                tokio::time::sleep(at).await;
                if self.lives(fault.replica) {
                    match trouble {
                        Trouble::Down => line.goes_down(),
                        Trouble::AnswersLost => line.loses_answers(),
                        Trouble::Frozen => line.freezes(),
                        Trouble::Late => line.is_late(),
                        Trouble::BeatsLost => line.beats_are_lost(),
                    }
                }
                tokio::time::sleep(how_long).await;
                if self.lives(fault.replica) {
                    line.thaws();
                }
            }
        }
    }

    async fn acts(self, place: usize, (at, login, replica, act): (Duration, usize, usize, Act)) {
        tokio::time::sleep(at).await;
        if act == Act::StartAgain {
            self.starts(login, replica).await;
            return;
        }
        let Some(id) = self.id(login, place).await else {
            return;
        };
        let (index, gateway) = self.at(replica);
        let logins = &gateway.logins;
        let told = tokio::time::timeout(PATIENCE, async {
            match act {
                Act::Cancel => logins.cancel(&caller(), &id).await,
                Act::Erase => logins.erase(&caller(), &id).await,
                Act::TypeRight => logins.confirm_code(&caller(), &id, self.code(login)).await.map(|it| it.login),
                Act::TypeWrong => logins.confirm_code(&caller(), &id, wrong_code(at)).await.map(|it| it.login),
                Act::StartAgain | Act::Look => logins.get(&caller(), &id).await,
            }
        });
        if let Ok(Ok(view)) = told.await {
            self.hear(login, index, None, &view);
        }
    }

    /// The code on the phone.
    fn code(&self, login: usize) -> BindingCode {
        let shown = self.0.stage.provider.shown().into_iter().find(|terms| terms.person == number(login).into());
        shown.map_or_else(|| wrong_code(Duration::ZERO), |terms| terms.code)
    }

    /// As the contract says: after any end but the login's, watch again.
    async fn watches(self, stream: usize, (at, login, replica): (Duration, usize, usize)) {
        tokio::time::sleep(at).await;
        let Some(id) = self.id(login, self.0.plan.acts.len() + stream).await else {
            return;
        };
        // Each connection is a stream of its own.
        for connection in 0..40 {
            let (index, gateway) = self.at(replica);
            let death = gateway.store.death().clone();
            let stream = stream * 100 + connection;
            let has_ended = death.run_until_cancelled(self.follows(stream, index, login, &id)).await;
            if has_ended == Some(true) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Whether the stream came to the login's end.
    async fn follows(&self, stream: usize, replica: usize, login: usize, id: &LoginId) -> bool {
        let caller = caller();
        let watch =
            self.0.gateways[replica].logins.watch(&caller, id, Duration::from_secs(20), CancellationToken::new());
        let Ok(Ok(messages)) = tokio::time::timeout(PATIENCE, watch).await else {
            return false;
        };
        let mut messages = pin!(messages);
        let mut has_ended = false;
        while let Some(Ok(message)) = messages.next().await {
            if let WatchEvent::Login(view) = message {
                self.hear(login, replica, Some(stream), &view);
                has_ended = view.moment().has_ended();
            }
        }
        has_ended
    }
}
