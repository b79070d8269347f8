//! `keys`: makes keys and prints the configuration lines that go with them.

use std::process::ExitCode;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand, ValueEnum};

use super::{EXIT_SOFTWARE, fail};
use crate::config::ApiKey;
use crate::fraud::Secret;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make one and print it with its configuration lines.
    New {
        /// What for.
        #[arg(value_enum)]
        kind: Kind,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// For a client; the gateway keeps its hash only.
    Api,
    /// Seals records in Redis.
    Seal,
    /// Hashes numbers in Redis keys.
    Hash,
    /// Seals the lines of the audit log.
    Audit,
    /// Signs fraud signals; the fraud desk verifies with the same.
    Webhook,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let Command::New { kind } = options.command;
    let mut bytes = [0_u8; 32];
    if getrandom::fill(&mut bytes).is_err() {
        return fail(EXIT_SOFTWARE, "the machine has no randomness");
    }
    match kind {
        Kind::Api => {
            let key = ApiKey::from_random(bytes);
            println!("# for the client, shown once:\n{}", key.expose());
            println!("# for the gateway, under [[tenants.clients]]:\napi_keys = [{{ sha256 = \"{}\" }}]", key.hash());
        }
        Kind::Seal => println!(
            "# under [keys.seal], with a name of your choice; see active_seal_key:\n\"1\" = \"{}\"",
            BASE64_STANDARD.encode(bytes)
        ),
        Kind::Audit => println!("# under [audit]:\nkey = \"{}\"", BASE64_STANDARD.encode(bytes)),
        Kind::Webhook => println!(
            "# for the fraud desk, and under [tenants.fraud_webhook]; beside another one as secret_next:\nsecret = \"{}\"",
            *Secret::from_random(bytes).expose()
        ),
        Kind::Hash => println!("# under [keys]:\nhash_key = \"{}\"", BASE64_STANDARD.encode(bytes)),
    }
    ExitCode::SUCCESS
}
