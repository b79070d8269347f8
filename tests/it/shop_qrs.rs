//! A shop's QR codes from the first to the last step, through the front door: made
//! and drawn, scanned at the simulated phone, told by a signed webhook, and a login
//! started with what came; and a customer's own code.

use std::time::Duration;

use ciba_gateway::grpc::v1::start_login_request::Person;
use ciba_gateway::grpc::v1::{
    CreateShopQrRequest, DeleteShopQrRequest, ListShopQrsRequest, Outcome, StartLoginRequest,
};
use ciba_gateway::logins::{NotTakenIn, Scanned};
use ciba_gateway::session::CustomerToken;
use ciba_gateway::shop_qr::ShopQrId;
use ciba_gateway::simulator::{CheckInWebhook, Fault, PersonalQrKind, QrKnobs};
use ciba_gateway::store::check_ins::{self, CHECK_IN_LIFE, CheckInStore};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::caller::till;
use crate::support::client::at_the_till;
use crate::support::configuration::{Configuration, api_key, other_api_key};
use crate::support::gateway::{Gateway, Serve};
use crate::support::processes::Process;
use crate::support::redis_dump::dump;
use crate::support::redis_server::RedisServer;
use crate::support::reservations::tenant;
use crate::support::simulators::Vipps;
use crate::support::stage::Stage;
use crate::support::till::{Till, check_in};

const NUMBER: &str = "+4741986357";
const SECRET: &str = "secret-of-the-check-in-webhook";
const QR_ID: &str = "nordlys.till-4";
const PROVIDER: &str = "subscription_key = \"demo-subscription-key\"\nmerchant_serial_number = \"123456\"";

fn reason(status: &Status) -> (Code, String) {
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone());
    (status.code(), reason.unwrap_or_default())
}

fn configuration(vipps: &Vipps) -> Configuration {
    let webhook =
        format!("[[tenants.webhooks]]\nname = \"check-ins\"\nevents = [\"user.checked-in.v1\"]\nsecret = \"{SECRET}\"");
    let configuration = Configuration { provider: PROVIDER.into(), ..Configuration::new(&vipps.issuer()) };
    configuration.with_public_listener().with_client_line("nordlys", &webhook)
}

/// The simulated shop's check-ins go to that gateway.
fn tells(vipps: &Vipps, public: std::net::SocketAddr) {
    let url = format!("http://{public}/webhooks/check-ins").parse().expect("a URL");
    vipps.simulator.set_check_in_webhook(Some(CheckInWebhook { url, secret: SECRET.into() }));
}

#[tokio::test]
async fn codes_are_made_listed_drawn_and_removed() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&configuration(&vipps)).await;
    let mut shop = Till::new(&gateway.url(), api_key().expose());
    let code = shop.create("till-4").await;
    assert_eq!((code.qr_id.as_str(), code.terminal_id.as_str()), (QR_ID, "till-4"));
    assert!(code.content.starts_with("https://qr.vipps.no/") && code.image_url.contains("size=500"), "{code:?}");
    assert!(code.svg.starts_with("<svg") && code.png.starts_with(b"\x89PNG"), "{code:?}");
    // What is printed goes on working.
    let again = shop.create("till-4").await;
    assert_eq!(again.content, code.content);
    shop.create("shop/7:till@5").await;
    let listed = shop.list().await;
    let ids: Vec<_> = listed.iter().map(|code| code.qr_id.as_str()).collect();
    assert_eq!(ids, ["nordlys.shop~2f7~3atill~405", QR_ID]);
    assert!(listed.iter().all(|code| code.svg.is_empty() && !code.content.is_empty()));
    assert_eq!(listed[0].terminal_id, "shop/7:till@5");

    // The other tenant shares the sales unit here, and sees nothing of it.
    let mut other = Till::new(&gateway.url(), other_api_key().expose());
    let delete = || DeleteShopQrRequest { qr_id: QR_ID.into() };
    let foreign = other.shop.delete_shop_qr(delete()).await.expect_err("a refusal");
    assert_eq!(reason(&foreign), (Code::NotFound, "SHOP_QR_NOT_FOUND".into()));
    assert_eq!(other.list().await, []);
    shop.shop.delete_shop_qr(delete()).await.expect("it is removed");
    let gone = shop.shop.delete_shop_qr(delete()).await.expect_err("a refusal");
    assert_eq!(reason(&gone), (Code::NotFound, "SHOP_QR_NOT_FOUND".into()));

    for (field, request) in [
        ("location_description", CreateShopQrRequest { terminal_id: "till".into(), ..Default::default() }),
        (
            "location_description",
            CreateShopQrRequest {
                terminal_id: "till".into(),
                location_description: "x".repeat(37),
                ..Default::default()
            },
        ),
        ("terminal_id", CreateShopQrRequest { location_description: "Till".into(), ..Default::default() }),
    ] {
        let refused = shop.shop.create_shop_qr(request).await.expect_err("a refusal");
        assert_eq!(reason(&refused).0, Code::InvalidArgument);
        assert!(refused.message().starts_with(field), "{refused:?}");
    }
}

