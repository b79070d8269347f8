//! Programs run as a user runs them, with what they print.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::eventually::{eventually, eventually_some};

/// A running program. Ends with the test.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// A program that has ended, and everything it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts our own program. It sees nothing of the environment of the tests.
    pub(crate) fn gateway(arguments: &[&str]) -> Self {
        Self::gateway_with(arguments, &[])
    }

    /// As [`Process::gateway`], with these environment variables.
    pub(crate) fn gateway_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ciba-gateway"));
        command.args(arguments).env_clear().envs(variables.iter().copied());
        Self::start(command).expect("our own program can be started")
    }

    /// Starts any program.
    pub(crate) fn start(mut command: Command) -> std::io::Result<Self> {
        let name = format!("{command:?}");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = Output::collect(child.stdout.take().expect("a pipe"));
        let stderr = Output::collect(child.stderr.take().expect("a pipe"));
        Ok(Self { name, child, stdout, stderr })
    }

    /// Waits until it has printed a line that contains this, and gives the first one.
    pub(crate) async fn prints(&self, text: &str) -> String {
        self.awaited(&self.stdout, text).await
    }

    /// As [`Process::prints`], on standard error.
    pub(crate) async fn logs(&self, text: &str) -> String {
        self.awaited(&self.stderr, text).await
    }

    async fn awaited(&self, output: &Output, text: &str) -> String {
        match eventually_some(async || output.line_with(text)).await {
            Some(line) => line,
            None => panic!("{} never said {text:?} but\n{}\n{}", self.name, self.stdout(), self.stderr()),
        }
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Types a line into its standard input.
    pub(crate) fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{line}").expect("the program reads");
    }

    /// Sends a signal: `INT`, `TERM`, `KILL`, `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{signal} failed");
    }

    /// What the system says about it, such as its `limits` or `status`.
    pub(crate) fn proc(&self, what: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{what}", self.child.id())).expect("a running program")
    }

    /// The user whose that is.
    pub(crate) fn owner_of(&self, what: &str) -> u32 {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(format!("/proc/{}/{what}", self.child.id())).expect("a running program").uid()
    }

    /// The memory that it has of the machine's, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most memory that it has had so far.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, what: &str) -> u64 {
        let status = self.proc("status");
        let memory = status.lines().find_map(|line| line.strip_prefix(what));
        memory.and_then(|memory| memory.trim().trim_end_matches(" kB").parse().ok()).expect("its memory")
    }

    /// Whether nobody has seen it end yet.
    pub(crate) fn is_alive(&self) -> bool {
        !(self.stdout.is_complete() && self.stderr.is_complete())
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the program's state").is_none()
    }

    /// Waits until it has ended and everything it printed is here.
    pub(crate) async fn ended(&mut self) -> Ended {
        let name = self.name.clone();
        let status = eventually(&format!("{name} ends"), async || {
            let status = self.child.try_wait().expect("the program's state")?;
            (self.stdout.is_complete() && self.stderr.is_complete()).then_some(status)
        })
        .await;
        Ended { code: status.code(), stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program prints, gathered in the background.
#[derive(Clone)]
struct Output(Arc<Mutex<Gathered>>);

#[derive(Default)]
struct Gathered {
    lines: Vec<String>,
    complete: bool,
}

impl Output {
    fn collect(pipe: impl Read + Send + 'static) -> Self {
        let gathered = Arc::new(Mutex::new(Gathered::default()));
        let ours = Arc::clone(&gathered);
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let line = String::from_utf8_lossy(&line.expect("a pipe can be read")).into_owned();
                ours.lock().expect("unpoisoned").lines.push(line);
            }
            ours.lock().expect("unpoisoned").complete = true;
        });
        Self(gathered)
    }

    fn line_with(&self, text: &str) -> Option<String> {
        self.0.lock().expect("unpoisoned").lines.iter().find(|line| line.contains(text)).cloned()
    }

    fn text(&self) -> String {
        self.0.lock().expect("unpoisoned").lines.join("\n")
    }

    fn is_complete(&self) -> bool {
        self.0.lock().expect("unpoisoned").complete
    }
}
