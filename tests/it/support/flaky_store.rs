//! A store that can fail: before the work, or after it so that only the answer
//! is lost; and that can take its time.

mod calls;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ciba_gateway::clock::Clock;
use ciba_gateway::session::LoginId;
use ciba_gateway::store::memory::MemoryStore;
use ciba_gateway::store::{Ping, SessionStore, StoreError, Wake};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::dice::Dice;

/// How the store is just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fair,
    Down,
    /// Everything is done and nothing is answered.
    AnswersLost,
    /// Writes are acknowledged and then forgotten, as by a failover.
    Forgetful,
    /// Only signs of life do not get through.
    Beatless,
    /// Nothing is answered, and what writes is done seconds later.
    Late,
    /// Nothing is done and nothing is answered before it is over: the process
    /// stands still.
    Frozen,
    /// Nothing is done and nothing is answered, ever.
    Dead,
}

/// One replica's line to a store that several may share.
pub(crate) struct FlakyStore {
    store: Arc<MemoryStore>,
    line: Mutex<Line>,
    /// Where wakes would come from for a replica that hears none.
    silence: broadcast::Sender<Wake>,
    no_pings: broadcast::Sender<Ping>,
    is_deaf: bool,
    /// What is still under way on the line.
    post: Mutex<JoinSet<()>>,
    /// Cancelled when the replica at this end is gone.
    death: CancellationToken,
    began: Instant,
    thaw: Notify,
    /// The store's own clock; without one it gives back the time it is told.
    clock: Option<Clock>,
}

struct Line {
    weather: Weather,
    takes: Duration,
    /// For random milliseconds on top.
    dice: Option<Dice>,
    calls: u64,
    loses_adoption: bool,
    late_adoption: Option<Duration>,
    is_illiterate: bool,
    /// What every request id is said to stand for.
    mistaken: Option<LoginId>,
    last_call: Option<(u64, Moment)>,
    /// Calls of that name run into a defect, so many of them.
    defect: Option<(&'static str, u32)>,
}

/// What a panic says, and nobody may read.
pub(crate) const SPILLED: &str = "spilled +4791234567";

/// When within a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Before,
    After,
}

impl FlakyStore {
    pub(crate) fn new(store: Arc<MemoryStore>, is_deaf: bool) -> Self {
        let line = Line {
            weather: Weather::Fair,
            takes: Duration::ZERO,
            dice: None,
            calls: 0,
            loses_adoption: false,
            late_adoption: None,
            is_illiterate: false,
            mistaken: None,
            last_call: None,
            defect: None,
        };
        Self {
            store,
            line: Mutex::new(line),
            silence: broadcast::Sender::new(1024),
            no_pings: broadcast::Sender::new(1),
            is_deaf,
            post: Mutex::new(JoinSet::new()),
            death: CancellationToken::new(),
            began: Instant::now(),
            thaw: Notify::new(),
            clock: None,
        }
    }