/// From the scan to the approval; and the number is nobody's business.
#[tokio::test]
async fn whoever_scans_the_shops_code_is_logged_in() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&configuration(&vipps)).await;
    tells(&vipps, gateway.public);
    let mut shop = Till::new(&gateway.url(), api_key().expose());
    let code = shop.create("till-4").await;
    let (waiting, mut stream) = shop.watch("till-4").await;
    assert_eq!(waiting, []);
    let scan = vipps.simulator.scan(NUMBER, &code.content).expect("a scan");
    // Told twice, it is one.
    for _ in 0..2 {
        assert_eq!(vipps.simulator.tell(&scan).await, Some(200));
    }
    let check_in = check_in(&mut stream).await;
    assert_eq!((check_in.qr_id.as_str(), check_in.terminal_id.as_str()), (QR_ID, "till-4"));
    let (waiting, _again) = shop.watch("").await;
    assert_eq!(waiting, std::slice::from_ref(&check_in), "told again while nobody is asked, once");
    assert_eq!(shop.watch("till-5").await.0, []);

    let mut other = Till::new(&gateway.url(), other_api_key().expose());
    assert_eq!(other.watch("").await.0, []);
    let person = || Person::QrCheckIn(check_in.check_in_id.clone());
    let foreign = other.start(person()).await.expect_err("a refusal");
    assert_eq!(reason(&foreign), (Code::NotFound, "CHECK_IN_NOT_FOUND".into()));

    let start = StartLoginRequest { person: Some(person()), terminal_id: "till-4".into(), ..till(NUMBER) };
    let login = shop.logins.start_login(start.clone()).await.expect("a login").into_inner().login.expect("a login");
    assert_eq!(login.masked_phone_number, "");
    let repeated = shop.logins.start_login(start).await.expect("a login").into_inner().login.expect("a login");
    assert_eq!((repeated.login_id.as_str(), vipps.rings(NUMBER)), (login.login_id.as_str(), 1));
    let used = shop.start(person()).await.expect_err("a refusal");
    assert_eq!(reason(&used), (Code::FailedPrecondition, "CHECK_IN_USED".into()));
    assert_eq!(shop.watch("").await.0, []);

    assert_eq!(vipps.simulator.approve(NUMBER), 1);
    assert_eq!(shop.end_of(&login).await.outcome(), Outcome::Approved);
    let used = shop.start(person()).await.expect_err("a refusal");
    assert_eq!(reason(&used).1, "CHECK_IN_USED");
}

