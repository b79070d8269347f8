//! What `--stay` shows a human, who plays the phone: a till's QR code to scan, and a
//! login that ends on the gateway's landing page.
//!
//! The demo plays the till. It asks whoever has scanned the code, and tells how each
//! login of the tenant ends, also those that were started from another shell.

use std::convert::Infallible;

use tonic::Status;

use super::scene::{caller, said};
use super::{AGENT, Stage};
use crate::cli::client::{WATCH_AGAIN, is_passing};
use crate::cli::login::random_request_id;
use crate::cli::outcome;
use crate::cli::terminal::{Style, Terminal};
use crate::grpc::v1::start_login_request::Person;
use crate::grpc::v1::{
    Channel, CheckIn, CreateShopQrRequest, Login, LoginState, ShopQr, StartLoginRequest, WatchCheckInsRequest,
    WatchLoginsRequest, watch_check_ins_response, watch_logins_request, watch_logins_response,
};
use crate::shop_qr::drawing::Drawing;

/// The human's number.
const PHONE: &str = "4712345678";
const TILL: &str = "till-4";
const LOCATION: &str = "Till 4";

/// Says what the human can do, and plays the till until it is dropped.
///
/// # Errors
/// Why that cannot go on.
pub(super) async fn play(stage: &Stage, terminal: Terminal) -> Result<Infallible, String> {
    let code = shop_qr(stage).await?;
    invite(stage, &code, terminal);
    tokio::select! {
        ended = ask_whoever_checks_in(stage, terminal) => ended,
        ended = tell_ends(stage, terminal) => ended,
    }
}

/// Makes the till's code, which a shop does once.
async fn shop_qr(stage: &Stage) -> Result<ShopQr, String> {
    let mut shop = stage.connection.open_shop().map_err(|_| NO_CLIENT)?;
    let request = CreateShopQrRequest {
        terminal_id: TILL.to_owned(),
        location_description: LOCATION.to_owned(),
        ..CreateShopQrRequest::default()
    };
    let answer = shop.create_shop_qr(request).await.map_err(said)?;
    answer.into_inner().shop_qr.ok_or("the gateway made no QR code".to_owned())
}

const NO_CLIENT: &str = "the client cannot be made";

fn invite(stage: &Stage, code: &ShopQr, terminal: Terminal) {
    let base = stage.simulator.base_url();
    let page = format!("{}/phone/{PHONE}", base.as_str().trim_end_matches('/'));
    terminal.line("");
    terminal.line(format!("phone page    {}", terminal.paint(Style::Accent, page)));
    terminal.line(format!("landing page  {}", stage.landing));
    terminal.line(format!("gRPC          {} (reflection is on)", stage.connection.server));
    terminal.line(format!("health        {}/readyz and /metrics", stage.health));
    terminal.line(format!("shop's code   {} ({})", code.qr_id, code.content));
    if let Ok(drawing) = Drawing::of(&code.content) {
        terminal.line(drawing.text());
    }
    terminal.line(format!("This is at {LOCATION}: scan it on the phone page (\"Check in\"), then answer there."));
    terminal.line("");
    terminal.line("Log yourself in from another shell, then answer on the phone page:");
    command(stage, "--channel point-of-sale", terminal);
    terminal.line("As above, and the phone's browser goes on to the landing page (denied there, it runs out):");
    command(stage, "--channel tv-box --terminal box-7 --finish redirect --lifetime 120", terminal);
    terminal.line(terminal.paint(Style::Dim, "Ctrl-C ends the demo."));
    terminal.line("");
}

/// A command that starts a login on the human's phone.
fn command(stage: &Stage, how: &str, terminal: Terminal) {
    let (server, key) = (&stage.connection.server, stage.connection.api_key.as_deref().unwrap_or_default());
    let text = format!("{} login +{PHONE} {how} --server {server} --api-key {key}", program());
    terminal.line(terminal.paint(Style::Strong, text));
}

