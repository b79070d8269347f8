//! A Redis Cluster: three masters, and a replica of the first.

use std::time::Duration;

use ciba_gateway::store::redis::{Access, Place, Settings};
use redis::{Cmd, FromRedisValue, cmd};

use super::eventually::eventually;
use super::redis_server::{PASSWORD, RedisServer, USERNAME, free_port};

const SLOTS: u16 = 16384;
/// How long a node may be silent.
pub(crate) const NODE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Its slot belongs to the first master, and with it all its logins.
pub(crate) const FIRST_TENANT: &str = "nordlys";

pub(crate) struct Cluster {
    /// Three masters, then the replica of the first.
    pub(crate) nodes: Vec<RedisServer>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut nodes = Vec::new();
        let mut bus_ports = Vec::new();
        for _ in 0..4 {
            let bus_port = free_port();
            nodes.push(RedisServer::start_with(|_| arguments(bus_port)).await);
            bus_ports.push(bus_port);
        }
        let cluster = Self { nodes };
        cluster.share_out_slots().await;
        for (node, bus_port) in cluster.nodes.iter().zip(bus_ports).skip(1) {
            cluster.tell(0, cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(node.port()).arg(bus_port)).await;
        }
        let first = cluster.id(0).await;
        eventually("the replica knows its master", async || {
            let mut line = cluster.nodes[3].commands().await;
            cmd("CLUSTER").arg("REPLICATE").arg(&first).query_async::<()>(&mut line).await.ok()
        })
        .await;
        for node in 0..4 {
            eventually("the cluster is complete", async || {
                let info: String = cluster.ask(node, cmd("CLUSTER").arg("INFO")).await;
                let known: String = cluster.ask(node, cmd("CLUSTER").arg("NODES")).await;
                (info.contains("cluster_state:ok") && known.contains("slave ") && known.lines().count() == 4)
                    .then_some(())
            })
            .await;
        }
        eventually("the replica has caught up", async || {
            let info: String = cluster.ask(3, cmd("INFO").arg("replication")).await;
            info.contains("master_link_status:up").then_some(())
        })
        .await;
        cluster
    }

    /// The first master gets the third around the first tenant's slot.
    async fn share_out_slots(&self) {
        let first = self.slot().await;
        let third = SLOTS / 3;
        let owner = |slot: u16| usize::from((slot + SLOTS - first) % SLOTS / third).min(2);
        for node in 0..3 {
            let slots: Vec<u16> = (0..SLOTS).filter(|slot| owner(*slot) == node).collect();
            self.tell(node, cmd("CLUSTER").arg("ADDSLOTS").arg(slots)).await;
        }
    }

    /// The slot of the first tenant.
    pub(crate) async fn slot(&self) -> u16 {
        self.ask(0, cmd("CLUSTER").arg("KEYSLOT").arg(format!("{{{FIRST_TENANT}}}"))).await
    }

    async fn id(&self, node: usize) -> String {
        self.ask(node, cmd("CLUSTER").arg("MYID")).await
    }

    async fn ask<T: FromRedisValue>(&self, node: usize, command: &Cmd) -> T {
        command.query_async(&mut self.nodes[node].commands().await).await.expect("the node answers")
    }

    async fn tell(&self, node: usize, command: &Cmd) {
        self.ask::<()>(node, command).await;
    }

    fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("redis://127.0.0.1:{}", node.port())).collect()
    }

    pub(crate) fn settings(&self) -> Settings {
        let access = Access { username: Some(USERNAME.into()), password: Some(PASSWORD.to_owned().into()) };
        Settings { access, ..Settings::at(Place::Cluster { urls: self.urls() }) }
    }

    /// Lines of `[store]`.
    pub(crate) fn configuration(&self) -> String {
        let urls = self.urls();
        format!("username = \"{USERNAME}\"\npassword = \"{PASSWORD}\"\ncluster = {{ urls = {urls:?} }}")
    }

    pub(crate) async fn flush(&self) {
        for master in &self.nodes[..3] {
            master.flush().await;
        }
    }

    /// Moves the first tenant's slot from the first to the second master, key by
    /// key, with `between` after each.
    pub(crate) async fn move_slot(&self, mut between: impl AsyncFnMut()) {
        let (slot, from, to) = (self.slot().await, self.id(0).await, self.id(1).await);
        let setslot = |state: &str, node: &str| cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(state).arg(node).clone();
        self.tell(1, &setslot("IMPORTING", &from)).await;
        self.tell(0, &setslot("MIGRATING", &to)).await;
        loop {
            let keys: Vec<String> = self.ask(0, cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(1)).await;
            let Some(key) = keys.first() else { break };
            let target = self.nodes[1].port();
            self.tell(0, cmd("MIGRATE").arg("127.0.0.1").arg(target).arg(key).arg(0).arg(5000)).await;
            between().await;
        }
        for node in [1, 0, 2] {
            self.tell(node, &setslot("NODE", &to)).await;
        }
    }
}

fn arguments(bus_port: u16) -> Vec<String> {
    let words = [
        ["--cluster-enabled", "yes"],
        ["--cluster-config-file", "nodes.conf"],
        ["--cluster-port", &bus_port.to_string()],
        ["--cluster-node-timeout", &NODE_TIMEOUT.as_millis().to_string()],
        ["--cluster-require-full-coverage", "no"],
        ["--cluster-replica-validity-factor", "0"],
    ];
    words.as_flattened().iter().map(|word| (*word).to_owned()).collect()
}