#[tokio::test]
async fn what_is_no_check_in_of_the_tenant_is_not_taken_in() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&configuration(&vipps)).await;
    tells(&vipps, gateway.public);
    let mut shop = Till::new(&gateway.url(), api_key().expose());
    let code = shop.create("till-4").await;
    let right = vipps.simulator.scan(NUMBER, &code.content).expect("a scan");
    let mut scan = right.clone();
    for wrong in ["other.till-4", "27072f82-c4b6-49cd-9838-10f21d87496e"] {
        scan.merchant_qr_id = wrong.into();
        assert_eq!(vipps.simulator.tell(&scan).await, Some(200), "{wrong}");
    }
    scan = right.clone();
    scan.merchant_serial_number = "654321".into();
    assert_eq!(vipps.simulator.tell(&scan).await, Some(200));
    scan = right.clone();
    for wrong in ["2026-01-01T10:00:00Z", "2099-01-01T10:00:00Z"] {
        scan.initiated_at = wrong.into();
        assert_eq!(vipps.simulator.tell(&scan).await, Some(200), "{wrong}");
    }
    scan.initiated_at = "yesterday".into();
    assert_eq!(vipps.simulator.tell(&scan).await, Some(400));
    let wrong = CheckInWebhook {
        url: format!("http://{}/webhooks/check-ins", gateway.public).parse().expect("a URL"),
        secret: "another-secret-of-somebody".into(),
    };
    vipps.simulator.set_check_in_webhook(Some(wrong));
    assert_eq!(vipps.simulator.tell(&right).await, Some(401));
    assert_eq!(shop.watch("").await.0, []);
}

/// One replica is told, another one's watcher hears it; and Redis and the logs hold
/// nothing of the person.
#[tokio::test]
async fn another_replica_tells_what_one_was_told() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    let mut configuration = configuration(&vipps).with_redis(&redis);
    configuration.log = configuration.log.replacen("\"info\"", "\"trace\"", 1);
    let (told, tells_on) = (Serve::ready(&configuration).await, Serve::ready(&configuration).await);
    tells(&vipps, told.public.expect("a public listener"));
    let mut shop = Till::new(&tells_on.url(), api_key().expose());
    let code = shop.create("till-4").await;
    let (_, mut stream) = shop.watch("till-4").await;
    let scan = vipps.simulator.scan(NUMBER, &code.content).expect("a scan");
    assert_eq!(vipps.simulator.tell(&scan).await, Some(200));
    let check_in = check_in(&mut stream).await;
    let mut traces = dump(&mut redis.commands().await).await;
    let login = shop.start(Person::QrCheckIn(check_in.check_in_id)).await.expect("a login");
    traces += &dump(&mut redis.commands().await).await;
    assert_eq!(vipps.simulator.approve(NUMBER), 1);
    assert_eq!(shop.end_of(&login).await.outcome(), Outcome::Approved);
    let personal = vipps.simulator.personal_qr(NUMBER, PersonalQrKind::Tokenised).expect("a code");
    shop.start(Person::PersonalQr(personal.clone())).await.expect("a login");
    traces += &dump(&mut redis.commands().await).await;
    for serve in [told, tells_on] {
        traces += &(serve.process.stdout() + &serve.process.stderr());
    }
    let form_encoded: String = url::form_urlencoded::byte_serialize(scan.customer_token.as_bytes()).collect();
    for secret in [scan.customer_token.as_str(), &form_encoded, &NUMBER[1..], &NUMBER[3..], &personal, SECRET] {
        assert!(!traces.contains(secret), "{secret} is in the traces");
    }
    assert!(traces.contains("somebody has checked in"), "the traces are those of this story");
}

