//! A master with two replicas, and three Sentinels that watch over them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ciba_gateway::store::redis::{Access, Place, Settings};
use tempfile::TempDir;

use super::eventually::eventually;
use super::redis_server::{PASSWORD, RedisServer, USERNAME, free_port};

const MASTER: &str = "logins";
const ASKER: &str = "asker";
const ASKERS_PASSWORD: &str = "password-of-the-asker";
/// How long a master may be silent.
pub(crate) const DOWN_AFTER: Duration = Duration::from_millis(1000);

pub(crate) struct Sentinels {
    /// The first one is the master at the beginning.
    pub(crate) nodes: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

/// One Sentinel. Ends with the test.
struct Sentinel {
    port: u16,
    process: Child,
    _folder: TempDir,
}

impl Sentinels {
    pub(crate) async fn start() -> Self {
        let master = RedisServer::start().await;
        let replicas = (RedisServer::replica_of(&master).await, RedisServer::replica_of(&master).await);
        let sentinels = (0..3).map(|_| Sentinel::start(master.port())).collect();
        let all = Self { nodes: vec![master, replicas.0, replicas.1], sentinels };
        for sentinel in &all.sentinels {
            eventually("the Sentinels know each other and all nodes", async || {
                let told = sentinel.ask(&["MASTER", MASTER]).await?;
                let says = |name: &str, value: &str| told.windows(2).any(|pair| pair == [name, value]);
                (says("num-slaves", "2") && says("num-other-sentinels", "2") && says("flags", "master")).then_some(())
            })
            .await;
        }
        all
    }

    fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| format!("redis://127.0.0.1:{}", sentinel.port)).collect()
    }

    pub(crate) fn settings(&self) -> Settings {
        let access = |username: &str, password: &str| Access {
            username: Some(username.to_owned()),
            password: Some(password.to_owned().into()),
        };
        let place =
            Place::Sentinel { master: MASTER.into(), urls: self.urls(), access: access(ASKER, ASKERS_PASSWORD) };
        Settings { access: access(USERNAME, PASSWORD), ..Settings::at(place) }
    }

    /// Lines of `[store]`.
    pub(crate) fn configuration(&self) -> String {
        let urls = self.urls();
        format!(
            "username = \"{USERNAME}\"\npassword = \"{PASSWORD}\"\nsentinel = {{ master = \"{MASTER}\", urls = {urls:?}, \
             username = \"{ASKER}\", password = \"{ASKERS_PASSWORD}\" }}"
        )
    }

    pub(crate) async fn flush(&self) {
        self.nodes[0].flush().await;
    }

    /// Waits until one of the replicas is the master.
    pub(crate) async fn promotion(&self) {
        eventually("a replica is promoted", async || {
            (self.nodes[1].is_master().await || self.nodes[2].is_master().await).then_some(())
        })
        .await;
    }

    /// Has the Sentinels put a replica in the master's place.
    pub(crate) async fn demote_master(&self) {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.sentinels[0].port)).expect("an address");
        let mut line = client.get_multiplexed_async_connection().await.expect("a connection");
        let failover = redis::cmd("SENTINEL").arg("FAILOVER").arg(MASTER).clone();
        failover.query_async::<()>(&mut line).await.expect("the Sentinels take the command");
    }

    /// The first Sentinel that gateways ask says nothing any more.
    pub(crate) fn silence_first_sentinel(&self) {
        let status = Command::new("kill").args(["-STOP", &self.sentinels[0].process.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -STOP failed");
    }
}

impl Sentinel {
    fn start(master: u16) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, file) = (free_port(), folder.path().join("sentinel.conf"));
        let configuration = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nuser default on nopass ~* &* +@all\n\
             user {ASKER} on >{ASKERS_PASSWORD} -@all +role +sentinel|masters\n\
             sentinel monitor {MASTER} 127.0.0.1 {master} 2\nsentinel down-after-milliseconds {MASTER} {}\n\
             sentinel failover-timeout {MASTER} 3000\nsentinel parallel-syncs {MASTER} 2\n",
            folder.path().display(),
            DOWN_AFTER.as_millis(),
        );
        std::fs::write(&file, configuration).expect("a file can be written");
        let process = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need redis-server (7.0 or newer) on the PATH");
        Self { port, process, _folder: folder }
    }

    async fn ask(&self, words: &[&str]) -> Option<Vec<String>> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).expect("an address");
        let mut line = client.get_multiplexed_async_connection().await.ok()?;
        redis::cmd("SENTINEL").arg(words).query_async(&mut line).await.ok()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
