//! `watch`: follows one login, or every login of the tenant.

use std::process::ExitCode;

use clap::Args;

use super::client::{Connection, Problem};
use super::login::ChannelName;
use super::outcome;
use super::terminal::{Style, Terminal};
use crate::grpc::v1::{
    Channel, Login, LoginState, WatchFrom, WatchLoginRequest, WatchLoginsRequest, watch_login_response,
    watch_logins_request, watch_logins_response,
};

#[derive(Args)]
#[command(after_help = "With a login id the exit code tells its outcome, as for `login`. \
    Without one it runs until Ctrl-C.")]
pub(super) struct Options {
    /// The login; every login of the tenant when left out.
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

async fn one(options: &Options, login_id: &str) -> Result<Login, Problem> {
    let request = WatchLoginRequest { login_id: login_id.to_owned(), heartbeat_interval: None };
    let mut stream = options.connection.open()?.watch_login(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        if let Some(watch_login_response::Event::Login(login)) = message.event {
            print(options, &login);
            if login.state() == LoginState::Ended {
                return Ok(login);
            }
        }
    }
    Err(tonic::Status::unavailable("the stream ended early; watch again").into())
}

async fn all(options: &Options) -> Result<(), Problem> {
    let request = WatchLoginsRequest {
        channel: options.channel.map_or(Channel::Unspecified, ChannelName::wire).into(),
        terminal_id: options.terminal.clone(),
        agent_id: options.of_agent.clone(),
        heartbeat_interval: None,
        position: Some(watch_logins_request::Position::From(WatchFrom::Snapshot.into())),
    };
    let mut stream = options.connection.open()?.watch_logins(request).await?.into_inner();
    loop {
        let message = tokio::select! {
            message = stream.message() => message?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match message.map(|message| message.event) {
            Some(Some(watch_logins_response::Event::Login(login))) => print(options, &login),
            Some(_) => {}
            None => return Err(tonic::Status::unavailable("the stream ended; watch again").into()),
        }
    }
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
