//! `login`: starts one login and follows it to its end.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tokio::io::{AsyncBufReadExt, BufReader};
use tonic::Status;

use super::client::{Client, Connection, Problem, WATCH_AGAIN, is_passing};
use super::outcome;
use super::terminal::{Style, Terminal};
use crate::grpc::v1::watch_login_response::Event;
use crate::grpc::v1::{
    CallDirection, CancelLoginRequest, Channel, Claim, CodeMode, ConfirmCodeRequest, FinishByRedirect, Login,
    LoginState, StartLoginRequest, WatchLoginRequest, start_login_request::Finish, start_login_request::Person,
};

#[derive(Args)]
#[command(after_help = "Exit codes: 0 approved, 10 denied, 11 expired, 12 cancelled, 13 failed; \
    64 wrong input, 69 not available now, 70 internal, 77 not allowed.\nCtrl-C cancels the login.")]
pub(super) struct Options {
    /// Whose phone to ask: +47…, +46…, +45…, +358…, +299…, or national.
    #[arg(required_unless_present_any = ["check_in", "personal_qr"])]
    phone_number: Option<String>,
    /// In the place of a number: who has scanned the shop's QR code, by check_in_id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["phone_number", "personal_qr"])]
    check_in: Option<String>,
    /// In the place of a number: the text of the customer's own QR code, as scanned.
    #[arg(long, value_name = "TEXT", conflicts_with = "phone_number")]
    personal_qr: Option<String>,
    /// Where the person is.
    #[arg(long, value_enum)]
    channel: ChannelName,
    /// The till or box.
    #[arg(long, default_value = "command-line", value_name = "ID")]
    terminal: String,
    /// The telephone system's name for the call.
    #[arg(long, default_value = "", value_name = "ID")]
    call: String,
    /// What the login is for, where the tenant has purposes.
    #[arg(long, default_value = "", value_name = "ID")]
    purpose: String,
    /// What to learn about the person; the tenant's or the purpose's default when left out.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CLAIM,…")]
    claims: Vec<ClaimName>,
    /// What is done with the code that the app shows; by channel when left out.
    #[arg(long, value_enum)]
    code_mode: Option<CodeModeName>,
    /// Where the person is when they have answered: in the app, or on a page.
    #[arg(long, value_enum, default_value = "app")]
    finish: FinishName,
    /// That page: one of the tenant's `redirect_uris`; the gateway's own when left out.
    #[arg(long, default_value = "", value_name = "URI")]
    redirect_uri: String,
    /// How long the login may take, in seconds: 60 to 600.
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<u32>,
    /// What to be told what to say in: en, nb, sv, da or fi; the tenant's default
    /// when left out.
    #[arg(long, default_value = "", value_name = "TAG")]
    language: String,
    /// The name of this start: repeated with the same name, no phone rings twice.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Print each state as a line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ChannelName {
    CallCentre,
    PointOfSale,
    TvBox,
}

#[derive(Clone, Copy, ValueEnum)]
enum ClaimName {
    Name,
    PhoneNumber,
    Email,
    Address,
    Birthdate,
    Gender,
    Nin,
    DelegatedConsents,
    CustomFlow,
    Agreement,
}

