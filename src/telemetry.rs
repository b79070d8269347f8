//! What operators see: log lines and [`Metrics`].
//!
//! [`init`] is called once, by the command line, before anything is logged.
//! `logins`, `poller`, `provider`, `store` and `grpc` count what they do through
//! [`Metrics`]; `http` serves it. What is logged where is their own business:
//! nothing in here knows a phone number, a subject or a login's name.

mod fraud;
mod labels;
mod metrics;
mod panics;
mod public;

use std::io::IsTerminal;

use tracing_subscriber::filter::{EnvFilter, LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt};

pub use fraud::{FraudCounters, Loss};
pub use labels::{ProviderOperation, Reload, StoreOperation};
pub use metrics::{Metrics, Open};
pub use panics::log_panics;
pub use public::PublicCounters;

use crate::config::LogFormat;

/// Logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("the log filter cannot be read")]
    Filter(#[from] ParseError),
    /// This process logs already.
    #[error("logging has begun already")]
    AlreadySet(#[from] TryInitError),
}

/// Begins to log to standard error what `filter` lets through (levels by
/// module, as `info,ciba_gateway=debug`).
///
/// # Errors
/// When the filter cannot be read or logging has begun already.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter)?;
    tracing_subscriber::registry().with(lines(format)).with(filter).with(ceiling()).try_init()?;
    Ok(())
}

fn lines(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    }
}

/// Below debug, libraries log what goes over the wire: numbers, tokens, names.
/// No filter lets that through.
fn ceiling() -> Targets {
    Targets::new().with_default(LevelFilter::DEBUG).with_target(env!("CARGO_CRATE_NAME"), LevelFilter::TRACE)
}

/// An error as it is told to an operator: the word, the chain of causes, nothing else.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
