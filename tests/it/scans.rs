//! Whoever scans the shop's code on the phone page drives the till: the simulator tells
//! the registrations of the sales unit.

use ciba_gateway::grpc::v1::Outcome;
use ciba_gateway::grpc::v1::start_login_request::Person;
use ciba_gateway::simulator::{Settings, WebhookKnobs};
use ciba_gateway::webhooks::EventKind;
use serde_json::json;

use crate::support::configuration::{Configuration, api_key};
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, Serve, local};
use crate::support::http;
use crate::support::processes::Process;
use crate::support::simulators::Vipps;
use crate::support::till::{Till, check_in};

const NUMBER: &str = "+4741986357";
const SECRET: &str = "secret-of-the-check-in-webhook";

fn configuration(vipps: &Vipps, secret: &str) -> Configuration {
    let webhook = format!("webhooks = [{{ name = \"check-ins\", events = [\"user.checked-in.v1\"], {secret} }}]");
    let provider = "subscription_key = \"demo-subscription-key\"\nmerchant_serial_number = \"123456\"".into();
    let configuration = Configuration { provider, ..Configuration::new(&vipps.issuer()) };
    configuration.with_public_listener().with_tenant_line("nordlys", &webhook)
}

/// Presses "Check in" on the phone page; the status of the answer.
async fn scan(vipps: &Vipps, code: &str) -> u16 {
    let url = vipps.simulator.base_url().join("phone/api/scan").expect("an address");
    http::post(url.as_str(), Some(&json!({ "phone": &NUMBER[1..], "code": code }))).await
}

/// As an operator sets it up: the command registers, the gateway reads the secret.
#[tokio::test]
async fn a_scan_on_the_phone_page_reaches_the_till_by_the_registration() {
    let (vipps, folder) = (Vipps::start().await, tempfile::tempdir().expect("a folder"));
    let secret = format!("secret_file = {:?}", folder.path().join("secret").display().to_string());
    let serve = Serve::ready(&configuration(&vipps, &secret)).await;
    let mut till = Till::new(&serve.url(), api_key().expose());
    till.create("till-4").await;
    let (_, mut stream) = till.watch("till-4").await;
    assert_eq!(scan(&vipps, "nordlys.till-4").await, 502, "nobody is registered");

    let file = serve.file.path();
    let apply = ["webhooks", "apply", "--config", file.to_str().expect("a path")];
    let applied = Process::gateway(&apply).ended().await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    serve.counts("ciba_gateway_config_reloads_total{result=\"taken\"} 1").await;
    assert_eq!(scan(&vipps, "nordlys.till-4").await, 204);
    let check_in = check_in(&mut stream).await;
    assert_eq!((check_in.qr_id.as_str(), check_in.terminal_id.as_str()), ("nordlys.till-4", "till-4"));
    let login = till.start(Person::QrCheckIn(check_in.check_in_id)).await.expect("a login");
    assert_eq!(vipps.simulator.approve(NUMBER), 1);
    assert_eq!(till.end_of(&login).await.outcome(), Outcome::Approved);
    assert_eq!(vipps.simulator.deliveries(), [200]);
}

/// The sales unit of the code is told, and only of what it has registered for; what is
/// not taken is sent again, as pings are.
#[tokio::test]
async fn scans_are_told_as_pings_are() {
    let vipps = Vipps::with(local().await, Settings { speed: 20.0, ..Settings::default() }).await;
    let gateway = Gateway::ready(&configuration(&vipps, &format!("secret = \"{SECRET}\""))).await;
    let mut till = Till::new(&gateway.url(), api_key().expose());
    till.create("till-4").await;
    let (_, mut stream) = till.watch("till-4").await;
    let url = || format!("http://{}/webhooks/check-ins", gateway.public).parse().expect("a URL");
    vipps.simulator.register_webhook_for(EventKind::CheckedIn, "somebody-else", url(), SECRET);
    vipps.simulator.register_webhook("demo-client", url(), SECRET);
    assert_eq!(scan(&vipps, "nordlys.till-4").await, 502, "nobody wants to know");
    assert_eq!(scan(&vipps, "nordlys.till-5").await, 404, "no such code");
    assert!(vipps.simulator.deliveries().is_empty());

    vipps.simulator.register_webhook_for(EventKind::CheckedIn, "demo-client", url(), SECRET);
    vipps.simulator.set_webhooks(WebhookKnobs { forged: true, ..WebhookKnobs::default() });
    assert_eq!(scan(&vipps, "nordlys.till-4").await, 502);
    deliveries(&vipps, &[401; 5]).await;
    vipps.simulator.set_webhooks(WebhookKnobs { lost: true, ..WebhookKnobs::default() });
    assert_eq!(scan(&vipps, "nordlys.till-4").await, 502);
    vipps.simulator.set_webhooks(WebhookKnobs { twice: true, ..WebhookKnobs::default() });
    assert_eq!(scan(&vipps, "nordlys.till-4").await, 204);
    let told = check_in(&mut stream).await;
    deliveries(&vipps, &[401, 401, 401, 401, 401, 200, 200]).await;
    assert_eq!(till.watch("till-4").await.0, [told], "told twice, and nothing else was taken");
}

/// Every attempt so far was answered so, once there are so many.
async fn deliveries(vipps: &Vipps, answers: &[u16]) {
    let made = eventually("the provider has told", async || {
        let made = vipps.simulator.deliveries();
        (made.len() >= answers.len()).then_some(made)
    });
    assert_eq!(made.await, answers);
}
