//! The service of shops' QR codes.

use std::sync::Arc;

use futures_util::StreamExt;
use tonic::{Request, Response, Status};

use super::super::caller::Call;
use super::super::grant::Enrolled;
use super::super::status::CallError;
use super::super::v1::shop_qr_service_server::{ShopQrService, ShopQrServiceServer};
use super::super::{request, response, v1};
use super::{EventStream, LoginApi, MAX_REQUEST_BYTES};
use crate::logins::{CheckInEvent, Logins};
use crate::telemetry::Metrics;

/// The service of shops' QR codes over the use cases.
pub struct ShopQrApi(LoginApi);

impl ShopQrApi {
    /// The tonic service, ready to be added to a server. Who is `enrolled` may change
    /// while it serves.
    #[must_use]
    pub fn server(logins: Logins, enrolled: Enrolled, metrics: Arc<Metrics>) -> ShopQrServiceServer<Self> {
        let api = Self(LoginApi { logins, enrolled, metrics });
        ShopQrServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    async fn create(&self, request: Request<v1::CreateShopQrRequest>) -> Result<v1::CreateShopQrResponse, CallError> {
        let (caller, message) = self.0.caller(Call::CreateShopQr, request).await?;
        let wanted = request::create_shop_qr(&message)?;
        let size = wanted.image_size;
        let view = self.0.logins.create_shop_qr(&caller, wanted).await?;
        Ok(v1::CreateShopQrResponse { shop_qr: Some(response::shop_qr(&view, Some(size))) })
    }

    async fn list(&self, request: Request<v1::ListShopQrsRequest>) -> Result<v1::ListShopQrsResponse, CallError> {
        let (caller, message) = self.0.caller(Call::ListShopQrs, request).await?;
        let wanted = request::list_shop_qrs(&message)?;
        let request::ShopQrPage { terminal, after, size, image_size } = &wanted;
        let logins = &self.0.logins;
        let (views, has_more) = logins.shop_qrs(&caller, terminal.as_ref(), after.as_ref(), *size, *image_size).await?;
        let next_page_token = views.last().filter(|_| has_more).map(|view| view.qr.id.to_string()).unwrap_or_default();
        let drawn = message.with_images.then_some(*image_size);
        Ok(v1::ListShopQrsResponse {
            shop_qrs: views.iter().map(|view| response::shop_qr(view, drawn)).collect(),
            next_page_token,
        })
    }

    async fn delete(&self, request: Request<v1::DeleteShopQrRequest>) -> Result<v1::DeleteShopQrResponse, CallError> {
        let (caller, message) = self.0.caller(Call::DeleteShopQr, request).await?;
        self.0.logins.delete_shop_qr(&caller, &request::qr_id(&message.qr_id)?).await?;
        Ok(v1::DeleteShopQrResponse {})
    }

    async fn watch(
        &self,
        request: Request<v1::WatchCheckInsRequest>,
    ) -> Result<EventStream<v1::WatchCheckInsResponse>, CallError> {
        let leaving = LoginApi::leaving(&request);
        let (grant, message) = self.0.granted(Call::WatchCheckIns, request).await?;
        let heartbeat = request::heartbeat(message.heartbeat_interval.as_ref())?;
        let filter = request::check_in_filter(&message)?;
        let events = self.0.logins.watch_check_ins(grant.caller(), filter, heartbeat, leaving).await?;
        let told = events.map(|told| told.map(check_in_message).map_err(|error| (error, None)));
        Ok(self.0.stream(Call::WatchCheckIns, grant, told, |_| ""))
    }
}

fn check_in_message(event: CheckInEvent) -> v1::WatchCheckInsResponse {
    use v1::watch_check_ins_response::Event;
    let event = match event {
        CheckInEvent::CheckedIn(view) => Event::CheckIn(response::check_in(&view)),
        CheckInEvent::Heartbeat(now) => Event::Heartbeat(v1::Heartbeat { time: Some(response::timestamp(now)) }),
    };
    v1::WatchCheckInsResponse { event: Some(event) }
}

#[tonic::async_trait]
impl ShopQrService for ShopQrApi {
    async fn create_shop_qr(
        &self,
        request: Request<v1::CreateShopQrRequest>,
    ) -> Result<Response<v1::CreateShopQrResponse>, Status> {
        self.0.answer(Call::CreateShopQr, self.create(request).await)
    }

    async fn list_shop_qrs(
        &self,
        request: Request<v1::ListShopQrsRequest>,
    ) -> Result<Response<v1::ListShopQrsResponse>, Status> {
        self.0.answer(Call::ListShopQrs, self.list(request).await)
    }

    async fn delete_shop_qr(
        &self,
        request: Request<v1::DeleteShopQrRequest>,
    ) -> Result<Response<v1::DeleteShopQrResponse>, Status> {
        self.0.answer(Call::DeleteShopQr, self.delete(request).await)
    }

    type WatchCheckInsStream = EventStream<v1::WatchCheckInsResponse>;

    async fn watch_check_ins(
        &self,
        request: Request<v1::WatchCheckInsRequest>,
    ) -> Result<Response<Self::WatchCheckInsStream>, Status> {
        self.0.answer(Call::WatchCheckIns, self.watch(request).await)
    }
}
