//! A server in a process of its own, so that its work is not counted as ours.
//!
//! This program starts itself again in a role; the server writes its address to
//! standard output and ends when its standard input does.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tokio::io::AsyncReadExt;

/// The running server. Ends with the value.
pub(crate) struct Neighbour {
    process: Child,
    address: String,
}

impl Neighbour {
    pub(crate) fn start(role: &str) -> Self {
        let program = std::env::current_exe().expect("this program's path");
        let mut process = Command::new(program)
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started again");
        let mut address = String::new();
        let stdout = process.stdout.take().expect("its standard output");
        BufReader::new(stdout).read_line(&mut address).expect("its address");
        Self { process, address: address.trim().to_owned() }
    }

    /// What it said about where it is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // Its end is at hand anyway: our end of its standard input goes.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the server: serves until standard input ends.
pub(crate) async fn serve(address: &str, serving: impl Future<Output = ()>) {
    println!("{address}");
    let (mut nothing, mut input) = ([0; 1], tokio::io::stdin());
    tokio::select! {
        () = serving => {}
        _ = input.read(&mut nothing) => {}
    }
}
