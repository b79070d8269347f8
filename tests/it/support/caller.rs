//! A client system that calls the gateway over gRPC.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ciba_gateway::grpc::v1::erase_login_request::What;
use ciba_gateway::grpc::v1::login_service_client::LoginServiceClient;
use ciba_gateway::grpc::v1::start_login_request::Person;
use ciba_gateway::grpc::v1::{
    CallDirection, CancelLoginRequest, Channel, CheckPhoneRequest, ConfirmCodeRequest, ConfirmCodeResponse,
    EraseLoginRequest, GetLoginRequest, Login, LoginState, StartLoginRequest, TransferLoginRequest, WaitLoginRequest,
    WatchLoginRequest, WatchLoginResponse, WatchLoginsRequest, WatchLoginsResponse, transfer_login_request,
    watch_logins_request,
};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt;

const PATIENCE: Duration = Duration::from_secs(30);

/// One client of one tenant; connects with the first call. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Caller {
    client: LoginServiceClient<tonic::transport::Channel>,
    key: Option<String>,
    agent: Option<String>,
    /// Further metadata.
    more: Vec<(&'static str, String)>,
}

impl Caller {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("an address").timeout(2 * PATIENCE);
        Self::over(endpoint.connect_lazy(), Some(key))
    }

    /// A client on a connection that may prove by itself who it is.
    pub(crate) fn over(channel: tonic::transport::Channel, key: Option<&str>) -> Self {
        Self { client: LoginServiceClient::new(channel), key: key.map(str::to_owned), agent: None, more: Vec::new() }
    }

    /// The same client when this agent asks.
    pub(crate) fn with_agent(self, agent: &str) -> Self {
        Self { agent: Some(agent.into()), ..self }
    }

    /// The same client when this token shows which agent asks.
    pub(crate) fn with_agent_token(self, token: &str) -> Self {
        self.with("ciba-agent-token", token)
    }

    /// The same client with one more line of metadata.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.more.push((name, value.to_owned()));
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(key) = &self.key {
            let bearer = format!("Bearer {key}").parse().expect("a key of plain characters");
            request.metadata_mut().insert("authorization", bearer);
        }
        if let Some(agent) = &self.agent {
            request.metadata_mut().insert("ciba-agent-id", agent.parse().expect("an agent of plain characters"));
        }
        for (name, value) in &self.more {
            request.metadata_mut().append(*name, value.parse().expect("plain characters"));
        }
        request
    }

    pub(crate) async fn start(&self, start: StartLoginRequest) -> Result<Login, Status> {
        let answer = self.client.clone().start_login(self.request(start)).await?;
        Ok(answer.into_inner().login.expect("a login"))
    }

    /// Starts a login at a till that must begin.
    pub(crate) async fn at_a_till(&self, number: &str) -> Login {
        self.start(till(number)).await.expect("a started login")
    }

    /// Whether a number can log in, as a till asks.
    pub(crate) async fn check(&self, number: &str) -> Result<bool, Status> {
        let request = self.request(CheckPhoneRequest {
            phone_number: number.into(),
            channel: Channel::PointOfSale.into(),
            terminal_id: "till-1".into(),
            ..CheckPhoneRequest::default()
        });
        Ok(self.client.clone().check_phone(request).await?.into_inner().usable)
    }

    pub(crate) async fn get(&self, login_id: &str) -> Result<Login, Status> {
        let request = self.request(GetLoginRequest { login_id: login_id.into() });
        Ok(self.client.clone().get_login(request).await?.into_inner().login.expect("a login"))
    }

    /// The login once it has ended.
    pub(crate) async fn end_of(&self, login_id: &str) -> Login {
        loop {
            let login = self.wait(login_id, 30).await.expect("the gateway answers");
            if login.state() == LoginState::Ended {
                return login;
            }
        }
    }

    pub(crate) async fn watch(&self, login_id: &str) -> Streaming<WatchLoginResponse> {
        let request = WatchLoginRequest { login_id: login_id.into(), heartbeat_interval: None };
        self.client.clone().watch_login(self.request(request)).await.expect("a stream").into_inner()
    }

    /// As [`Caller::watch`], with a heartbeat in so many seconds.
    pub(crate) async fn watch_every(&self, login_id: &str, seconds: i64) -> Streaming<WatchLoginResponse> {
        let heartbeat_interval = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = WatchLoginRequest { login_id: login_id.into(), heartbeat_interval };
        self.client.clone().watch_login(self.request(request)).await.expect("a stream").into_inner()
    }

    /// All logins of the tenant from now on.
    pub(crate) async fn watch_all(&self) -> Streaming<WatchLoginsResponse> {
        self.try_watch_all(WatchLoginsRequest::default()).await.expect("a stream")
    }

    /// All logins of the tenant after what `cursor` came with.
    pub(crate) async fn resume(&self, cursor: &str) -> Streaming<WatchLoginsResponse> {
        self.try_resume(cursor).await.expect("a stream")
    }

    /// As [`Caller::resume`], unless that is refused.
    pub(crate) async fn try_resume(&self, cursor: &str) -> Result<Streaming<WatchLoginsResponse>, Status> {
        let position = Some(watch_logins_request::Position::Cursor(cursor.into()));
        self.try_watch_all(WatchLoginsRequest { position, ..Default::default() }).await
    }

    /// As [`Caller::watch_all`], unless that is refused.
    pub(crate) async fn try_watch_all(
        &self,
        request: WatchLoginsRequest,
    ) -> Result<Streaming<WatchLoginsResponse>, Status> {
        Ok(self.client.clone().watch_logins(self.request(request)).await?.into_inner())
    }

    /// The login when it has ended or the gateway answers earlier.
    pub(crate) async fn wait(&self, login_id: &str, seconds: i64) -> Result<Login, Status> {
        let timeout = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = self.request(WaitLoginRequest { login_id: login_id.into(), timeout });
        Ok(self.client.clone().wait_login(request).await?.into_inner().login.expect("a login"))
    }

    pub(crate) async fn cancel(&self, login_id: &str) -> Login {
        self.try_cancel(login_id).await.expect("a cancelled login")
    }

    pub(crate) async fn try_cancel(&self, login_id: &str) -> Result<Login, Status> {
        let request = self.request(CancelLoginRequest { login_id: login_id.into() });
        Ok(self.client.clone().cancel_login(request).await?.into_inner().login.expect("a login"))
    }

    /// Hands a login over to that agent.
    pub(crate) async fn transfer(&self, login_id: &str, agent: &str) -> Result<Login, Status> {
        let request = self.request(TransferLoginRequest {
            login: Some(transfer_login_request::Login::LoginId(login_id.into())),
            agent_id: agent.into(),
            client_id: String::new(),
        });
        Ok(self.client.clone().transfer_login(request).await?.into_inner().login.expect("a login"))
    }

    pub(crate) async fn erase(&self, login_id: &str) -> Login {
        let request = self.request(EraseLoginRequest { what: Some(What::LoginId(login_id.into())) });
        let erased = self.client.clone().erase_login(request).await.expect("the gateway answers");
        erased.into_inner().login.expect("a login")
    }

    pub(crate) async fn confirm(&self, login_id: &str, code: &str) -> ConfirmCodeResponse {
        let request = ConfirmCodeRequest { login_id: login_id.into(), code: code.into() };
        self.client.clone().confirm_code(self.request(request)).await.expect("the gateway answers").into_inner()
    }
}