#[tokio::test]
async fn both_kinds_of_personal_codes_ring_their_phone() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&configuration(&vipps)).await;
    let mut shop = Till::new(&gateway.url(), api_key().expose());
    for kind in [PersonalQrKind::ClearText, PersonalQrKind::Tokenised] {
        let text = vipps.simulator.personal_qr(NUMBER, kind).expect("a code");
        let start = StartLoginRequest { person: Some(Person::PersonalQr(text)), ..till(NUMBER) };
        let login = shop.logins.start_login(start.clone()).await.expect("a login").into_inner().login.expect("a login");
        assert_eq!(login.masked_phone_number, "+47…57", "{kind:?}");
        // The same start again asks nobody anything.
        vipps.simulator.set_qr(QrKnobs { fault: Some(Fault::status(503, "down")), ..QrKnobs::default() });
        let repeated = shop.logins.start_login(start).await.expect("a login").into_inner().login.expect("a login");
        assert_eq!(repeated.login_id, login.login_id);
        vipps.simulator.set_qr(QrKnobs::default());
        assert_eq!(vipps.simulator.approve(NUMBER), 1);
        assert_eq!(shop.end_of(&login).await.outcome(), Outcome::Approved);
    }
    for junk in ["https://example.com/", "hello", "https://qr.vipps.no/28/2/03/031/12025550100"] {
        let refused = shop.start(Person::PersonalQr(junk.into())).await.expect_err("a refusal");
        assert_eq!(reason(&refused), (Code::FailedPrecondition, "PERSONAL_QR_REFUSED".into()), "{junk}");
        assert!(!refused.message().contains(junk));
    }
    vipps.simulator.set_qr(QrKnobs { fault: Some(Fault::status(429, "slow")), ..QrKnobs::default() });
    let busy = shop.start(Person::PersonalQr("anything".into())).await.expect_err("a refusal");
    assert_eq!(reason(&busy), (Code::ResourceExhausted, "PROVIDER_BUSY".into()));
    assert_eq!(vipps.rings(NUMBER), 2);
}

#[tokio::test]
async fn without_a_subscription_key_it_says_so() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer())).await;
    let mut shop = Till::new(&gateway.url(), api_key().expose());
    let refused = shop.start(Person::PersonalQr("anything".into())).await.expect_err("a refusal");
    assert_eq!(reason(&refused), (Code::FailedPrecondition, "SHOP_QR_NOT_CONFIGURED".into()));
    let refused = shop.shop.list_shop_qrs(ListShopQrsRequest::default()).await.expect_err("a refusal");
    assert_eq!(reason(&refused), (Code::FailedPrecondition, "SHOP_QR_NOT_CONFIGURED".into()));
}