#[derive(Clone, Copy, ValueEnum)]
enum CodeModeName {
    ReadBack,
    ReadOut,
    Display,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FinishName {
    App,
    Redirect,
}

impl ChannelName {
    pub(super) const fn wire(self) -> Channel {
        match self {
            Self::CallCentre => Channel::CallCentre,
            Self::PointOfSale => Channel::PointOfSale,
            Self::TvBox => Channel::TvBox,
        }
    }
}

impl ClaimName {
    const fn wire(self) -> Claim {
        match self {
            Self::Name => Claim::Name,
            Self::PhoneNumber => Claim::PhoneNumber,
            Self::Email => Claim::Email,
            Self::Address => Claim::Address,
            Self::Birthdate => Claim::Birthdate,
            Self::Gender => Claim::Gender,
            Self::Nin => Claim::Nin,
            Self::DelegatedConsents => Claim::DelegatedConsents,
            Self::CustomFlow => Claim::CustomFlow,
            Self::Agreement => Claim::Agreement,
        }
    }
}

impl CodeModeName {
    const fn wire(self) -> CodeMode {
        match self {
            Self::ReadBack => CodeMode::ReadBack,
            Self::ReadOut => CodeMode::ReadOut,
            Self::Display => CodeMode::Display,
        }
    }
}

pub(super) async fn run(mut options: Options) -> ExitCode {
    if matches!(options.channel, ChannelName::CallCentre) && options.connection.agent.is_none() {
        options.connection.agent = Some("command-line".into());
    }
    match follow(&options).await {
        Ok(login) => outcome::exit_code(login.outcome()),
        Err(problem) => problem.exit(),
    }
}

async fn follow(options: &Options) -> Result<Login, Problem> {
    let mut client = options.connection.open()?;
    let printer = Printer { terminal: Terminal::stdout(), json: options.json };
    let login = client.start_login(request(options)?).await?.into_inner().login.unwrap_or_default();
    printer.started(&login);
    if login.state() == LoginState::Ended {
        printer.state(&login);
        return Ok(login);
    }
    if options.finish == FinishName::Redirect {
        printer.note("not polled: it ends when the phone's browser lands on the page, or by its time");
    }
    let id = login.login_id.clone();
    tokio::select! {
        end = watch(client.clone(), &options.connection, &id, printer) => end,
        never = type_codes(client.clone(), &login, printer) => match never {},
        signal = tokio::signal::ctrl_c() => {
            signal.map_err(|_| Problem::input("Ctrl-C cannot be listened to"))?;
            let login = client.cancel_login(CancelLoginRequest { login_id: id }).await?.into_inner().login;
            let login = login.unwrap_or_default();
            printer.state(&login);
            Ok(login)
        }
    }
}

impl Options {
    fn person(&self) -> Option<Person> {
        let check_in = || self.check_in.clone().map(Person::QrCheckIn);
        let personal_qr = || self.personal_qr.clone().map(Person::PersonalQr);
        self.phone_number.clone().map(Person::PhoneNumber).or_else(check_in).or_else(personal_qr)
    }
}

fn request(options: &Options) -> Result<StartLoginRequest, Problem> {
    let channel = options.channel.wire();
    let is_call = channel == Channel::CallCentre;
    let direction = if is_call { CallDirection::Inbound } else { CallDirection::Unspecified };
    let request_id = match &options.request_id {
        Some(id) => id.clone(),
        None => random_request_id()?,
    };
    Ok(StartLoginRequest {
        request_id,
        person: options.person(),
        channel: channel.into(),
        call_direction: direction.into(),
        terminal_id: if is_call { String::new() } else { options.terminal.clone() },
        call_id: options.call.clone(),
        purpose: options.purpose.clone(),
        language: options.language.clone(),
        claims: options.claims.iter().map(|claim| claim.wire().into()).collect(),
        code_mode: options.code_mode.map_or(CodeMode::Unspecified, CodeModeName::wire).into(),
        lifetime: options.lifetime.map(|seconds| prost_types::Duration { seconds: seconds.into(), nanos: 0 }),
        finish: finish(options)?,
        ..StartLoginRequest::default()
    })
}

fn finish(options: &Options) -> Result<Option<Finish>, Problem> {
    match (options.finish, options.redirect_uri.as_str()) {
        (FinishName::App, "") => Ok(None),
        (FinishName::App, _) => Err(Problem::input("--redirect-uri goes with --finish redirect")),
        (FinishName::Redirect, uri) => {
            Ok(Some(Finish::FinishByRedirect(FinishByRedirect { redirect_uri: uri.to_owned() })))
        }
    }
}

pub(super) fn random_request_id() -> Result<String, Problem> {
    use base64::Engine;
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::input("the machine has no randomness"))?;
    Ok(base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Watches until the end; a stream that breaks is opened again, as its contract says.
async fn watch(
    mut client: Client,
    connection: &Connection,
    login_id: &str,
    printer: Printer,
) -> Result<Login, Problem> {
    let mut shown = None;
    loop {
        let request = WatchLoginRequest { login_id: login_id.to_owned(), heartbeat_interval: None };
        let broken = match client.watch_login(request).await {
            Ok(stream) => {
                let mut stream = stream.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(message)) => {
                            let Some(Event::Login(login)) = message.event else { continue };
                            let word = outcome::word(&login);
                            if shown.as_ref() != Some(&word) {
                                printer.state(&login);
                                shown = Some(word);
                            }
                            if login.state() == LoginState::Ended {
                                return Ok(login);
                            }
                        }
                        Ok(None) => break Status::unavailable("the stream ended early"),
                        Err(status) => break connection.end_of_stream(status),
                    }
                }
            }
            Err(status) => status,
        };
        if !is_passing(&broken) {
            return Err(broken.into());
        }
        printer.note("connection lost; watching again");
        tokio::time::sleep(WATCH_AGAIN).await;
    }
}

/// In read-back mode every line of standard input is a code that the person read out.
async fn type_codes(mut client: Client, login: &Login, printer: Printer) -> std::convert::Infallible {
    if login.code_mode() == CodeMode::ReadBack {
        printer.ask_for_code();
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request = ConfirmCodeRequest { login_id: login.login_id.clone(), code: line.trim().to_owned() };
            match client.confirm_code(request).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    if answer.matched {
                        printer.note("the code is right");
                        break;
                    }
                    printer.note(&format!("wrong code; {} tries left", answer.tries_left));
                }
                Err(status) => printer.note(status.message()),
            }
        }
    }
    std::future::pending().await
}

#[derive(Clone, Copy)]
struct Printer {
    terminal: Terminal,
    json: bool,
}

impl Printer {
    fn started(self, login: &Login) {
        if self.json {
            return self.terminal.line(outcome::as_json(login));
        }
        self.terminal.line(format!("login {}  phone {}", login.login_id, login.masked_phone_number));
        if !login.code.is_empty() {
            let (code, spelled) = (&login.code, format!("({})", login.code_spelled));
            let (code, spelled) = (self.terminal.paint(Style::Strong, code), self.terminal.paint(Style::Dim, &spelled));
            self.terminal.line(format!("code  {code}  {spelled}"));
        }
    }

    fn state(self, login: &Login) {
        if self.json {
            return self.terminal.line(outcome::as_json(login));
        }
        self.terminal.line(format!("{}  {}", outcome::headline(login, self.terminal), login.agent_text));
        for (name, value) in login.identity.iter().flat_map(outcome::person) {
            self.terminal.line(format!("  {name:<10} {value}"));
        }
    }

    fn ask_for_code(self) {
        if !self.json && std::io::stdin().is_terminal() {
            self.note("type the code that the person reads from the app, then Enter");
        }
    }

    fn note(self, text: &str) {
        if self.json { eprintln!("{text}") } else { self.terminal.line(self.terminal.paint(Style::Dim, text)) }
    }
}
