//! The service: each call is read, carried out by `logins`, and answered.

mod shop_qr;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use futures_util::stream::poll_fn;
use futures_util::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

pub use self::shop_qr::ShopQrApi;
use super::caller::{Call, Peer};
use super::grant::{Enrolled, Grant};
use super::request::Erasure;
use super::server::{Address, Leaving};
use super::status::{CallError, Refusal};
use super::v1::login_service_server::{LoginService, LoginServiceServer};
use super::{request, response, v1};
use crate::logins::{self, Caller, Cursor, Logins, TenantEvent, TenantMessage, WatchEvent};
use crate::telemetry::Metrics;

/// Requests are small; a larger one is refused before it is read whole.
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// The login service over the use cases.
pub struct LoginApi {
    logins: Logins,
    enrolled: Enrolled,
    metrics: Arc<Metrics>,
}

type EventStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl LoginApi {
    /// The tonic service, ready to be added to a server. Who is `enrolled` may change
    /// while it serves.
    #[must_use]
    pub fn server(logins: Logins, enrolled: Enrolled, metrics: Arc<Metrics>) -> LoginServiceServer<Self> {
        LoginServiceServer::new(Self { logins, enrolled, metrics }).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    /// When the connection that the call came on is about to end.
    fn leaving<T>(request: &Request<T>) -> CancellationToken {
        request.extensions().get::<Leaving>().cloned().unwrap_or_default().0
    }

    /// Whoever calls, though he may be shut out.
    async fn known<T>(&self, call: Call, request: Request<T>) -> Result<(Grant, T), CallError> {
        let (metadata, mut extensions, message) = request.into_parts();
        let from = (extensions.remove::<Peer>(), extensions.remove().map(|Address(address)| address));
        let grant = Grant::new(call, &self.logins, self.enrolled.clone(), metadata, from).await?;
        Ok((grant, message))
    }

    async fn granted<T>(&self, call: Call, request: Request<T>) -> Result<(Grant, T), CallError> {
        let (grant, message) = self.known(call, request).await?;
        self.logins.admits(grant.caller(), call.name())?;
        Ok((grant, message))
    }

    async fn caller<T>(&self, call: Call, request: Request<T>) -> Result<(Caller, T), CallError> {
        let (grant, message) = self.granted(call, request).await?;
        Ok((grant.caller().clone(), message))
    }

    /// Counts the call and turns its error, if any, into a status.
    fn answer<T>(&self, call: Call, result: Result<T, impl Into<Refusal>>) -> Result<Response<T>, Status> {
        let method = call.name();
        let result = result.map_err(Into::into);
        let code = result.as_ref().err().map_or(Code::Ok, |refusal| refusal.error().code_and_reason().0);
        self.metrics.grpc_call(method, code);
        result.map(Response::new).map_err(|error| error.into_status(method))
    }

    /// What is told, while that holds which the stream was opened with. `cursor` is
    /// the one that a message carries, if any.
    fn stream<T: Send + 'static>(
        &self,
        call: Call,
        grant: Grant,
        told: impl Stream<Item = Result<T, (logins::Error, Option<Cursor>)>> + Send + 'static,
        cursor: impl Fn(&T) -> &str + Send + 'static,
    ) -> EventStream<T> {
        let (method, open) = (call.name(), self.metrics.watch_opened());
        let mut told = Box::pin(told);
        let mut grant_ends = Box::pin(grant.ends());
        let (mut newest, mut is_over) = (String::new(), false);
        Box::pin(poll_fn(move |cx| {
            let _held_while_streaming = &open;
            if is_over {
                return Poll::Ready(None);
            }
            // First of all: whoever reads slowly learns nothing more.
            let told = if let Poll::Ready(error) = grant_ends.as_mut().poll(cx) {
                let cursor = Some(std::mem::take(&mut newest)).filter(|cursor| !cursor.is_empty());
                Some(Err(error.into_end_of_stream(method, cursor)))
            } else {
                ready!(told.as_mut().poll_next(cx)).map(|told| {
                    told.inspect(|message| cursor(message).clone_into(&mut newest)).map_err(|(error, cursor)| {
                        CallError::from(error).into_end_of_stream(method, cursor.map(|cursor| cursor.to_string()))
                    })
                })
            };
            is_over = !matches!(told, Some(Ok(_)));
            Poll::Ready(told)
        }))
    }

    async fn check(&self, request: Request<v1::CheckPhoneRequest>) -> Result<v1::CheckPhoneResponse, Refusal> {
        let (grant, message) = self.known(Call::CheckPhone, request).await?;
        let caller = grant.caller();
        let tenant = self.logins.tenant(caller)?;
        let check = request::check_phone(&message, caller, &tenant)?;
        let (language, phone) = (tenant.default_language, check.phone.clone());
        let usable = self.logins.check_phone(caller, check).await;
        Ok(v1::CheckPhoneResponse { usable: usable.map_err(|error| Refusal::spoken(error, language, Some(&phone)))? })
    }

    async fn start(&self, request: Request<v1::StartLoginRequest>) -> Result<v1::StartLoginResponse, Refusal> {
        let (grant, message) = self.known(Call::StartLogin, request).await?;
        let caller = grant.caller();
        let tenant = self.logins.tenant(caller)?;
        let start = request::start_login(message, caller, &tenant)?;
        let (language, phone) = (start.language.unwrap_or(tenant.default_language), start.whom.phone().cloned());
        let view = self.logins.start(caller, start).await;
        let view = view.map_err(|error| Refusal::spoken(error, language, phone.as_ref()))?;
        Ok(v1::StartLoginResponse { login: Some(response::login(&view)) })
    }

    async fn get(&self, request: Request<v1::GetLoginRequest>) -> Result<v1::GetLoginResponse, CallError> {
        let (caller, message) = self.caller(Call::GetLogin, request).await?;
        let view = self.logins.get(&caller, &request::login_id(&message.login_id)?).await?;
        Ok(v1::GetLoginResponse { login: Some(response::login(&view)) })
    }

    async fn wait(&self, request: Request<v1::WaitLoginRequest>) -> Result<v1::WaitLoginResponse, CallError> {
        let leaving = Self::leaving(&request);
        let (grant, message) = self.granted(Call::WaitLogin, request).await?;
        let caller = grant.caller().clone();
        let timeout = request::wait_timeout(message.timeout.as_ref())?;
        let login_id = request::login_id(&message.login_id)?;
        let view = tokio::select! {
            biased;
            error = grant.ends() => return Err(error),
            view = self.logins.wait(&caller, &login_id, timeout, leaving) => view?,
        };
        Ok(v1::WaitLoginResponse { login: Some(response::login(&view)) })
    }

    async fn watch(
        &self,
        request: Request<v1::WatchLoginRequest>,
    ) -> Result<EventStream<v1::WatchLoginResponse>, CallError> {
        let leaving = Self::leaving(&request);
        let (grant, message) = self.granted(Call::WatchLogin, request).await?;
        let heartbeat = request::heartbeat(message.heartbeat_interval.as_ref())?;
        let events =
            self.logins.watch(grant.caller(), &request::login_id(&message.login_id)?, heartbeat, leaving).await?;
        let told = events.map(|told| told.map(watch_login_message).map_err(|error| (error, None)));
        Ok(self.stream(Call::WatchLogin, grant, told, |_| ""))
    }

    async fn watch_all(
        &self,
        request: Request<v1::WatchLoginsRequest>,
    ) -> Result<EventStream<v1::WatchLoginsResponse>, CallError> {
        let leaving = Self::leaving(&request);
        let (grant, message) = self.granted(Call::WatchLogins, request).await?;
        let heartbeat = request::heartbeat(message.heartbeat_interval.as_ref())?;
        let filter = request::watch_filter(&message)?;
        let from = request::watch_from(&message, grant.caller())?;
        let messages = self.logins.watch_all(grant.caller(), filter, from, heartbeat, leaving).await?;
        let told = messages.map(|told| told.map(watch_logins_message).map_err(|end| (end.error, end.cursor)));
        Ok(self.stream(Call::WatchLogins, grant, told, |message| &message.cursor))
    }

    async fn confirm(&self, request: Request<v1::ConfirmCodeRequest>) -> Result<v1::ConfirmCodeResponse, CallError> {
        let (caller, message) = self.caller(Call::ConfirmCode, request).await?;
        let login_id = request::login_id(&message.login_id)?;
        let verdict = self.logins.confirm_code(&caller, &login_id, request::code(&message.code)?).await?;
        Ok(v1::ConfirmCodeResponse {
            matched: verdict.matched,
            tries_left: verdict.tries_left.into(),
            login: Some(response::login(&verdict.login)),
        })
    }

    async fn cancel(&self, request: Request<v1::CancelLoginRequest>) -> Result<v1::CancelLoginResponse, CallError> {
        let (caller, message) = self.caller(Call::CancelLogin, request).await?;
        let view = self.logins.cancel(&caller, &request::login_id(&message.login_id)?).await?;
        Ok(v1::CancelLoginResponse { login: Some(response::login(&view)) })
    }

    async fn erase(&self, request: Request<v1::EraseLoginRequest>) -> Result<v1::EraseLoginResponse, CallError> {
        let (caller, message) = self.caller(Call::EraseLogin, request).await?;
        match request::erasure(&message, &*self.logins.tenant(&caller)?)? {
            Erasure::Login(login) => {
                let view = self.logins.erase(&caller, &login).await?;
                Ok(v1::EraseLoginResponse { login: Some(response::login(&view)), erased: 1 })
            }
            Erasure::Number(number) => {
                let erased = self.logins.erase_number(&caller, &number).await?;
                Ok(v1::EraseLoginResponse { login: None, erased })
            }
        }
    }

    async fn transfer(
        &self,
        request: Request<v1::TransferLoginRequest>,
    ) -> Result<v1::TransferLoginResponse, CallError> {
        let (caller, message) = self.caller(Call::TransferLogin, request).await?;
        let view = self.logins.transfer(&caller, request::transfer(&message)?).await?;
        Ok(v1::TransferLoginResponse { login: Some(response::login(&view)) })
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRedirectRequest>,
    ) -> Result<v1::CompleteRedirectResponse, CallError> {
        let (caller, message) = self.caller(Call::CompleteRedirect, request).await?;
        let done = self.logins.complete_redirect(&caller, request::complete_redirect(&message)?).await?;
        let login = done.login.as_ref().map(response::login);
        Ok(v1::CompleteRedirectResponse { completed: done.completed, login })
    }

    async fn list(&self, request: Request<v1::ListLoginsRequest>) -> Result<v1::ListLoginsResponse, CallError> {
        let (caller, message) = self.caller(Call::ListLogins, request).await?;
        let (size, after) = request::page(&message)?;
        let filter = request::list_filter(&message)?;
        let (views, next) = self.logins.list(&caller, &filter, after, size).await?;
        let next_page_token = next.as_ref().map(response::page_token).unwrap_or_default();
        Ok(v1::ListLoginsResponse { logins: views.iter().map(response::login).collect(), next_page_token })
    }
}

