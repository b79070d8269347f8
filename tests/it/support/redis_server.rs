//! A real Redis of one test's own, which can be stopped, frozen and emptied.
//!
//! The gateways of the stories are its user `gateway` with the rights that
//! deploy/redis/gateway.acl gives; the story itself is the default user.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually::eventually;

const PORT_TRIES: u32 = 10;
/// Where Redis keeps its data, in its directory.
const DATA: &str = "appendonlydir";

/// The user that production has, but for the password.
pub(crate) const GATEWAY_USER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/redis/gateway.acl"));
const USERS: &str = "users.acl";
pub(crate) const USERNAME: &str = "gateway";
pub(crate) const PASSWORD: &str = "password-of-the-gateway";

/// A running server on a port of its own. Ends with the test.
pub(crate) struct RedisServer {
    port: u16,
    directory: TempDir,
    /// Arguments besides the usual ones.
    more: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// A fresh server that answers.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| Vec::new()).await
    }

    /// A fresh server with these arguments besides, made for its folder.
    pub(crate) async fn start_with(more: impl Fn(&Path) -> Vec<String>) -> Self {
        for _ in 0..PORT_TRIES {
            let mut server = Self::not_yet_started();
            server.more = more(server.directory.path());
            if server.launch().await {
                return server;
            }
        }
        panic!("redis-server did not start on {PORT_TRIES} different ports");
    }

    /// A fresh server that copies another one.
    pub(crate) async fn replica_of(master: &Self) -> Self {
        let replicaof = ["--replicaof", "127.0.0.1", &master.port.to_string()].map(str::to_owned);
        let replica = Self::start_with(|_| replicaof.to_vec()).await;
        let mut line = master.commands().await;
        eventually("the replica confirms what it gets", async || {
            redis::cmd("SET").arg("before").arg("the story").query_async::<()>(&mut line).await.ok()?;
            let confirmed: u32 = redis::cmd("WAIT").arg(1).arg(100).query_async(&mut line).await.ok()?;
            (confirmed == 1).then_some(())
        })
        .await;
        replica
    }

    /// A server that has its port but does not run yet.
    pub(crate) fn not_yet_started() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join(USERS), users()).expect("a file can be written");
        Self { port: free_port(), directory, more: Vec::new(), process: None }
    }

    /// Where it is for gateways.
    pub(crate) fn url(&self) -> String {
        format!("redis://{USERNAME}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// Its own, for as long as it is there.
    pub(crate) fn folder(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it; what it acknowledged is on disk.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("redis-server can be killed");
            process.wait().expect("redis-server has ended");
        }
    }

    /// Starts it again on its port, with the data it had.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.launch().await, "redis-server did not start again");
    }

    /// As [`RedisServer::start_again`], with these arguments besides.
    pub(crate) async fn start_again_with(&mut self, more: &[&str]) {
        self.more.extend(more.iter().map(|argument| (*argument).to_owned()));
        self.start_again().await;
    }

    /// Starts it again on its port, with nothing in it.
    pub(crate) async fn start_again_empty(&mut self) {
        let data = self.directory.path().join(DATA);
        if data.exists() {
            std::fs::remove_dir_all(data).expect("the data can be removed");
        }
        self.start_again().await;
    }

    /// A copy of its data, to come back to later. It must be stopped.
    pub(crate) fn backup(&self) -> TempDir {
        let backup = tempfile::tempdir().expect("a temporary directory");
        copy(&self.directory.path().join(DATA), &backup.path().join(DATA));
        backup
    }

    /// Starts it again on its port, with the data that it had then.
    pub(crate) async fn start_again_from(&mut self, backup: &TempDir) {
        std::fs::remove_dir_all(self.directory.path().join(DATA)).expect("the data can be removed");
        copy(&backup.path().join(DATA), &self.directory.path().join(DATA));
        self.start_again().await;
    }

    /// Freezes it: it keeps its connections and says nothing.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Ends [`RedisServer::pause`].
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// A connection for the test's own commands.
    pub(crate) async fn commands(&self) -> redis::aio::MultiplexedConnection {
        self.try_connect().await.expect("redis-server takes connections")
    }

    /// Everything that was written goes.
    pub(crate) async fn flush(&self) {
        redis::cmd("FLUSHALL").query_async::<()>(&mut self.commands().await).await.expect("redis-server forgets");
    }

    /// Whether it takes itself for a master.
    pub(crate) async fn is_master(&self) -> bool {
        let Ok(mut line) = self.try_connect().await else { return false };
        let info: redis::RedisResult<String> = redis::cmd("INFO").arg("replication").query_async(&mut line).await;
        info.is_ok_and(|info| info.contains("role:master"))
    }

    async fn try_connect(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?.get_multiplexed_async_connection().await
    }

    /// `false` when it ended by itself, as it does when the port is taken.
    async fn launch(&mut self) -> bool {
        let mut process = spawn(self.port, self.directory.path(), &self.more);
        let answers = eventually("redis-server answers PING or ends", async || {
            if process.try_wait().expect("redis-server's state").is_some() {
                return Some(false);
            }
            let mut line = self.try_connect().await.ok()?;
            redis::cmd("PING").query_async::<String>(&mut line).await.ok().map(|_| true)
        })
        .await;
        self.process = Some(process);
        answers
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("redis-server runs");
        let status = Command::new("kill").arg(signal).arg(process.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {signal} failed");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn spawn(port: u16, directory: &Path, more: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"])
        .args(["--repl-diskless-sync-delay", "0"])
        .arg("--port")
        .arg(port.to_string())
        .arg("--dir")
        .arg(directory)
        .arg("--aclfile")
        .arg(directory.join(USERS))
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need redis-server (7.0 or newer) on the PATH")
}

/// Copies a folder of files.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a new folder");
    for file in std::fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("a file can be copied");
    }
}

fn users() -> String {
    let gateway = GATEWAY_USER.trim_end();
    format!("user default on nopass ~* &* +@all\n{gateway} >{PASSWORD}\n")
}

/// A port that nobody has right now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
