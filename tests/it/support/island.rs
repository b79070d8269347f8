//! A Redis on a host of its own, behind a network link that can be taken down. The
//! host is a network namespace, which takes root to make.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::eventually::eventually;

const PORT: u16 = 6379;

/// Ends with the test.
pub(crate) struct Island {
    /// Also the name of the host; the link's ends are called alike.
    name: String,
    subnet: String,
    server: Option<Child>,
    directory: TempDir,
}

impl Island {
    /// `None` where no such host can be made.
    pub(crate) async fn make() -> Option<Self> {
        let process = std::process::id();
        let subnet = format!("10.{}.{}", 200 + process % 50, process / 50 % 250);
        let name = format!("cg{process}");
        if !ip(&["netns", "add", &name]) {
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut island = Self { name, subnet, server: None, directory };
        island.connect();
        island.serve().await;
        Some(island)
    }

    /// Where its Redis is.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}.2:{PORT}", self.subnet)
    }

    /// Whatever is sent is lost, without a word.
    pub(crate) fn link_goes_down(&self) {
        assert!(ip(&["link", "set", &self.name, "down"]));
    }

    pub(crate) fn link_comes_back(&self) {
        assert!(ip(&["link", "set", &self.name, "up"]));
    }

    fn connect(&self) {
        let (name, far) = (self.name.as_str(), format!("{}x", self.name));
        let (near_address, far_address) = (format!("{}.1/24", self.subnet), format!("{}.2/24", self.subnet));
        for step in [
            &["link", "add", name, "type", "veth", "peer", "name", &far, "netns", name][..],
            &["addr", "add", &near_address, "dev", name],
            &["link", "set", name, "up"],
            &["-n", name, "addr", "add", &far_address, "dev", &far],
            &["-n", name, "link", "set", &far, "up"],
        ] {
            assert!(ip(step), "ip {} failed", step.join(" "));
        }
    }

    async fn serve(&mut self) {
        let server = Command::new("ip")
            .args(["netns", "exec", &self.name, "redis-server", "--port", &PORT.to_string()])
            .args(["--bind", &format!("{}.2", self.subnet), "--protected-mode", "no", "--save", ""])
            .arg("--dir")
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.server = Some(server.expect("these tests need redis-server (7.0 or newer) on the PATH"));
        let client = redis::Client::open(self.url()).expect("an address");
        eventually("redis-server answers", async || client.get_multiplexed_async_connection().await.ok()).await;
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // It may have ended by itself.
            let _ = server.kill();
            let _ = server.wait();
        }
        ip(&["link", "del", &self.name]);
        ip(&["netns", "del", &self.name]);
    }
}

/// Whether `ip` did that.
fn ip(arguments: &[&str]) -> bool {
    let done = Command::new("ip").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.expect("these tests need ip (iproute2) on the PATH").success()
}
