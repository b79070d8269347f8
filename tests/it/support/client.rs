//! A caller of the API, with verbs. Keeps everything it was ever told.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ciba_gateway::grpc::v1;
use ciba_gateway::grpc::v1::login_service_client::LoginServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::StatusExt;
use v1::{watch_login_response, watch_logins_response};

pub(crate) const NUMBER: &str = "+4791234567";
pub(crate) const OTHER_NUMBER: &str = "+4791234568";

/// A start at a till: no agent's name, the code on the till's screen.
pub(crate) fn at_the_till(request_id: &str, number: &str) -> v1::StartLoginRequest {
    v1::StartLoginRequest {
        request_id: request_id.to_owned(),
        person: Some(v1::start_login_request::Person::PhoneNumber(number.to_owned())),
        channel: v1::Channel::PointOfSale.into(),
        terminal_id: "till-1".to_owned(),
        ..Default::default()
    }
}

/// A question about a number from a till.
pub(crate) fn about(number: &str) -> v1::CheckPhoneRequest {
    v1::CheckPhoneRequest {
        phone_number: number.to_owned(),
        channel: v1::Channel::PointOfSale.into(),
        terminal_id: "till-1".to_owned(),
        ..Default::default()
    }
}

/// A start before a TV box.
pub(crate) fn at_the_box(request_id: &str, number: &str) -> v1::StartLoginRequest {
    v1::StartLoginRequest {
        channel: v1::Channel::TvBox.into(),
        terminal_id: "box-1".to_owned(),
        ..at_the_till(request_id, number)
    }
}

/// A start by agent `ada` who is being called: read-back.
pub(crate) fn on_a_call(request_id: &str, number: &str) -> v1::StartLoginRequest {
    v1::StartLoginRequest {
        channel: v1::Channel::CallCentre.into(),
        call_direction: v1::CallDirection::Inbound.into(),
        agent_id: "ada".to_owned(),
        terminal_id: String::new(),
        ..at_the_till(request_id, number)
    }
}

pub(crate) fn hand_over(login_id: &str, agent: &str) -> v1::TransferLoginRequest {
    v1::TransferLoginRequest {
        login: Some(v1::transfer_login_request::Login::LoginId(login_id.to_owned())),
        agent_id: agent.to_owned(),
        client_id: String::new(),
    }
}

/// A start whose person lands on that page.
pub(crate) fn landing_on(page: &str, start: v1::StartLoginRequest) -> v1::StartLoginRequest {
    let redirect = v1::FinishByRedirect { redirect_uri: page.to_owned() };
    v1::StartLoginRequest { finish: Some(v1::start_login_request::Finish::FinishByRedirect(redirect)), ..start }
}

/// What a page hands over that was given a code.
pub(crate) fn with_code(code: &str) -> v1::CompleteRedirectRequest {
    v1::CompleteRedirectRequest { code: code.to_owned(), ..Default::default() }
}

/// What a page hands over that was given an error.
pub(crate) fn with_error(error: &str, login: &v1::Login) -> v1::CompleteRedirectRequest {
    v1::CompleteRedirectRequest {
        error: error.to_owned(),
        error_description: "about +4791234567".to_owned(),
        login_id: login.login_id.clone(),
        ..Default::default()
    }
}

/// How a call was refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) fields: Vec<String>,
    pub(crate) message: String,
    /// Of the `ErrorInfo`.
    metadata: Vec<(String, String)>,
}

impl Refusal {
    /// What the `ErrorInfo` says under that name.
    pub(crate) fn told(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(told, _)| told == name).map(|(_, value)| value.as_str())
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let fields = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        Self {
            code: status.code(),
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            fields: fields.into_iter().map(|violation| violation.field).collect(),
            message: status.message().to_owned(),
            metadata: details.error_info().into_iter().flat_map(|info| info.metadata.clone()).collect(),
        }
    }
}

/// All logins, after what `cursor` came with.
pub(crate) fn after(cursor: &str) -> v1::WatchLoginsRequest {
    let position = Some(v1::watch_logins_request::Position::Cursor(cursor.to_owned()));
    let heartbeat_interval = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    v1::WatchLoginsRequest { position, heartbeat_interval, ..Default::default() }
}