    pub(crate) fn with_time_from(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    pub(crate) fn goes_down(&self) {
        self.line().weather = Weather::Down;
    }

    pub(crate) fn loses_answers(&self) {
        self.line().weather = Weather::AnswersLost;
    }

    pub(crate) fn forgets_writes(&self) {
        self.line().weather = Weather::Forgetful;
    }

    pub(crate) fn comes_back(&self) {
        self.line().weather = Weather::Fair;
    }

    pub(crate) fn beats_are_lost(&self) {
        self.line().weather = Weather::Beatless;
    }

    /// It happens, and is not answered.
    pub(crate) fn loses_the_next_adoption(&self) {
        self.line().loses_adoption = true;
    }

    /// It is not answered, and happens after that time: a call that was given up
    /// may still be on its way.
    pub(crate) fn delays_the_next_adoption(&self, by: Duration) {
        self.line().late_adoption = Some(by);
    }

    /// The replica at this end cannot read what others have written.
    pub(crate) fn is_illiterate(&self) {
        self.line().is_illiterate = true;
    }

    /// Every landing finds this login from now on.
    pub(crate) fn takes_every_request_for(&self, login: LoginId) {
        self.line().mistaken = Some(login);
    }

    /// The replica at this end is gone.
    pub(crate) fn dies(&self) {
        self.line().weather = Weather::Dead;
        self.death.cancel();
    }

    /// As [`FlakyStore::dies`], at that call, counted from 1: before it does
    /// anything, or once it has and before the answer.
    pub(crate) fn dies_at(&self, call: u64, moment: Moment) {
        self.line().last_call = Some((call, moment));
    }

    /// The next `times` calls of that name panic.
    pub(crate) fn panics_at(&self, call: &'static str, times: u32) {
        self.line().defect = Some((call, times));
    }

    /// Cancelled when the replica at this end is gone.
    pub(crate) const fn death(&self) -> &CancellationToken {
        &self.death
    }

    pub(crate) fn is_late(&self) {
        self.line().weather = Weather::Late;
    }

    /// The process at this end stands still, as by SIGSTOP, until it thaws.
    pub(crate) fn freezes(&self) {
        self.line().weather = Weather::Frozen;
    }

    pub(crate) fn thaws(&self) {
        self.line().weather = Weather::Fair;
        self.thaw.notify_waiters();
    }

    /// How often the store was asked for anything but signs of life and the
    /// streams of tenants: those are no login's.
    pub(crate) fn calls(&self) -> u64 {
        self.line().calls
    }

    pub(crate) fn takes(&self, time: Duration) {
        self.line().takes = time;
    }

    /// Wakes of a replica that is deaf to others come late, twice or not at all.
    pub(crate) fn brings_wakes_badly(&self, dice: Dice) {
        let (mut wakes, to, began) = (self.store.wakes(), self.silence.clone(), self.began);
        let bringing = async move {
            let mut post = JoinSet::new();
            while let Ok(wake) = wakes.recv().await {
                // As in `delay`.
                let mut dice = dice.at(millis(began.elapsed()));
                if let Wake::Changed { version, .. } = &wake {
                    dice = dice.at(*version);
                }
                let copies = [1, 1, 1, 1, 1, 2, 2, 0][dice.index(8)];
                for _ in 0..copies {
                    let delay = if dice.percent(50) { Duration::ZERO } else { dice.within(3) };
                    let (wake, to) = (wake.clone(), to.clone());
                    post.spawn(async move {
                        tokio::time::sleep(delay).await;
                        let _ = to.send(wake);
                    });
                }
            }
        };
        self.post.lock().unwrap_or_else(PoisonError::into_inner).spawn(bringing);
    }

    /// When writes come late: has `work` done some seconds from now.
    fn linger<T, W>(&self, name: &str, work: impl FnOnce(Arc<MemoryStore>) -> W)
    where
        W: Future<Output = T> + Send + 'static,
    {
        if self.line().weather == Weather::Late {
            self.lingers(self.delay(name) * 250, work(Arc::clone(&self.store)));
        }
    }

    fn lingers<T>(&self, delay: Duration, work: impl Future<Output = T> + Send + 'static) {
        let lingering = async move {
            tokio::time::sleep(delay).await;
            work.await;
        };
        self.post.lock().unwrap_or_else(PoisonError::into_inner).spawn(lingering);
    }

    /// Every call takes up to 15 ms before the work and after it.
    pub(crate) fn takes_random_time(&self, seed: u64) {
        self.line().dice = Some(Dice::new(seed));
    }

    /// Says to whoever listens that wakes may have been lost.
    pub(crate) fn wakes_were_missed(&self) {
        let _ = self.silence.send(Wake::Missed);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By the time and the call alone: which of two tasks that are woken at the same
    /// time comes first is up to the runtime, and must make no difference.
    fn delay(&self, call: &str) -> Duration {
        let line = self.line();
        line.dice.as_ref().map_or(line.takes, |dice| {
            let mut dice =
                call.bytes().fold(dice.at(millis(self.began.elapsed())), |dice, letter| dice.at(letter.into()));
            line.takes + Duration::from_millis(dice.below(16))
        })
    }

    async fn call<T>(&self, name: &str, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.runs_into_defect(name);
        let death = {
            let mut line = self.line();
            line.calls += 1;
            line.last_call.filter(|(call, _)| *call == line.calls).map(|(_, moment)| moment)
        };
        self.pause(name).await;
        if death == Some(Moment::Before) {
            self.dies();
        }
        let answer = self.at_once(work).await;
        if death == Some(Moment::After) {
            self.dies();
            std::future::pending::<()>().await;
        }
        self.pause(name).await;
        answer
    }

    fn runs_into_defect(&self, name: &str) {
        let is_next = match &mut self.line().defect {
            Some((call, times)) if *call == name && *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        };
        assert!(!is_next, "{SPILLED}");
    }

    /// As [`FlakyStore::call`], for what belongs to no login.
    async fn uncounted<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.pause(name).await;
        let answer = self.at_once(work).await;
        self.pause(name).await;
        answer
    }

    async fn at_once<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match self.thawed().await {
            Weather::Down | Weather::Late => return Err(unavailable()),
            Weather::Dead => std::future::pending().await,
            Weather::Fair | Weather::AnswersLost | Weather::Forgetful | Weather::Beatless | Weather::Frozen => {}
        }
        let answer = work.await;
        if self.thawed().await == Weather::Dead {
            std::future::pending::<()>().await;
        }
        if self.line().weather == Weather::AnswersLost { Err(unavailable()) } else { answer }
    }

    /// How it is once the process at this end does not stand still.
    async fn thawed(&self) -> Weather {
        loop {
            let thaw = self.thaw.notified();
            let weather = self.line().weather;
            if weather != Weather::Frozen {
                return weather;
            }
            thaw.await;
        }
    }

    async fn pause(&self, call: &str) {
        let delay = self.delay(call);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a short story")
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("the story says so".into())
}
