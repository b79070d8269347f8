//! The connection for commands: one for the whole process, replaced when it
//! does not serve any more.
//!
//! The library's manager opens it at first use, shares one attempt among all
//! callers and gives up a connection that was closed. It keeps one that has
//! gone silent, and one to a primary that was demoted; both are replaced here.
//! Commands are never repeated here: whoever gets an error decides.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind};

use super::script::Call;
use crate::store::StoreError;

/// One time-out may be a slow moment; two in a row are a dead connection.
const TIMEOUTS_TO_REPLACE: u32 = 2;

/// See the module.
pub(super) struct Link {
    client: Client,
    config: ConnectionManagerConfig,
    current: RwLock<Arc<Line>>,
    round_trips: AtomicU64,
}

/// One connection and how it has been doing.
struct Line {
    manager: ConnectionManager,
    timeouts_in_a_row: AtomicU32,
}

impl Link {
    /// A link that connects when it is first used. Needs a tokio runtime.
    pub(super) fn new(client: Client, connect_timeout: Duration, response_timeout: Duration) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(Some(response_timeout))
            // A caller waits for one attempt; the next caller makes the next.
            .set_number_of_retries(0);
        let current = RwLock::new(Arc::new(Line::new(&client, &config)?));
        Ok(Self { client, config, current, round_trips: AtomicU64::new(0) })
    }

    /// How often a command, pipeline or script was sent.
    pub(super) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    /// Sends one command.
    pub(super) async fn command<T: FromRedisValue + Send>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.send(|mut line| async move { command.query_async(&mut line).await }).await.map_err(failure)
    }

    /// Sends several commands at once.
    pub(super) async fn pipeline<T: FromRedisValue + Send>(&self, pipeline: &Pipeline) -> Result<T, StoreError> {
        self.send(|mut line| async move { pipeline.query_async(&mut line).await }).await.map_err(failure)
    }

    /// Calls a script; with its text when the server does not know it yet.
    pub(super) async fn call<T: FromRedisValue + Send>(&self, call: &Call) -> Result<T, StoreError> {
        let by_hash = call.by_hash();
        match self.send(|mut line| async move { by_hash.query_async(&mut line).await }).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.command(&call.by_source()).await
            }
            answer => answer.map_err(failure),
        }
    }

    async fn send<T, F>(&self, send: impl FnOnce(ConnectionManager) -> F + Send) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let line = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let answer = send(line.manager.clone()).await;
        if !line.still_serves(answer.as_ref().err()) {
            self.replace(&line);
        }
        answer
    }

    /// Puts a new connection in the place of `line`, unless somebody has done so.
    fn replace(&self, line: &Arc<Line>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, line) {
            match Line::new(&self.client, &self.config) {
                Ok(fresh) => *current = Arc::new(fresh),
                Err(error) => tracing::warn!(%error, "the connection to the store could not be replaced"),
            }
        }
    }
}

impl Line {
    fn new(client: &Client, config: &ConnectionManagerConfig) -> RedisResult<Self> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        Ok(Self { manager, timeouts_in_a_row: AtomicU32::new(0) })
    }

    fn still_serves(&self, error: Option<&RedisError>) -> bool {
        match error {
            Some(error) if error.is_timeout() => {
                self.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 < TIMEOUTS_TO_REPLACE
            }
            // The manager would hand the outcome of a failed attempt to one
            // more caller, after the server is back.
            Some(error) if error.is_io_error() => false,
            Some(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) => false,
            Some(_) | None => {
                self.timeouts_in_a_row.store(0, Ordering::Relaxed);
                true
            }
        }
    }
}

/// A server that loads, has no cluster, no primary or no memory is one that
/// cannot be used now, as one that is away.
fn failure(error: RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::UnexpectedReturnType => StoreError::Unreadable("an answer of an unexpected type"),
        _ => StoreError::Unavailable(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