/// How a login stands, short enough to compare.
pub(crate) fn standing(login: &v1::Login) -> String {
    let name = match (login.state(), login.outcome(), login.failure_reason()) {
        (v1::LoginState::Ended, v1::Outcome::Failed, reason) => reason.as_str_name().replace("FAILURE_REASON_", ""),
        (v1::LoginState::Ended, outcome, _) => outcome.as_str_name().replace("OUTCOME_", ""),
        (state, _, _) => state.as_str_name().replace("LOGIN_STATE_", ""),
    };
    name.to_ascii_lowercase()
}

#[derive(Clone)]
pub(crate) struct Client {
    stub: LoginServiceClient<Channel>,
    authorization: Option<String>,
    agent: Option<String>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Client {
    pub(crate) fn new(channel: Channel, authorization: Option<String>) -> Self {
        let stub = LoginServiceClient::new(channel);
        Self { stub, authorization, agent: None, heard: Arc::default() }
    }

    pub(crate) fn with_agent(self, agent: &str) -> Self {
        Self { agent: Some(agent.to_owned()), ..self }
    }

    pub(crate) fn without_agent(self) -> Self {
        Self { agent: None, ..self }
    }

    pub(crate) fn showing(self, authorization: Option<&str>) -> Self {
        Self { authorization: authorization.map(str::to_owned), ..self }
    }

    /// Everything that this caller was ever told, as text.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    pub(crate) async fn check(&self, request: v1::CheckPhoneRequest) -> Result<bool, Refusal> {
        let answer = self.stub.clone().check_phone(self.request(request)).await;
        Ok(self.hear(answer)?.usable)
    }

    pub(crate) async fn try_start(&self, request: v1::StartLoginRequest) -> Result<v1::Login, Refusal> {
        let answer = self.stub.clone().start_login(self.request(request)).await;
        Ok(self.hear(answer)?.login.expect("a login"))
    }

    pub(crate) async fn start(&self, request: v1::StartLoginRequest) -> v1::Login {
        self.try_start(request).await.expect("a login")
    }

    pub(crate) async fn refused(&self, request: v1::StartLoginRequest) -> Refusal {
        self.try_start(request).await.expect_err("a refusal")
    }

    /// As [`Client::refused`]: everything that came.
    pub(crate) async fn refused_with(&self, request: v1::StartLoginRequest) -> Status {
        self.stub.clone().start_login(self.request(request)).await.expect_err("a refusal")
    }

    pub(crate) async fn try_get(&self, login_id: &str) -> Result<v1::Login, Refusal> {
        let request = v1::GetLoginRequest { login_id: login_id.to_owned() };
        let answer = self.stub.clone().get_login(self.request(request)).await;
        Ok(self.hear(answer)?.login.expect("a login"))
    }

    pub(crate) async fn get(&self, login: &v1::Login) -> v1::Login {
        self.try_get(&login.login_id).await.expect("a login")
    }

    /// How the login stands now.
    pub(crate) async fn sees(&self, login: &v1::Login) -> String {
        standing(&self.get(login).await)
    }

    pub(crate) async fn try_wait(&self, login_id: &str, timeout_secs: i64) -> Result<v1::Login, Refusal> {
        let timeout = Some(prost_types::Duration { seconds: timeout_secs, nanos: 0 });
        let request = v1::WaitLoginRequest { login_id: login_id.to_owned(), timeout };
        let answer = self.stub.clone().wait_login(self.request(request)).await;
        Ok(self.hear(answer)?.login.expect("a login"))
    }

    /// Waits until the login has ended, call after call.
    pub(crate) async fn wait_for_end(&self, login: &v1::Login) -> v1::Login {
        loop {
            let login = self.try_wait(&login.login_id, 60).await.expect("a login");
            if login.state() == v1::LoginState::Ended {
                return login;
            }
        }
    }

    pub(crate) async fn try_confirm(&self, login_id: &str, code: &str) -> Result<v1::ConfirmCodeResponse, Refusal> {
        let request = v1::ConfirmCodeRequest { login_id: login_id.to_owned(), code: code.to_owned() };
        let answer = self.stub.clone().confirm_code(self.request(request)).await;
        self.hear(answer)
    }

    /// Types a code; whether it matched, the tries left, and how the login stands.
    pub(crate) async fn confirm(&self, login: &v1::Login, code: &str) -> (bool, u32, String) {
        let answer = self.try_confirm(&login.login_id, code).await.expect("a verdict");
        (answer.matched, answer.tries_left, standing(&answer.login.expect("a login")))
    }

