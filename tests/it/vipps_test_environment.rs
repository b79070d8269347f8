//! The commands of docs/vipps-test-environment.md, against the simulator: what a
//! person with keys will type does what the page says.

use std::path::Path;
use std::process::Stdio;

use ciba_gateway::simulator::{OpenPoints, Settings};
use tokio::process::Command;

use crate::support::configuration::{Configuration, api_key};
use crate::support::gateway::{Gateway, local};
use crate::support::simulators::{Vipps, quick};

/// One block of commands, and what the simulator says to it.
struct Block {
    kind: String,
    commands: String,
    says: Option<String>,
}

fn blocks() -> Vec<Block> {
    let page = include_str!("../../docs/vipps-test-environment.md");
    let mut blocks = Vec::new();
    for part in page.split("\n```sh").skip(1) {
        let (block, after) = part.split_once("\n```\n").expect("a block ends");
        let (kind, commands) = block.split_once('\n').expect("a block has lines");
        let says = after.trim_start().strip_prefix("simulator says: `").and_then(|says| says.split('`').next());
        blocks.push(Block { kind: kind.trim().into(), commands: commands.into(), says: says.map(str::to_owned) });
    }
    blocks
}

/// Everything that one shell prints for all blocks, block by block.
async fn run(vipps: &Vipps, gateway: &Gateway, configuration: &Path) -> Vec<(Block, String)> {
    let mut script = String::new();
    let blocks: Vec<_> = blocks().into_iter().filter(|block| block.kind.is_empty()).collect();
    for (at, block) in blocks.iter().enumerate() {
        script.push_str(&format!("echo '=== {at}'\n{}\n", block.commands));
    }
    let folder = Path::new(env!("CARGO_BIN_EXE_ciba-gateway")).parent().expect("a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let base = vipps.simulator.base_url().to_string();
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("exec 2>&1\n{script}")).env_clear().envs([
        ("PATH", path.as_str()),
        ("VIPPS", base.trim_end_matches('/')),
        ("CLIENT_ID", "demo-client"),
        ("CLIENT_SECRET", "demo-secret"),
        ("APPROVER", "4790000002"),
        ("REJECTER", "4790000005"),
        ("IGNORER", "4790000004"),
        ("OLD_APP", "4790000007"),
        ("UNKNOWN", "4790000010"),
        ("UNDER_15", "4790000006"),
        ("INTERVAL", "0.3"),
        ("EXPIRY", "3"),
        ("CONFIG", &configuration.to_string_lossy()),
        ("CIBA_SERVER", &gateway.url()),
        ("CIBA_API_KEY", api_key().expose()),
    ]);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("a shell");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let of_block = |at: usize| {
        let after = printed.split(&format!("=== {at}\n")).nth(1).unwrap_or_default();
        after.split("\n=== ").next().unwrap_or_default().to_owned()
    };
    blocks.into_iter().enumerate().map(|(at, block)| (block, of_block(at))).collect()
}

async fn printed(settings: Settings) -> Vec<(Block, String)> {
    let vipps = Vipps::with(local().await, settings).await;
    let configuration = Configuration::new(&vipps.issuer());
    let gateway = Gateway::ready(&configuration).await;
    run(&vipps, &gateway, &configuration.file().path()).await
}

#[tokio::test]
async fn the_commands_do_what_the_page_says() {
    let printed = printed(Settings { speed: 25.0, ..quick() }).await;
    assert!(printed.len() >= 14, "the page has been cut off");
    let mut said = 0;
    for (block, printed) in &printed {
        if let Some(says) = &block.says {
            said += 1;
            assert!(printed.contains(says), "no {says} after\n{}\nbut\n{printed}", block.commands);
        }
        for trouble in ["command not found", "syntax error", "curl: (", "invalid_client"] {
            assert!(!printed.contains(trouble), "{trouble} after\n{}\n{printed}", block.commands);
        }
    }
    assert!(said >= 13, "too few of them say what comes");
}

/// A switch that is turned shows in what the commands print: the page can tell the
/// answers apart.
#[tokio::test]
async fn the_commands_tell_the_answers_apart() {
    let mut open_points = OpenPoints::default();
    for (name, value) in [
        ("ineligible_as", "both"),
        ("early_poll", "slow_down"),
        ("mobile_number_hint", "true"),
        ("unlicensed", "refused"),
        ("unlicensed_scopes", "[\"nin\"]"),
        ("customer_token", "without_binding_message"),
        ("user_exists_limit", "10"),
        ("id_token", "{\"alg\": \"ES256\"}"),
        ("rejected", "{\"error\": {\"error_code\": \"user_rejected\", \"error\": \"access_denied\"}}"),
    ] {
        open_points.set(name, value).expect("a switch");
    }
    // An interval in which two commands are sent for certain.
    let printed = printed(Settings { interval_seconds: 4, open_points, ..Settings::default() }).await;
    let all: String = printed.iter().map(|(_, printed)| printed.as_str()).collect();
    for answer in [
        "\"error_code\":\"invalid_user\"",
        "slow_down",
        "invalid_scope",
        "a customer token is not accepted here",
        "429 Too Many Requests",
        "\"alg\":\"ES256\"",
        "user_rejected",
    ] {
        assert!(all.contains(answer), "no {answer} in\n{all}");
    }
}
