//! Clients that keep to the calls that they list.

use std::time::Duration;

use ciba_gateway::grpc::v1;
use ciba_gateway::grpc::v1::login_service_client::LoginServiceClient;
use ciba_gateway::grpc::v1::shop_qr_service_client::ShopQrServiceClient;
use serde_json::Value;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};

use crate::support::audit_log::AuditLog;
use crate::support::caller::{refusal, till};
use crate::support::configuration::{Configuration, api_key};
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, Serve};
use crate::support::simulators::Vipps;

const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What each call of the API is answered with, by its name.
async fn every_call(url: &str) -> Vec<(&'static str, Option<Status>)> {
    let channel = Endpoint::from_shared(url.to_owned()).expect("an address").connect_lazy();
    let bearer = format!("Bearer {}", api_key().expose());
    let shows_key = move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", bearer.parse().expect("plain characters"));
        Ok(request)
    };
    let mut shop = ShopQrServiceClient::with_interceptor(channel.clone(), shows_key.clone());
    let mut client = LoginServiceClient::with_interceptor(channel, shows_key);
    let create = v1::CreateShopQrRequest {
        terminal_id: "till-1".into(),
        location_description: "Till 1".into(),
        ..Default::default()
    };
    let login_id = NOBODY.to_owned();
    let transfer = v1::TransferLoginRequest {
        login: Some(v1::transfer_login_request::Login::LoginId(login_id.clone())),
        agent_id: "ada".into(),
        client_id: String::new(),
    };
    let erase = v1::EraseLoginRequest { what: Some(v1::erase_login_request::What::LoginId(login_id.clone())) };
    let confirm = v1::ConfirmCodeRequest { login_id: login_id.clone(), code: "AAAAA".into() };
    let check = v1::CheckPhoneRequest {
        phone_number: "+4712345678".into(),
        channel: v1::Channel::PointOfSale.into(),
        terminal_id: "till-1".into(),
        ..Default::default()
    };
    let complete =
        v1::CompleteRedirectRequest { error: "access_denied".into(), login_id: login_id.clone(), ..Default::default() };
    let wait = v1::WaitLoginRequest { login_id: login_id.clone(), timeout: None };
    let watch = v1::WatchLoginRequest { login_id: login_id.clone(), heartbeat_interval: None };
    vec![
        ("CheckPhone", client.check_phone(check).await.err()),
        ("StartLogin", client.start_login(till("+4712345678")).await.err()),
        ("GetLogin", client.get_login(v1::GetLoginRequest { login_id: login_id.clone() }).await.err()),
        ("WaitLogin", client.wait_login(wait).await.err()),
        ("WatchLogin", client.watch_login(watch).await.err()),
        ("WatchLogins", client.watch_logins(v1::WatchLoginsRequest::default()).await.err()),
        ("ListLogins", client.list_logins(v1::ListLoginsRequest::default()).await.err()),
        ("ConfirmCode", client.confirm_code(confirm).await.err()),
        ("TransferLogin", client.transfer_login(transfer).await.err()),
        ("CompleteRedirect", client.complete_redirect(complete).await.err()),
        ("CancelLogin", client.cancel_login(v1::CancelLoginRequest { login_id }).await.err()),
        ("EraseLogin", client.erase_login(erase).await.err()),
        ("CreateShopQr", shop.create_shop_qr(create).await.err()),
        ("ListShopQrs", shop.list_shop_qrs(v1::ListShopQrsRequest::default()).await.err()),
        ("DeleteShopQr", shop.delete_shop_qr(v1::DeleteShopQrRequest { qr_id: "acme.till-1".into() }).await.err()),
        ("WatchCheckIns", shop.watch_check_ins(v1::WatchCheckInsRequest::default()).await.err()),
    ]
}

/// SR2: each group is the calls that it says, and no other; and what is refused is
/// noted.
#[tokio::test]
async fn a_client_makes_the_calls_that_it_lists() {
    let (vipps, log) = (Vipps::start().await, AuditLog::new());
    for (group, calls) in [
        ("check", &["CheckPhone"][..]),
        ("start", &["StartLogin"]),
        ("read", &["GetLogin", "WaitLogin", "WatchLogin"]),
        ("watch-all", &["WatchLogins", "ListLogins"]),
        ("confirm", &["ConfirmCode"]),
        ("transfer", &["TransferLogin"]),
        ("complete", &["CompleteRedirect"]),
        ("cancel", &["CancelLogin"]),
        ("erase", &["EraseLogin"]),
        ("shop-qrs", &["CreateShopQr", "ListShopQrs", "DeleteShopQr"]),
        ("check-ins", &["WatchCheckIns"]),
    ] {
        let configuration = Configuration::new(&vipps.issuer());
        let configuration = configuration.with_client_line("nordlys", &format!("calls = [\"{group}\"]"));
        let gateway = Gateway::ready(&log.kept_by(configuration, &format!("{group}.log"))).await;
        let mut expected = Vec::new();
        for (call, status) in every_call(&gateway.url()).await {
            let refused = status.as_ref().map(refusal);
            let is_shut = refused == Some((Code::PermissionDenied, "CALL_NOT_ALLOWED".into(), false));
            assert_eq!(is_shut, !calls.contains(&call), "{group}: {call} {status:?}");
            if is_shut {
                expected.push(call);
            }
        }
        let noted = eventually("the refusals are noted", async || {
            let lines = log.lines(&format!("{group}.log"));
            let records = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let refused = records.filter(|record| record["reason"] == "CALL_NOT_ALLOWED");
            let calls: Vec<_> = refused.map(|record| record["call"].as_str().unwrap_or_default().to_owned()).collect();
            (calls.len() == expected.len()).then_some(calls)
        });
        assert_eq!(noted.await, expected, "{group}");
    }
}

/// SR2, SR4: what could not be opened any more ends, within seconds of the change.
#[tokio::test]
async fn a_stream_ends_when_its_client_may_not_open_it_any_more() {
    let vipps = Vipps::start().await;
    let (networks, calls) = ("networks = [\"127.0.0.0/8\"]", "calls = [\"read\", \"watch-all\"]");
    let configuration =
        Configuration::new(&vipps.issuer()).with_client_line("nordlys", &format!("{networks}\n{calls}"));
    let serve = Serve::ready(&configuration).await;
    let right = serve.file.text();
    for (line, changed, reason) in [
        (networks, "networks = [\"10.20.0.0/16\"]", "NETWORK_NOT_ALLOWED"),
        (calls, "calls = [\"read\"]", "CALL_NOT_ALLOWED"),
    ] {
        let mut stream = serve.caller().watch_all().await;
        stream.message().await.expect("a stream").expect("a message");
        serve.file.becomes(&right.replace(line, changed));
        let end = async {
            loop {
                if let Err(status) = stream.message().await {
                    return status;
                }
            }
        };
        let status = tokio::time::timeout(Duration::from_secs(8), end).await.expect("an end within five seconds");
        assert_eq!(refusal(&status), (Code::PermissionDenied, reason.into(), false), "{status:?}");
        serve.file.becomes(&right);
        let desk = serve.caller();
        eventually("the stream may be opened again", async || {
            desk.try_watch_all(v1::WatchLoginsRequest::default()).await.ok()
        })
        .await;
    }
}