fn watch_login_message(event: WatchEvent) -> v1::WatchLoginResponse {
    use v1::watch_login_response::Event;
    let event = match event {
        WatchEvent::Login(view) => Event::Login(response::login(&view)),
        WatchEvent::Heartbeat(now) => Event::Heartbeat(v1::Heartbeat { time: Some(response::timestamp(now)) }),
    };
    v1::WatchLoginResponse { event: Some(event) }
}

fn watch_logins_message(message: TenantMessage) -> v1::WatchLoginsResponse {
    use v1::watch_logins_response::Event;
    let event = match message.event {
        TenantEvent::Login(view) => Event::Login(response::login(&view)),
        TenantEvent::Heartbeat(now) => Event::Heartbeat(v1::Heartbeat { time: Some(response::timestamp(now)) }),
        TenantEvent::SnapshotEnd => Event::SnapshotEnd(v1::SnapshotEnd {}),
    };
    let cursor = message.cursor.map(|cursor| cursor.to_string()).unwrap_or_default();
    v1::WatchLoginsResponse { event: Some(event), cursor }
}

#[tonic::async_trait]
impl LoginService for LoginApi {
    async fn check_phone(
        &self,
        request: Request<v1::CheckPhoneRequest>,
    ) -> Result<Response<v1::CheckPhoneResponse>, Status> {
        self.answer(Call::CheckPhone, self.check(request).await)
    }

