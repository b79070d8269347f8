//! `audit`: tells whether an audit log is as it was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::terminal::{Style, Terminal};
use super::{EXIT_USAGE, fail};
use crate::audit::verify::{Place, Verifier};
use crate::config::SecretKey;

/// Something is not as it was written.
const EXIT_FOUND: u8 = 1;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check every record: none changed, taken out, moved, put in.
    Verify(Verify),
}

#[derive(Args)]
#[command(after_help = "Exit codes: 0 all is as it was written, 1 it is not, 64 a file or the key cannot be read.\n\
    The end of a run that was not closed is proven only as far as --heads reach; see docs/audit.md.")]
struct Verify {
    /// The files, oldest first.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The file with the audit key.
    #[arg(long, env = "CIBA_GATEWAY_AUDIT__KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Records that somebody else has kept; a run that does not reach them has lost its end.
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
    /// The first file continues a run that began in a file that is gone.
    #[arg(long)]
    continued: bool,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let Command::Verify(options) = &options.command;
    match verify(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FOUND),
        Err(message) => fail(EXIT_USAGE, &message),
    }
}

/// Whether all is as it was written.
fn verify(options: &Verify) -> Result<bool, String> {
    let mut verifier = Verifier::new(key(options.key_file.as_deref())?, options.continued);
    if let Some(heads) = &options.heads {
        for_each_line(heads, |place, line| verifier.head(place, line))?;
    }
    for file in &options.files {
        for_each_line(file, |place, line| verifier.line(place, line))?;
        verifier.end_of_file();
    }
    let report = verifier.finish();
    let terminal = Terminal::stdout();
    for finding in &report.findings {
        terminal.line(format!("{} {finding}", terminal.paint(Style::Bad, "✗")));
    }
    for note in &report.notes {
        terminal.line(format!("{} {note}", terminal.paint(Style::Warn, "!")));
    }
    let (records, runs) = (report.records, report.runs);
    if report.findings.is_empty() {
        let mark = terminal.paint(Style::Good, "✓");
        terminal.line(format!("{mark} {records} records of {runs} runs are as they were written"));
    } else {
        terminal.line(format!("{} findings in {records} records of {runs} runs", report.findings.len()));
    }
    Ok(report.findings.is_empty())
}

/// From the file, or from the variable that `serve` takes it from.
fn key(file: Option<&Path>) -> Result<Zeroizing<[u8; 32]>, String> {
    const VARIABLE: &str = "CIBA_GATEWAY_AUDIT__KEY";
    let text = match file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?,
        None => std::env::var(VARIABLE).map_err(|_| format!("give --key-file or the variable {VARIABLE}"))?,
    };
    let text = SecretString::from(text);
    let key = SecretKey::from_base64(text.expose_secret().trim_end_matches(['\r', '\n']));
    key.map(|key| Zeroizing::new(*key.expose())).ok_or_else(|| "the audit key is not 32 bytes in base64".to_owned())
}

fn for_each_line(path: &Path, mut take: impl FnMut(Place, &[u8])) -> Result<(), String> {
    let name = path.display().to_string();
    let mut lines = BufReader::new(File::open(path).map_err(|error| unreadable(path, &error))?);
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        if lines.read_until(b'\n', &mut bytes).map_err(|error| unreadable(path, &error))? == 0 {
            return Ok(());
        }
        line += 1;
        take(Place { file: name.clone(), line }, bytes.strip_suffix(b"\n").unwrap_or(&bytes));
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}
