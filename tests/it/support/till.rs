//! A till with its QR code: makes it, hears of check-ins, and starts logins with them.

use std::time::Duration;

use ciba_gateway::grpc::v1::login_service_client::LoginServiceClient;
use ciba_gateway::grpc::v1::shop_qr_service_client::ShopQrServiceClient;
use ciba_gateway::grpc::v1::start_login_request::Person;
use ciba_gateway::grpc::v1::watch_check_ins_response::Event;
use ciba_gateway::grpc::v1::{
    self, CheckIn, CreateShopQrRequest, ListShopQrsRequest, ShopQr, StartLoginRequest, WatchCheckInsRequest,
    WatchCheckInsResponse,
};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use super::caller::till;
use super::client::NUMBER;

type Shows = Box<dyn FnMut(Request<()>) -> Result<Request<()>, Status> + Send>;

/// A till of one tenant at one gateway.
pub(crate) struct Till {
    pub(crate) shop: ShopQrServiceClient<InterceptedService<Channel, Shows>>,
    pub(crate) logins: LoginServiceClient<InterceptedService<Channel, Shows>>,
}

impl Till {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let channel = Endpoint::from_shared(url.to_owned()).expect("an address").connect_lazy();
        let shows = || -> Shows {
            let bearer = format!("Bearer {key}").parse().expect("plain characters");
            let bearer: tonic::metadata::MetadataValue<tonic::metadata::Ascii> = bearer;
            Box::new(move |mut request| {
                request.metadata_mut().insert("authorization", bearer.clone());
                Ok(request)
            })
        };
        Self {
            shop: ShopQrServiceClient::with_interceptor(channel.clone(), shows()),
            logins: LoginServiceClient::with_interceptor(channel, shows()),
        }
    }

    pub(crate) async fn create(&mut self, terminal: &str) -> ShopQr {
        let request = CreateShopQrRequest {
            terminal_id: terminal.into(),
            location_description: format!("At {terminal}"),
            ..Default::default()
        };
        self.shop.create_shop_qr(request).await.expect("a code").into_inner().shop_qr.expect("a code")
    }

    pub(crate) async fn list(&mut self) -> Vec<ShopQr> {
        let listed = self.shop.list_shop_qrs(ListShopQrsRequest::default()).await;
        listed.expect("codes").into_inner().shop_qrs
    }

    /// Who waits when it begins comes before the first heartbeat.
    pub(crate) async fn watch(&mut self, terminal: &str) -> (Vec<CheckIn>, Streaming<WatchCheckInsResponse>) {
        let request = WatchCheckInsRequest { terminal_id: terminal.into(), ..Default::default() };
        let mut stream = self.shop.watch_check_ins(request).await.expect("a stream").into_inner();
        let mut waiting = Vec::new();
        loop {
            match next(&mut stream).await {
                Event::CheckIn(check_in) => waiting.push(check_in),
                Event::Heartbeat(_) => return (waiting, stream),
            }
        }
    }

    pub(crate) async fn start(&mut self, person: Person) -> Result<v1::Login, Status> {
        let start = StartLoginRequest { person: Some(person), terminal_id: "till-4".into(), ..till(NUMBER) };
        Ok(self.logins.start_login(start).await?.into_inner().login.expect("a login"))
    }

    /// The login once it has ended.
    pub(crate) async fn end_of(&mut self, login: &v1::Login) -> v1::Login {
        loop {
            let request = v1::WaitLoginRequest { login_id: login.login_id.clone(), timeout: None };
            let login = self.logins.wait_login(request).await.expect("an answer").into_inner().login.expect("a login");
            if login.state() == v1::LoginState::Ended {
                return login;
            }
        }
    }
}

async fn next(stream: &mut Streaming<WatchCheckInsResponse>) -> Event {
    let message = tokio::time::timeout(Duration::from_secs(20), stream.message()).await.expect("a message in time");
    message.expect("a stream").expect("a message").event.expect("an event")
}

/// The next check-in on a stream.
pub(crate) async fn check_in(stream: &mut Streaming<WatchCheckInsResponse>) -> CheckIn {
    loop {
        if let Event::CheckIn(check_in) = next(stream).await {
            return check_in;
        }
    }
}
