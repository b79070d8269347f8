//! What the process does with its surroundings.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ciba_gateway::grpc::v1::Outcome;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Edge, NUMBER};
use crate::support::configuration::Configuration;
use crate::support::gateway::{Serve, local, wait_until_ready};
use crate::support::processes::Process;
use crate::support::simulators::Vipps;

/// A user who is not root, on any machine.
const NOBODY: u32 = 65_534;

/// Keys and numbers in memory do not get to a disk when the process crashes.
#[tokio::test]
async fn a_crash_leaves_no_core() {
    let edge = Edge::begin().await;
    let limits = edge.serve.process.proc("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert!(!edge.serve.process.stderr().contains("a crash may write"), "{}", edge.serve.process.stderr());
}

/// Nor can another process of the same user read them: what must not be dumped
/// belongs to root in `/proc`.
#[tokio::test]
async fn the_memory_is_nobody_elses() {
    let (vipps, folder) = (Vipps::start().await, tempfile::tempdir().expect("a folder"));
    let readable = Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), readable).expect("our own folder");
    let file = folder.path().join("ciba-gateway.toml");
    std::fs::write(&file, Configuration::new(&vipps.issuer()).text()).expect("a file can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ciba-gateway"));
    command.arg("serve").arg("--config").arg(&file).env_clear();
    // For root everything belongs to root.
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY);
    }
    let process = Process::start(command).expect("our own program can be started");
    process.logs("listening").await;
    let status = process.proc("status");
    assert!(!status.contains("Uid:\t0\t"), "{status}");
    assert_eq!(process.owner_of("mem"), 0);
}

async fn count(listener: TcpListener, connections: Arc<AtomicUsize>) {
    while listener.accept().await.is_ok() {
        connections.fetch_add(1, Ordering::Relaxed);
    }
}

/// SR36: a proxy that the environment names sees nothing of what the provider is
/// asked.
#[tokio::test]
async fn proxies_of_the_environment_are_passed_by() {
    let (vipps, proxy) = (Vipps::start().await, local().await);
    let address = format!("http://{}", proxy.local_addr().expect("an address"));
    let connections = Arc::<AtomicUsize>::default();
    let mut counting = JoinSet::new();
    counting.spawn(count(proxy, Arc::clone(&connections)));
    let names = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"];
    let variables = names.map(|name| (name, address.as_str()));
    let serve = Serve::start_with(&Configuration::new(&vipps.issuer()), &variables).await;
    wait_until_ready(serve.http).await;
    let caller = serve.caller();
    let login = caller.at_a_till(NUMBER).await;
    vipps.simulator.approve(NUMBER);
    assert_eq!(caller.end_of(&login.login_id).await.outcome(), Outcome::Approved);
    assert_eq!(connections.load(Ordering::Relaxed), 0);
}
