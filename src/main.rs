//! The `ciba-gateway` command; see [`ciba_gateway::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    ciba_gateway::cli::main().await
}
