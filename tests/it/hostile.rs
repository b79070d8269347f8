//! A provider that lies in every way we can think of, behind the whole gateway.
//!
//! One process, one tenant for each lie, all at once and over real sockets. No lie
//! may log anybody in, none may pass for a person's refusal, and none may cost the
//! gateway more than a bounded amount of memory. The single checks of answers are
//! in `provider`; here is what becomes of a login.

mod bodies;
mod lies;
mod raw;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use ciba_gateway::config::ApiKey;
use futures_util::future::join_all;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::support::client::{Client, NUMBER, at_the_till, standing};
use crate::support::configuration::ConfigurationFile;
use crate::support::gateway::Serve;
use crate::support::lying_provider::{CLIENT_ID, CLIENT_SECRET, LyingProvider};
use lies::{Lie, Told};

/// What the run may add to the process's memory, at its highest. A lie is a body of
/// 10 MiB or one without end, and each tenant has a provider of its own; what is
/// kept of all that is a few hundred KiB for each at most.
const MEMORY_BOUND_KIB: u64 = 128 * 1024;
/// As configured below.
const MOST_STARTS: usize = 100;
/// The longest life that a login has here, and what may come after it.
const LONGEST: Duration = Duration::from_secs(170);

/// The tenant, its lie and the provider that tells it.
struct Liar {
    lie: Lie,
    provider: LyingProvider,
    key: ApiKey,
    told: Told,
}

impl Liar {
    async fn new(nth: usize, lie: Lie) -> Self {
        let provider = LyingProvider::start().await;
        provider.answers_fast(lie.lifetime());
        let told = lie.told_by(&provider).await;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(nth as u64 + 1).to_be_bytes());
        Self { lie, provider, key: ApiKey::from_random(seed), told }
    }

    fn tenant(&self, nth: usize) -> String {
        let (issuer, hash) = (self.provider.issuer(), self.key.hash());
        format!(
            r#"
[[tenants]]
id = "lie-{nth}"
default_country = "NO"
default_claims = ["name", "phone_number"]
[tenants.provider]
issuer = "{issuer}"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
allow_insecure_hosts = true
request_timeout = "20s"
[[tenants.clients]]
id = "till"
channels = ["point-of-sale"]
api_keys = [{{ sha256 = "{hash}" }}]
"#
        )
    }

    /// How a login ends in spite of it: the outcome, or why there is none.
    async fn end(&self, channel: Channel) -> String {
        let till = Client::new(channel, Some(format!("Bearer {}", self.key.expose())));
        let start = ciba_gateway::grpc::v1::StartLoginRequest {
            lifetime: Some(prost_types::Duration { seconds: self.lie.lifetime(), nanos: 0 }),
            ..at_the_till("r-1", NUMBER)
        };
        let login = match till.try_start(start).await {
            Ok(login) => login,
            Err(refusal) => return format!("refused with {}", refusal.reason),
        };
        let give_up = Instant::now() + LONGEST;
        loop {
            match till.try_wait(&login.login_id, 30).await {
                Ok(login) if login.state == ciba_gateway::grpc::v1::LoginState::Ended as i32 => {
                    return standing(&login);
                }
                Ok(_) if Instant::now() < give_up => {}
                Ok(login) => return format!("still {} after {LONGEST:?}", standing(&login)),
                Err(refusal) => return format!("lost with {}", refusal.reason),
            }
        }
    }
}

/// A gateway with all of them as tenants.
async fn gateway(liars: &[Liar]) -> Serve {
    let mut text = "[grpc]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
        [store]\nkind = \"memory\"\n[drain]\nnotice = \"0s\"\nlimit = \"5s\"\n\
        [guard]\nstarts_per_number_by_all_an_hour = 100\n[log]\nfilter = \"info\"\n"
        .to_owned();
    for (nth, liar) in liars.iter().enumerate() {
        write!(text, "{}", liar.tenant(nth)).expect("text");
    }
    Serve::of(ConfigurationFile::with_text(&text)).await
}

/// What came of one gateway's tenants.
struct Run {
    ends: Vec<String>,
    /// What the gateway has logged.
    log: String,
    growth_kib: u64,
}

async fn run(liars: &[Liar]) -> Run {
    let mut serve = gateway(liars).await;
    let channel = Endpoint::from_shared(serve.url()).expect("a URL").connect().await.expect("a gateway");
    let before = serve.process.peak_memory_kib();
    let ends = join_all(liars.iter().map(|liar| liar.end(channel.clone()))).await;
    let growth_kib = serve.process.peak_memory_kib().saturating_sub(before);
    serve.process.signal("TERM");
    let ended = serve.process.ended().await;
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    Run { ends, log: ended.stderr, growth_kib }
}

/// R17-R53 and everything like it: see the module. Run with `--no-capture` for the
/// figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_logs_anybody_in_or_passes_for_a_refusal() {
    let mut liars = Vec::new();
    for (nth, lie) in lies::all().into_iter().enumerate() {
        liars.push(Liar::new(nth, lie).await);
    }
    // All tenants of one gateway together may ring the number this often.
    let runs = join_all(liars.chunks(MOST_STARTS).map(run)).await;
    let (mut ends, mut wrong, mut growth) = (BTreeMap::<String, u32>::new(), Vec::new(), 0);
    for (liars, run) in liars.chunks(MOST_STARTS).zip(&runs) {
        for (nth, (liar, end)) in liars.iter().zip(&run.ends).enumerate() {
            if !liar.lie.may_end(end) {
                let about_it = format!("tenant=lie-{nth}}}");
                let log: Vec<_> = run.log.lines().filter(|line| line.contains(&about_it)).collect();
                wrong.push(format!("{}: {end}\n{}", liar.lie.name, log.join("\n")));
            }
            *ends.entry(end.clone()).or_default() += 1;
        }
    }
    for run in &runs {
        growth = growth.max(run.growth_kib);
    }
    println!("{} lies; ends: {ends:?}; memory grew by {growth} KiB at most", liars.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(growth < MEMORY_BOUND_KIB, "{growth} KiB");
    // The truth among them: so the rest can fail.
    assert_eq!((ends.get("approved"), ends.get("denied")), (Some(&lies::TRUE_APPROVALS), Some(&lies::TRUE_DENIALS)));
    for liar in &liars {
        assert!(liar.told.trapped() == 0, "{}: somebody else was called", liar.lie.name);
    }
}
