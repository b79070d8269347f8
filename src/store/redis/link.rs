//! The connection for commands: one for the whole process, replaced when it
//! does not serve any more.
//!
//! It is opened at first use, and all who need it share one attempt. It is
//! replaced when it was closed, when it has gone silent and when the other end
//! was demoted: the next one may lead to another master. With a cluster the old
//! one serves until the new one is there, because most nodes may be well.
//! Commands are never repeated here: whoever gets an error decides.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, cmd};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::JoinSet;

use super::nodes::{Connection, Nodes};
use super::script::Call;
use super::settings::Wait;
use crate::store::StoreError;

/// One time-out may be a slow moment; two in a row are a dead connection.
const TIMEOUTS_TO_REPLACE: u32 = 2;

/// See the module.
pub(super) struct Link {
    nodes: Arc<Nodes>,
    /// How much longer than usual an answer may take.
    patience: Duration,
    current: RwLock<Arc<Line>>,
    /// Attempts to connect; they go on when nobody waits for them any more.
    attempts: Mutex<JoinSet<()>>,
    round_trips: AtomicU64,
}

type Attempt = Shared<BoxFuture<'static, RedisResult<Connection>>>;

/// One connection and how it has been doing.
#[derive(Default)]
struct Line {
    attempt: OnceLock<Attempt>,
    /// Serves until this one is there.
    stand_in: Option<Connection>,
    /// By [`Link::lane`].
    timeouts_in_a_row: Mutex<HashMap<String, u32>>,
}

impl Link {
    /// A link that connects when it is first used, in a tokio runtime.
    pub(super) fn new(nodes: Arc<Nodes>, patience: Duration) -> Self {
        Self { nodes, patience, current: RwLock::default(), attempts: Mutex::default(), round_trips: AtomicU64::new(0) }
    }

    /// How often a command or script was sent.
    pub(super) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    /// Sends one command.
    pub(super) async fn command<T: FromRedisValue + Send>(&self, command: &Cmd) -> Result<T, StoreError> {
        let line = self.line();
        let mut connection = self.connection(&line).await.map_err(failure)?;
        self.send(&line, &mut connection, "", command).await.map_err(failure)
    }

    /// Sends one command to every node where data is written.
    pub(super) async fn command_to_masters<T>(&self, command: &Cmd) -> Result<Vec<(String, T)>, StoreError>
    where
        T: FromRedisValue + Send,
    {
        let mut connection = self.connection(&self.line()).await.map_err(failure)?;
        connection.query_masters(command).await.map_err(failure)
    }

    /// Calls a script; with its text when the server does not know it yet.
    pub(super) async fn call<T: FromRedisValue + Send>(&self, call: &Call) -> Result<T, StoreError> {
        let line = self.line();
        let mut connection = self.connection(&line).await.map_err(failure)?;
        self.call_on(&line, &mut connection, call).await.map_err(failure)
    }

    /// As [`Link::call`]; when the answer says that something was written, as
    /// `wrote` sees it, waits until enough replicas have it. The error says
    /// nothing about whether the master has it.
    pub(super) async fn call_and_wait<T: FromRedisValue + Send>(
        &self,
        call: &Call,
        wait: Wait,
        wrote: impl Fn(&T) -> bool + Send,
    ) -> Result<T, StoreError> {
        let line = self.line();
        // WAIT speaks of what this very connection has written.
        let mut connection = self.connection(&line).await.map_err(failure)?;
        let answer = self.call_on(&line, &mut connection, call).await.map_err(failure)?;
        if wrote(&answer) {
            let millis = u64::try_from(wait.timeout.as_millis()).unwrap_or(u64::MAX).max(1);
            let mut command = cmd("WAIT");
            command.arg(wait.replicas).arg(millis);
            let have: u32 = self.send(&line, &mut connection, "", &command).await.map_err(failure)?;
            if have < wait.replicas {
                return Err(StoreError::Unavailable(Box::new(TooFewReplicas { have, need: wait.replicas })));
            }
        }
        Ok(answer)
    }

    async fn call_on<T>(&self, line: &Arc<Line>, connection: &mut Connection, call: &Call) -> RedisResult<T>
    where
        T: FromRedisValue + Send,
    {
        let lane = self.lane(call);
        match self.send(line, connection, lane, &call.by_hash()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(line, connection, lane, &call.by_source()).await
            }
            answer => answer,
        }
    }

    async fn send<T>(&self, line: &Arc<Line>, connection: &mut Connection, lane: &str, command: &Cmd) -> RedisResult<T>
    where
        T: FromRedisValue + Send,
    {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let answer = connection.query(command).await;
        if !line.still_serves(lane, answer.as_ref().err()) {
            self.replace(line);
        }
        answer
    }

    /// Time-outs are counted by what lives on one node together: a node of a
    /// cluster may be silent while others answer.
    fn lane<'c>(&self, call: &'c Call) -> &'c str {
        if self.nodes.are_a_cluster() { call.hash_tag() } else { "" }
    }

    fn line(&self) -> Arc<Line> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn connection(&self, line: &Arc<Line>) -> RedisResult<Connection> {
        let attempt = line.attempt.get_or_init(|| self.begin_attempt());
        match (&line.stand_in, attempt.peek()) {
            (Some(stand_in), None) => Ok(stand_in.clone()),
            (Some(stand_in), Some(Err(_))) => {
                self.replace(line);
                Ok(stand_in.clone())
            }
            _ => attempt.clone().await.inspect_err(|_| self.replace(line)),
        }
    }

    fn begin_attempt(&self) -> Attempt {
        let (nodes, patience) = (Arc::clone(&self.nodes), self.patience);
        let attempt = async move { nodes.connect(patience).await }.boxed().shared();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        while attempts.try_join_next().is_some() {}
        attempts.spawn(attempt.clone().map(|_| ()));
        attempt
    }

    /// Puts a new connection in the place of `line`, unless somebody has done so
    /// or it is itself not there yet.
    fn replace(&self, line: &Arc<Line>) {
        let outcome = line.attempt.get().and_then(|attempt| attempt.peek());
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if outcome.is_none() || !Arc::ptr_eq(&current, line) {
            return;
        }
        let stand_in = match outcome {
            Some(Ok(connection @ Connection::Cluster(_))) => Some(connection.clone()),
            Some(Ok(Connection::One(_))) | None => None,
            Some(Err(_)) => line.stand_in.clone(),
        };
        *current = Arc::new(Line { stand_in, ..Line::default() });
    }
}

impl Line {
    fn still_serves(&self, lane: &str, error: Option<&RedisError>) -> bool {
        let mut timeouts = self.timeouts_in_a_row.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) if error.is_timeout() => {
                let count = timeouts.entry(lane.to_owned()).or_default();
                *count += 1;
                *count < TIMEOUTS_TO_REPLACE
            }
            Some(error) if error.is_io_error() => false,
            Some(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) => false,
            Some(_) | None => {
                timeouts.remove(lane);
                true
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{have} replicas have the write in time, {need} must")]
struct TooFewReplicas {
    have: u32,
    need: u32,
}

/// A server that loads, has no cluster or no primary is one that cannot be used
/// now, as one that is away.
fn failure(error: RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::UnexpectedReturnType => StoreError::Unreadable("an answer of an unexpected type"),
        _ if error.code() == Some("OOM") => StoreError::Full(Box::new(error)),
        _ => StoreError::Unavailable(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