/// What the demo itself was called by, unless a shell would read that otherwise.
fn program() -> String {
    let is_plain = |name: &String| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
        name.ends_with("ciba-gateway") && name.bytes().all(plain)
    };
    std::env::args().next().filter(is_plain).unwrap_or_else(|| "ciba-gateway".to_owned())
}

/// The till: a login for each customer who scans its code.
async fn ask_whoever_checks_in(stage: &Stage, terminal: Terminal) -> Result<Infallible, String> {
    let mut shop = stage.connection.open_shop().map_err(|_| NO_CLIENT)?;
    loop {
        let request = WatchCheckInsRequest { terminal_id: TILL.to_owned(), ..WatchCheckInsRequest::default() };
        let broken = match shop.watch_check_ins(request).await {
            Ok(stream) => {
                let mut stream = stream.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(message)) => {
                            if let Some(watch_check_ins_response::Event::CheckIn(check_in)) = message.event {
                                ask(stage, check_in, terminal).await;
                            }
                        }
                        Ok(None) => break Status::unavailable("the stream ended"),
                        Err(status) => break status,
                    }
                }
            }
            Err(status) => status,
        };
        watch_again(broken).await?;
    }
}

async fn ask(stage: &Stage, check_in: CheckIn, terminal: Terminal) {
    caller(terminal, format!("WatchCheckIns → somebody checks in at {}", check_in.terminal_id));
    match start(stage, check_in).await {
        Ok(login) => {
            let code = terminal.paint(Style::Strong, &login.code);
            caller(terminal, format!("StartLogin → {}; the till shows {code}", outcome::word(&login)));
        }
        Err(problem) => terminal.line(terminal.paint(Style::Bad, format!("  ✗ {problem}"))),
    }
}

async fn start(stage: &Stage, check_in: CheckIn) -> Result<Login, String> {
    let request = StartLoginRequest {
        request_id: random_request_id().map_err(|_| "the machine has no randomness")?,
        person: Some(Person::QrCheckIn(check_in.check_in_id)),
        channel: Channel::PointOfSale.into(),
        agent_id: AGENT.to_owned(),
        terminal_id: check_in.terminal_id,
        ..StartLoginRequest::default()
    };
    let mut client = stage.connection.open().map_err(|_| NO_CLIENT)?;
    Ok(client.start_login(request).await.map_err(said)?.into_inner().login.unwrap_or_default())
}

/// How each login of the tenant ends from now on.
async fn tell_ends(stage: &Stage, terminal: Terminal) -> Result<Infallible, String> {
    let mut client = stage.connection.open().map_err(|_| NO_CLIENT)?;
    let mut position = None;
    loop {
        let request = WatchLoginsRequest { position: position.clone(), ..WatchLoginsRequest::default() };
        let broken = match client.watch_logins(request).await {
            Ok(stream) => {
                let mut stream = stream.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(message)) => {
                            position = Some(watch_logins_request::Position::Cursor(message.cursor));
                            if let Some(watch_logins_response::Event::Login(login)) = message.event {
                                tell(&login, terminal);
                            }
                        }
                        Ok(None) => break Status::unavailable("the stream ended"),
                        Err(status) => break status,
                    }
                }
            }
            Err(status) => status,
        };
        watch_again(broken).await?;
    }
}

fn tell(login: &Login, terminal: Terminal) {
    if login.state() != LoginState::Ended {
        return;
    }
    terminal.line(format!("  {}  at {}", outcome::headline(login, terminal), login.terminal_id));
    for (name, value) in login.identity.iter().flat_map(outcome::person) {
        terminal.line(format!("    {name:<9} {value}"));
    }
}

async fn watch_again(broken: Status) -> Result<(), String> {
    if !is_passing(&broken) {
        return Err(said(broken));
    }
    tokio::time::sleep(WATCH_AGAIN).await;
    Ok(())
}