    async fn start_login(
        &self,
        request: Request<v1::StartLoginRequest>,
    ) -> Result<Response<v1::StartLoginResponse>, Status> {
        self.answer(Call::StartLogin, self.start(request).await)
    }

    async fn get_login(&self, request: Request<v1::GetLoginRequest>) -> Result<Response<v1::GetLoginResponse>, Status> {
        self.answer(Call::GetLogin, self.get(request).await)
    }

    async fn wait_login(
        &self,
        request: Request<v1::WaitLoginRequest>,
    ) -> Result<Response<v1::WaitLoginResponse>, Status> {
        self.answer(Call::WaitLogin, self.wait(request).await)
    }

    type WatchLoginStream = EventStream<v1::WatchLoginResponse>;

    async fn watch_login(
        &self,
        request: Request<v1::WatchLoginRequest>,
    ) -> Result<Response<Self::WatchLoginStream>, Status> {
        self.answer(Call::WatchLogin, self.watch(request).await)
    }

    type WatchLoginsStream = EventStream<v1::WatchLoginsResponse>;

    async fn watch_logins(
        &self,
        request: Request<v1::WatchLoginsRequest>,
    ) -> Result<Response<Self::WatchLoginsStream>, Status> {
        self.answer(Call::WatchLogins, self.watch_all(request).await)
    }

    async fn confirm_code(
        &self,
        request: Request<v1::ConfirmCodeRequest>,
    ) -> Result<Response<v1::ConfirmCodeResponse>, Status> {
        self.answer(Call::ConfirmCode, self.confirm(request).await)
    }

    async fn transfer_login(
        &self,
        request: Request<v1::TransferLoginRequest>,
    ) -> Result<Response<v1::TransferLoginResponse>, Status> {
        self.answer(Call::TransferLogin, self.transfer(request).await)
    }

    async fn complete_redirect(
        &self,
        request: Request<v1::CompleteRedirectRequest>,
    ) -> Result<Response<v1::CompleteRedirectResponse>, Status> {
        self.answer(Call::CompleteRedirect, self.complete(request).await)
    }

    async fn cancel_login(
        &self,
        request: Request<v1::CancelLoginRequest>,
    ) -> Result<Response<v1::CancelLoginResponse>, Status> {
        self.answer(Call::CancelLogin, self.cancel(request).await)
    }

    async fn list_logins(
        &self,
        request: Request<v1::ListLoginsRequest>,
    ) -> Result<Response<v1::ListLoginsResponse>, Status> {
        self.answer(Call::ListLogins, self.list(request).await)
    }

    async fn erase_login(
        &self,
        request: Request<v1::EraseLoginRequest>,
    ) -> Result<Response<v1::EraseLoginResponse>, Status> {
        self.answer(Call::EraseLogin, self.erase(request).await)
    }
}
