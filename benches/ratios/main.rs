//! What the gateway's work costs, as ratios against bare probes in the same run.
//!
//! `cargo bench`, or `cargo bench -- poll` for one of them, prints a table: each figure, its bar and whether it is met. A
//! missed bar is no failure of the run, because speed is not asserted; that
//! something could not be measured is one. `docs/performance.md` says what the
//! figures mean.
//!
//! ```text
//! main ─ poll           one poll against a bare request
//!      ├ start_login    one StartLogin against a bare call and a bare request
//!      ├ round_trips    what one login asks of Redis
//!      ├ safeguards     guards, sealing and audit log against one whole login
//!      │   └ wire (what goes to Redis), story (what was noted in the audit log, and when)
//!      ├ ping           from the approval to the caller, with pings and without
//!      ├ gateway (a whole one and a caller of it), whole_login (as in production, and a till)
//!      └ bare (the probes), upstream and people (providers), neighbour (a process of
//!        their own), cpu (processor time, rounds, medians), table
//! ```
#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot measure fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a bare client is what the provider's own is held against")]

mod bare;
mod cpu;
mod gateway;
mod neighbour;
mod people;
mod ping;
mod poll;
mod round_trips;
mod safeguards;
mod start_login;
mod story;
mod table;
mod upstream;
mod whole_login;
mod wire;

#[expect(dead_code, reason = "shared with the tests, which do more with it")]
#[path = "../../tests/it/support/redis_server.rs"]
mod redis_server;

#[path = "../../tests/it/support/eventually.rs"]
mod eventually;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::table::Table;
use self::upstream::Upstream;

fn main() {
    // In neighbours too: the simulated provider sends its pings with it.
    rustls::crypto::ring::default_provider().install_default().expect("the first to install it");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_given = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    if is_given(upstream::ROLE) {
        run(upstream::serve());
    } else if is_given(people::ROLE) {
        run(people::serve());
    } else if is_given(people::ROLE_BY_HAND) {
        run(people::serve_by_hand());
    } else if is_given("--bench") {
        let chosen = arguments.iter().filter(|argument| !argument.starts_with('-')).cloned().collect();
        run(measure(Chosen(chosen)));
    } else {
        // As a test this target has nothing to say.
        eprintln!("nothing is measured without --bench; run `cargo bench`");
    }
}

/// Parts of the names of what is to be measured; none for everything.
struct Chosen(Vec<String>);

impl Chosen {
    fn includes(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|part| name.contains(part))
    }
}

/// On one thread, so that processor time is spent on work and not on handing
/// it over.
fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work);
}

async fn measure(chosen: Chosen) {
    log_to_nowhere();
    let upstream = Upstream::start();
    let mut table = Table::default();
    if chosen.includes("poll") {
        table.cost("one poll / a bare request", 1.5, &poll::measure(&upstream).await);
    }
    for at_a_time in [1, 16].into_iter().filter(|_| chosen.includes("start_login")) {
        let what = format!("StartLogin / a bare call and request, {at_a_time} at a time");
        table.cost(&what, 1.5, &start_login::measure(&upstream, at_a_time).await);
    }
    if chosen.includes("round_trips") {
        round_trips::measure(&mut table).await;
    }
    if chosen.includes("safeguards") {
        safeguards::measure(&mut table).await;
    }
    if chosen.includes("ping") {
        ping::measure(&mut table).await;
    }
    table.print();
}

/// The log as it is by default, written where it costs a system call but
/// disturbs nobody.
fn log_to_nowhere() {
    let nowhere = std::fs::File::options().write(true).open("/dev/null").expect("/dev/null");
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::sync::Mutex::new(nowhere));
    tracing_subscriber::registry().with(lines).with(EnvFilter::new("info")).init();
}