    pub(crate) async fn try_cancel(&self, login_id: &str) -> Result<v1::Login, Refusal> {
        let request = v1::CancelLoginRequest { login_id: login_id.to_owned() };
        let answer = self.stub.clone().cancel_login(self.request(request)).await;
        Ok(self.hear(answer)?.login.expect("a login"))
    }

    pub(crate) async fn cancel(&self, login: &v1::Login) -> String {
        standing(&self.try_cancel(&login.login_id).await.expect("a login"))
    }

    pub(crate) async fn try_erase(&self, login_id: &str) -> Result<v1::Login, Refusal> {
        let request = v1::EraseLoginRequest { what: Some(v1::erase_login_request::What::LoginId(login_id.to_owned())) };
        let answer = self.stub.clone().erase_login(self.request(request)).await;
        Ok(self.hear(answer)?.login.expect("a login"))
    }

    pub(crate) async fn erase(&self, login: &v1::Login) -> v1::Login {
        self.try_erase(&login.login_id).await.expect("a login")
    }

    pub(crate) async fn erase_number(&self, number: &str) -> Result<u32, Refusal> {
        let what = Some(v1::erase_login_request::What::PhoneNumber(number.to_owned()));
        let answer = self.stub.clone().erase_login(self.request(v1::EraseLoginRequest { what })).await;
        Ok(self.hear(answer)?.erased)
    }

    pub(crate) async fn try_transfer(&self, request: v1::TransferLoginRequest) -> Result<v1::Login, Refusal> {
        let answer = self.stub.clone().transfer_login(self.request(request)).await;
        Ok(self.hear(answer)?.login.expect("a login"))
    }

    /// Hands a login to an agent of the system that has it.
    pub(crate) async fn hand_to(&self, login: &v1::Login, agent: &str) -> Result<v1::Login, Refusal> {
        self.try_transfer(hand_over(&login.login_id, agent)).await
    }

    pub(crate) async fn try_complete(
        &self,
        request: v1::CompleteRedirectRequest,
    ) -> Result<v1::CompleteRedirectResponse, Refusal> {
        let answer = self.stub.clone().complete_redirect(self.request(request)).await;
        self.hear(answer)
    }

    /// Whether the page's code was taken, and how its login stands now.
    pub(crate) async fn lands(&self, code: &str) -> Result<(bool, String), Refusal> {
        let done = self.try_complete(with_code(code)).await?;
        Ok((done.completed, done.login.as_ref().map(standing).unwrap_or_default()))
    }

    pub(crate) async fn try_list(&self, request: v1::ListLoginsRequest) -> Result<v1::ListLoginsResponse, Refusal> {
        let answer = self.stub.clone().list_logins(self.request(request)).await;
        self.hear(answer)
    }

    pub(crate) async fn list(&self) -> Vec<v1::Login> {
        self.try_list(v1::ListLoginsRequest::default()).await.expect("a list").logins
    }

    pub(crate) async fn try_watch(&self, login_id: &str, heartbeat_secs: i64) -> Result<Watch, Refusal> {
        let heartbeat_interval = Some(prost_types::Duration { seconds: heartbeat_secs, nanos: 0 });
        let request = v1::WatchLoginRequest { login_id: login_id.to_owned(), heartbeat_interval };
        let stream = self.stub.clone().watch_login(self.request(request)).await;
        Ok(Watch { stream: Source::One(stream?.into_inner()), client: self.clone(), cursor: String::new() })
    }

    pub(crate) async fn watch(&self, login: &v1::Login) -> Watch {
        self.try_watch(&login.login_id, 20).await.expect("a stream")
    }

    pub(crate) async fn try_watch_all(&self, request: v1::WatchLoginsRequest) -> Result<Watch, Refusal> {
        let stream = self.stub.clone().watch_logins(self.request(request)).await;
        Ok(Watch { stream: Source::All(stream?.into_inner()), client: self.clone(), cursor: String::new() })
    }

    pub(crate) async fn watch_all(&self, request: v1::WatchLoginsRequest) -> Watch {
        let mut watch = self.try_watch_all(request).await.expect("a stream");
        assert_eq!(watch.next().await, Seen::Heartbeat, "a stream from now on begins with its cursor");
        watch
    }

