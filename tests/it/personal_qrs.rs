//! What holds for numbers holds for a customer's own code too; `shop_qrs` has the rest.

use ciba_gateway::grpc::v1::StartLoginRequest;
use ciba_gateway::grpc::v1::start_login_request::Person;
use ciba_gateway::simulator::PersonalQrKind;
use tonic::transport::Endpoint;

use crate::support::client::{Client, at_the_till};
use crate::support::configuration::{Configuration, api_key};
use crate::support::gateway::Gateway;
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4741986357";
const PROVIDER: &str = "subscription_key = \"demo-subscription-key\"\nmerchant_serial_number = \"123456\"";

async fn desk(gateway: &Gateway) -> Client {
    let channel = Endpoint::from_shared(gateway.url()).expect("a URL").connect().await.expect("a gateway");
    Client::new(channel, Some(format!("Bearer {}", api_key().expose())))
}

fn scanned(request: &str, text: &str) -> StartLoginRequest {
    StartLoginRequest { person: Some(Person::PersonalQr(text.to_owned())), ..at_the_till(request, NUMBER) }
}

/// Whose code it is is known only once the provider has said so.
#[tokio::test]
async fn a_blocked_number_is_blocked_by_its_code_too() {
    let (vipps, folder) = (Vipps::start().await, tempfile::tempdir().expect("a folder"));
    let list = folder.path().join("block-list.toml");
    std::fs::write(&list, format!("numbers = [\"{NUMBER}\"]\n")).expect("a file");
    let configuration = Configuration { provider: PROVIDER.into(), ..Configuration::new(&vipps.issuer()) };
    let gateway = Gateway::ready(&configuration.with_section(&format!("[block_list]\nfile = {list:?}"))).await;
    let code = vipps.simulator.personal_qr(NUMBER, PersonalQrKind::Tokenised).expect("a code");
    let refusal = desk(&gateway).await.refused(scanned("r-1", &code)).await;
    assert_eq!((refusal.told("blocked"), vipps.rings(NUMBER)), (Some("number"), 0));
}

/// Who may ask without end finds out whose code is whose.
#[tokio::test]
async fn questions_about_codes_are_counted_as_starts_are() {
    let vipps = Vipps::start().await;
    let configuration = Configuration { provider: PROVIDER.into(), ..Configuration::new(&vipps.issuer()) };
    let guard = configuration.guard.replace("starts_per_terminal_an_hour = 3600", "starts_per_terminal_an_hour = 3");
    let gateway = Gateway::ready(&Configuration { guard, ..configuration }).await;
    let desk = desk(&gateway).await;
    for nth in 0..3 {
        assert_eq!(desk.refused(scanned(&format!("r-{nth}"), "hello")).await.reason, "PERSONAL_QR_REFUSED");
    }
    // What the provider would say to the fourth is not told.
    let code = vipps.simulator.personal_qr(NUMBER, PersonalQrKind::Tokenised).expect("a code");
    for text in ["hello", &code] {
        let refusal = desk.refused(scanned("r-4", text)).await;
        assert_eq!((refusal.reason.as_str(), vipps.rings(NUMBER)), ("TOO_MANY_STARTS", 0));
    }
    let elsewhere = StartLoginRequest { terminal_id: "till-elsewhere".to_owned(), ..scanned("r-5", &code) };
    desk.start(elsewhere).await;
    assert_eq!(vipps.rings(NUMBER), 1);
}
