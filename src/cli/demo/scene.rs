//! One login of the demo, told line by line: what the caller's system does on
//! the left, what the phone shows on the right.

use std::time::Duration;

use tokio::time::Instant;

use super::{AGENT, Stage};
use crate::cli::client::Client;
use crate::cli::login::random_request_id;
use crate::cli::outcome;
use crate::cli::terminal::{Style, Terminal};
use crate::grpc::v1::{
    CallDirection, Channel, CodeMode, ConfirmCodeRequest, Login, LoginState, Outcome, StartLoginRequest,
    WatchLoginRequest, start_login_request::Person, watch_login_response::Event,
};
use crate::simulator::WaitingLogin;

/// A login may take this long before the demo calls it stuck.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Scene {
    title: &'static str,
    phone: &'static str,
    channel: Channel,
    terminal_id: &'static str,
}

pub(super) const fn all() -> [Scene; 3] {
    [
        Scene {
            title: "Call centre: the caller reads the code back, the agent types it",
            phone: "+4740112233",
            channel: Channel::CallCentre,
            terminal_id: "",
        },
        Scene {
            title: "TV box: the screen shows the code",
            phone: "+46701122334",
            channel: Channel::TvBox,
            terminal_id: "box-4711",
        },
        Scene {
            title: "Till: the customer display shows the code",
            phone: "+4520112233",
            channel: Channel::PointOfSale,
            terminal_id: "till-3",
        },
    ]
}

impl Scene {
    pub(super) async fn play(&self, stage: &Stage, terminal: Terminal) -> Result<(), String> {
        terminal.line(terminal.paint(Style::Strong, self.title));
        let started = Instant::now();
        let played = tokio::time::timeout(PATIENCE, self.follow(stage, terminal)).await;
        let login = played.map_err(|_| "the login did not end in time".to_owned())??;
        let took = started.elapsed().as_secs_f32();
        terminal.line(format!("  {}  after {took:.1} s", outcome::headline(&login, terminal)));
        for (name, value) in login.identity.iter().flat_map(outcome::person) {
            terminal.line(format!("    {name:<9} {value}"));
        }
        let name = login.identity.as_ref().map(|identity| identity.name.as_str()).unwrap_or_default();
        if login.outcome() == Outcome::Approved && !name.is_empty() {
            Ok(())
        } else {
            Err("the login did not end with an identity".to_owned())
        }
    }

    async fn follow(&self, stage: &Stage, terminal: Terminal) -> Result<Login, String> {
        let mut client = stage.connection.open().map_err(|_| "the client cannot be made".to_owned())?;
        let request = self.request()?;
        let login = client.start_login(request).await.map_err(said)?.into_inner().login.unwrap_or_default();
        caller(terminal, format!("StartLogin → {}, {}", outcome::word(&login), login.masked_phone_number));
        let request = WatchLoginRequest { login_id: login.login_id.clone(), heartbeat_interval: None };
        let mut stream = client.watch_login(request).await.map_err(said)?.into_inner();
        let mut shown = login.state();
        self.phone_answers(stage, &login, client, terminal).await?;
        while let Some(message) = stream.message().await.map_err(said)? {
            let Some(Event::Login(login)) = message.event else { continue };
            if login.state() == LoginState::Ended {
                return Ok(login);
            }
            if login.state() != shown {
                caller(terminal, format!("WatchLogin → {}", outcome::word(&login)));
                shown = login.state();
            }
        }
        Err("the stream ended before the login did".to_owned())
    }

    fn request(&self) -> Result<StartLoginRequest, String> {
        let is_call = self.channel == Channel::CallCentre;
        let direction = if is_call { CallDirection::Inbound } else { CallDirection::Unspecified };
        Ok(StartLoginRequest {
            request_id: random_request_id().map_err(|_| "the machine has no randomness".to_owned())?,
            person: Some(Person::PhoneNumber(self.phone.to_owned())),
            channel: self.channel.into(),
            call_direction: direction.into(),
            agent_id: AGENT.to_owned(),
            terminal_id: self.terminal_id.to_owned(),
            ..StartLoginRequest::default()
        })
    }

    /// What the person does: compare or read out the code, then approve.
    async fn phone_answers(
        &self,
        stage: &Stage,
        login: &Login,
        mut client: Client,
        terminal: Terminal,
    ) -> Result<(), String> {
        let digits = self.phone.trim_start_matches('+');
        let waiting = stage.simulator.waiting().into_iter().find(|waiting| waiting.phone == digits);
        let WaitingLogin { asked_by, binding_message, .. } = waiting.ok_or("the phone shows no request".to_owned())?;
        let code = binding_message.unwrap_or_default();
        phone(terminal, format!("\"{asked_by}\" asks: is this you?  code {code}"));
        if login.code_mode() == CodeMode::ReadBack {
            phone(terminal, format!("the caller reads out: {}", spaced(&code)));
            let request = ConfirmCodeRequest { login_id: login.login_id.clone(), code };
            let answer = client.confirm_code(request).await.map_err(said)?.into_inner();
            caller(terminal, format!("ConfirmCode → {}", if answer.matched { "matches" } else { "does not match" }));
        } else if login.code == code {
            caller(terminal, format!("the screen shows {code}"));
        } else {
            return Err("screen and phone show different codes".to_owned());
        }
        phone(terminal, "taps approve".to_owned());
        stage.simulator.approve(self.phone);
        Ok(())
    }
}

pub(super) fn caller(terminal: Terminal, text: String) {
    terminal.line(format!("  {} {text}", terminal.paint(Style::Accent, "system")));
}

fn phone(terminal: Terminal, text: String) {
    terminal.line(format!("  {} {text}", terminal.paint(Style::Warn, "phone ")));
}

fn spaced(code: &str) -> String {
    code.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

pub(super) fn said(status: tonic::Status) -> String {
    status.message().to_owned()
}
