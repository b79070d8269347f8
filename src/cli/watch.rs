//! `watch`: follows one login, or every login of the tenant.

use std::process::ExitCode;

use clap::Args;
use tonic::{Status, Streaming};

use super::client::{Connection, Problem, WATCH_AGAIN, is_passing};
use super::login::ChannelName;
use super::outcome;
use super::terminal::{Style, Terminal};
use crate::grpc::v1::{
    Channel, Login, LoginState, WatchFrom, WatchLoginRequest, WatchLoginResponse, WatchLoginsRequest,
    WatchLoginsResponse, watch_login_response, watch_logins_request, watch_logins_response,
};

#[derive(Args)]
#[command(after_help = "With a login id the exit code tells its outcome, as for `login`. \
    Without one it runs until Ctrl-C.")]
pub(super) struct Options {
    /// The login; every login of the tenant when left out.
    #[arg(allow_hyphen_values = true)]
    login_id: Option<String>,
    /// Only this channel.
    #[arg(long, value_enum)]
    channel: Option<ChannelName>,
    /// Only this till or box.
    #[arg(long, default_value = "", value_name = "ID")]
    terminal: String,
    /// Only logins of this agent.
    #[arg(long, default_value = "", value_name = "ID")]
    of_agent: String,
    /// Print each state as a line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(options: Options) -> ExitCode {
    let watched = match &options.login_id {
        Some(login_id) => one(&options, login_id).await.map(|login| outcome::exit_code(login.outcome())),
        None => all(&options).await.map(|()| ExitCode::SUCCESS),
    };
    watched.unwrap_or_else(|problem| problem.exit())
}

/// Until the login has ended. A stream that breaks after it has begun is opened
/// again, as its contract says.
async fn one(options: &Options, login_id: &str) -> Result<Login, Problem> {
    let (mut client, mut shown) = (options.connection.open()?, None);
    loop {
        let request = WatchLoginRequest { login_id: login_id.to_owned(), heartbeat_interval: None };
        let broken = match client.watch_login(request).await {
            Ok(stream) => match follow_one(stream.into_inner(), options, &mut shown).await {
                Ok(login) => return Ok(login),
                Err(broken) => options.connection.end_of_stream(broken),
            },
            Err(status) => status,
        };
        watch_again(broken, shown.is_some()).await?;
    }
}

async fn follow_one(
    mut stream: Streaming<WatchLoginResponse>,
    options: &Options,
    shown: &mut Option<LoginState>,
) -> Result<Login, Status> {
    while let Some(message) = stream.message().await? {
        let Some(watch_login_response::Event::Login(login)) = message.event else { continue };
        if *shown != Some(login.state()) {
            print(options, &login);
            *shown = Some(login.state());
        }
        if login.state() == LoginState::Ended {
            return Ok(login);
        }
    }
    Err(Status::unavailable("the stream ended early"))
}

/// Until Ctrl-C. A stream that breaks after it has begun is opened again where it
/// broke.
async fn all(options: &Options) -> Result<(), Problem> {
    let (mut client, mut cursor) = (options.connection.open()?, String::new());
    let watching = async {
        loop {
            let broken = match client.watch_logins(request(options, &cursor)).await {
                Ok(stream) => {
                    let broken = follow_all(stream.into_inner(), options, &mut cursor).await;
                    options.connection.end_of_stream(broken)
                }
                Err(status) => status,
            };
            watch_again(broken, !cursor.is_empty()).await?;
        }
    };
    tokio::select! {
        ended = watching => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn request(options: &Options, cursor: &str) -> WatchLoginsRequest {
    use watch_logins_request::Position;
    let position =
        if cursor.is_empty() { Position::From(WatchFrom::Snapshot.into()) } else { Position::Cursor(cursor.into()) };
    WatchLoginsRequest {
        channel: options.channel.map_or(Channel::Unspecified, ChannelName::wire).into(),
        terminal_id: options.terminal.clone(),
        agent_id: options.of_agent.clone(),
        heartbeat_interval: None,
        position: Some(position),
    }
}

async fn follow_all(mut stream: Streaming<WatchLoginsResponse>, options: &Options, cursor: &mut String) -> Status {
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                *cursor = message.cursor;
                if let Some(watch_logins_response::Event::Login(login)) = message.event {
                    print(options, &login);
                }
            }
            Ok(None) => return Status::unavailable("the stream ended"),
            Err(status) => return status,
        }
    }
}

/// Waits a moment, or says why it makes no sense to go on.
async fn watch_again(broken: Status, has_begun: bool) -> Result<(), Problem> {
    if !has_begun || !is_passing(&broken) {
        return Err(broken.into());
    }
    eprintln!("the stream broke off; watching again");
    tokio::time::sleep(WATCH_AGAIN).await;
    Ok(())
}

fn print(options: &Options, login: &Login) {
    let terminal = Terminal::stdout();
    if options.json {
        return terminal.line(outcome::as_json(login));
    }
    let who = [&login.agent_id, &login.terminal_id].into_iter().find(|name| !name.is_empty());
    let who = who.map_or("-", String::as_str);
    let channel = login.channel().as_str_name().trim_start_matches("CHANNEL_").to_lowercase().replace('_', "-");
    let id = terminal.paint(Style::Dim, &login.login_id);
    terminal.line(format!(
        "{id}  {channel:<13}  {who:<16}  {}  {}",
        login.masked_phone_number,
        outcome::headline(login, terminal)
    ));
}