    /// Watches all again, after what `cursor` came with.
    pub(crate) async fn resume(&self, cursor: &str) -> Watch {
        self.try_watch_all(after(cursor)).await.expect("a stream")
    }

    /// The live logins first.
    pub(crate) async fn watch_from_snapshot(&self, request: v1::WatchLoginsRequest) -> Watch {
        let position = Some(v1::watch_logins_request::Position::From(v1::WatchFrom::Snapshot.into()));
        self.try_watch_all(v1::WatchLoginsRequest { position, ..request }).await.expect("a stream")
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = [("authorization", &self.authorization), ("ciba-agent-id", &self.agent)];
        for (name, value) in metadata {
            if let Some(value) = value {
                request.metadata_mut().insert(name, value.parse().expect("metadata"));
            }
        }
        request
    }

    fn hear<T: Debug>(&self, answer: Result<Response<T>, Status>) -> Result<T, Refusal> {
        self.remember(&answer);
        Ok(answer?.into_inner())
    }

    fn remember(&self, message: &impl Debug) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{message:?}"));
    }
}

/// What came next on a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Login(Box<v1::Login>),
    Heartbeat,
    SnapshotEnd,
    End,
    Refused(Refusal),
}

/// A stream of one login or of all.
pub(crate) struct Watch {
    stream: Source,
    client: Client,
    /// That of the newest message.
    pub(crate) cursor: String,
}

enum Source {
    One(Streaming<v1::WatchLoginResponse>),
    All(Streaming<v1::WatchLoginsResponse>),
}

impl Watch {
    /// The next message, or how the stream ended.
    pub(crate) async fn next(&mut self) -> Seen {
        let seen = match &mut self.stream {
            Source::One(stream) => match stream.message().await {
                Ok(Some(message)) => match message.event.expect("an event") {
                    watch_login_response::Event::Login(login) => Seen::Login(Box::new(login)),
                    watch_login_response::Event::Heartbeat(_) => Seen::Heartbeat,
                },
                Ok(None) => Seen::End,
                Err(status) => Seen::Refused(status.into()),
            },
            Source::All(stream) => match stream.message().await {
                Ok(Some(message)) => {
                    self.cursor = message.cursor;
                    match message.event.expect("an event") {
                        watch_logins_response::Event::Login(login) => Seen::Login(Box::new(login)),
                        watch_logins_response::Event::Heartbeat(_) => Seen::Heartbeat,
                        watch_logins_response::Event::SnapshotEnd(_) => Seen::SnapshotEnd,
                    }
                }
                Ok(None) => Seen::End,
                Err(status) => Seen::Refused(status.into()),
            },
        };
        self.client.remember(&seen);
        seen
    }

    /// The next login, past heartbeats.
    pub(crate) async fn login(&mut self) -> v1::Login {
        loop {
            match self.next().await {
                Seen::Login(login) => return *login,
                Seen::Heartbeat | Seen::SnapshotEnd => {}
                other => panic!("expected a login, got {other:?}"),
            }
        }
    }

    /// Why the stream ends, past whatever comes before.
    pub(crate) async fn refusal(&mut self) -> Refusal {
        loop {
            match self.next().await {
                Seen::Refused(refusal) => return refusal,
                Seen::End => panic!("the stream ended well"),
                Seen::Login(_) | Seen::Heartbeat | Seen::SnapshotEnd => {}
            }
        }
    }

    /// How the logins stand that come until the stream ends well.
    pub(crate) async fn until_end(&mut self) -> Vec<String> {
        let mut standings = Vec::new();
        loop {
            match self.next().await {
                Seen::Login(login) => standings.push(standing(&login)),
                Seen::Heartbeat | Seen::SnapshotEnd => {}
                Seen::End => return standings,
                Seen::Refused(refusal) => panic!("the stream broke: {refusal:?}"),
            }
        }
    }

    /// How the logins stand that come within `time`.
    pub(crate) async fn within(&mut self, time: Duration) -> Vec<String> {
        let mut standings = Vec::new();
        let _ = tokio::time::timeout(time, async {
            loop {
                match self.next().await {
                    Seen::Login(login) => standings.push(standing(&login)),
                    Seen::Heartbeat | Seen::SnapshotEnd => {}
                    Seen::End | Seen::Refused(_) => std::future::pending().await,
                }
            }
        })
        .await;
        standings
    }
}