/// A start at a till, with a `request_id` of its own.
pub(crate) fn till(number: &str) -> StartLoginRequest {
    StartLoginRequest {
        request_id: unique("till"),
        person: Some(Person::PhoneNumber(number.into())),
        channel: Channel::PointOfSale.into(),
        terminal_id: "till-1".into(),
        ..StartLoginRequest::default()
    }
}

/// A start of a call centre's agent, who has the code read back.
pub(crate) fn call(number: &str) -> StartLoginRequest {
    StartLoginRequest {
        request_id: unique("call"),
        person: Some(Person::PhoneNumber(number.into())),
        channel: Channel::CallCentre.into(),
        call_direction: CallDirection::Inbound.into(),
        agent_id: "kari".into(),
        ..StartLoginRequest::default()
    }
}

fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("request-of-a-{what}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Calls again when the line is lost, as everybody may. What the gateway says is
/// taken. A client of this library learns late that a connection is closing and
/// then gives up calls that it has not sent.
pub(crate) async fn until_answered<T>(call: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    loop {
        match call().await {
            Err(status) if std::error::Error::source(&status).is_some() => {}
            answer => return answer,
        }
    }
}

/// The language and the words of what can be said of a refusal.
pub(crate) fn spoken(status: &Status) -> Option<(String, String)> {
    let told = status.get_error_details().localized_message().cloned()?;
    Some((told.locale, told.message))
}

/// Code, reason and whether it says when to come back.
pub(crate) fn refusal(status: &Status) -> (Code, String, bool) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let comes_back = details.retry_info().is_some_and(|info| info.retry_delay.is_some());
    (status.code(), reason, comes_back)
}