/// The command line draws, lists, writes files and removes.
#[tokio::test]
async fn the_command_line_does_it_all() {
    let vipps = Vipps::start().await;
    let serve = Serve::ready(&configuration(&vipps)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (svg, png) = (folder.path().join("till.svg"), folder.path().join("till.png"));
    let create = ["qr", "create", "--terminal", "till-4", "--location", "Till 4"];
    let files = ["--svg", &*svg.to_string_lossy(), "--png", &*png.to_string_lossy()].map(str::to_owned);
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let created = ended(serve.command(&[&create[..], &files].concat())).await;
    assert!(created.contains(QR_ID) && created.contains('█'), "{created}");
    assert!(std::fs::read_to_string(svg).expect("a file").starts_with("<svg"));
    assert!(std::fs::read(png).expect("a file").starts_with(b"\x89PNG"));
    assert!(ended(serve.command(&["qr", "list"])).await.contains("Till 4"));
    assert!(ended(serve.command(&["qr", "show", QR_ID])).await.contains('█'));
    ended(serve.command(&["qr", "delete", QR_ID])).await;
    assert_eq!(ended(serve.command(&["qr", "list"])).await, "");
    // A number whose person approves at once.
    let number = "+4790000002";
    let personal = vipps.simulator.personal_qr(number, PersonalQrKind::ClearText).expect("a code");
    let mut login = serve.command(&["login", "--personal-qr", &personal, "--channel", "point-of-sale"]);
    let login = login.ended().await;
    assert_eq!(login.code, Some(0), "{login:?}");
}

async fn ended(mut process: Process) -> String {
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

/// A check-in starts nothing after its time; guards of terminal and client hold, those
/// of numbers do not; and what was not sent leaves it as it was.
#[tokio::test(start_paused = true)]
async fn a_check_in_has_its_time() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk().without_agent();
    let qr = ShopQrId::new("acme.till-3").expect("an id");
    let keep = async |token: &str| {
        let token = CustomerToken::new(token).expect("a token");
        let now = stage.clock.now();
        let check_in = check_ins::CheckIn { qr: qr.clone(), token, at: now };
        gateway.store.keep_check_in(&tenant("acme"), &check_in, now).await.expect("it is kept").to_string()
    };
    let start = |request: &str, id: &str| StartLoginRequest {
        person: Some(Person::QrCheckIn(id.to_owned())),
        ..at_the_till(request, NUMBER)
    };
    let (early, late) = (keep("ZWFybHk=").await, keep("bGF0ZQ==").await);
    let login = desk.start(start("one", &early)).await;
    assert_eq!(login.masked_phone_number, "");
    tokio::time::advance(CHECK_IN_LIFE).await;
    assert_eq!(desk.refused(start("two", &late)).await.reason, "CHECK_IN_EXPIRED");
    let scanned =
        Scanned { token: "dG9v".into(), qr: qr.to_string(), merchant_serial_number: None, at: stage.clock.now() };
    let id = gateway.logins.checked_in(&tenant("acme"), scanned).await.expect("it is taken in");
    desk.start(start("three", id.as_str())).await;
}

/// One check-in rings one phone once, also when a caller gives one `request_id` to two
/// different starts at the same time.
#[tokio::test(start_paused = true)]
async fn a_request_id_that_is_used_twice_at_once_gives_no_check_in_back() {
    let (stage, gateway) = Stage::with_gateway();
    let (desk, other) = (gateway.desk().without_agent(), gateway.desk().without_agent());
    let qr = ShopQrId::new("acme.till-3").expect("an id");
    let token = CustomerToken::new("ZWFybHk=").expect("a token");
    let check_in = check_ins::CheckIn { qr, token, at: stage.clock.now() };
    let id = gateway.store.keep_check_in(&tenant("acme"), &check_in, stage.clock.now()).await.expect("it is kept");
    let start = |labels: &[(&str, &str)]| StartLoginRequest {
        person: Some(Person::QrCheckIn(id.to_string())),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..at_the_till("one", NUMBER)
    };
    gateway.store.takes(Duration::from_millis(20));
    let (login, refused) = tokio::join!(desk.start(start(&[])), other.refused(start(&[("till", "3")])));
    assert_eq!(refused.reason, "REQUEST_ID_REUSED");
    gateway.store.takes(Duration::ZERO);
    let waiting = gateway.store.check_ins(&tenant("acme"), stage.clock.now()).await.expect("the store answers");
    assert_eq!(waiting, []);
    desk.cancel(&login).await;
    let again = StartLoginRequest { request_id: "two".into(), ..start(&[]) };
    assert_eq!(desk.refused(again).await.reason, "CHECK_IN_USED");
}

/// Not only is it shown to nobody: it is not kept, so nothing can be started by it.
#[tokio::test(start_paused = true)]
async fn a_check_in_that_is_old_or_at_another_tenants_code_is_not_kept() {
    let (stage, gateway) = Stage::with_gateway();
    let now = stage.clock.now();
    for qr in ["other.till-3", "27072f82-c4b6-49cd-9838-10f21d87496e", "acme", "no/code"] {
        let scanned = Scanned { token: "dG9v".into(), qr: qr.into(), merchant_serial_number: None, at: now };
        let taken = gateway.logins.checked_in(&tenant("acme"), scanned).await;
        assert!(matches!(taken, Err(NotTakenIn::ForeignQr)), "{qr}: {taken:?}");
    }
    let at = now.minus(CHECK_IN_LIFE);
    let scanned = Scanned { token: "dG9v".into(), qr: "acme.till-3".into(), merchant_serial_number: None, at };
    let taken = gateway.logins.checked_in(&tenant("acme"), scanned).await;
    assert!(matches!(taken, Err(NotTakenIn::TooOld)), "{taken:?}");
    let waiting = gateway.store.check_ins(&tenant("acme"), now).await.expect("the store answers");
    assert_eq!(waiting, []);
}
