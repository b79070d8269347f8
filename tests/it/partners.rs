//! Partner keys: one credential for the sales units of many merchants.

use ciba_gateway::grpc::v1::{Login, Outcome};
use ciba_gateway::simulator::{
    ClientRegistration, Endpoint, Fault, PartnerRegistration, PlatformKnobs, ReceivedRequest, Settings,
};
use tonic::Code;

use crate::support::caller::{Caller, refusal, till};
use crate::support::configuration::{Configuration, other_api_key};
use crate::support::gateway::{Gateway, Serve, local};
use crate::support::processes::Process;
use crate::support::simulators::{Vipps, quick};

const NUMBER: &str = "+4791234567";
const OTHER_NUMBER: &str = "+4791234568";
/// The sales units of the tenants `nordlys` and `other`.
const MERCHANTS: [&str; 2] = ["111111", "222222"];
const SECRET: &str = "partner-s3cret";
const KEY: &str = "partner-k3y";

async fn vipps(may_check_numbers: bool) -> Vipps {
    let merchant = |number: &str| ClientRegistration {
        client_id: format!("merchant-{number}"),
        client_secret: "known to the merchant alone".into(),
        merchant_serial_number: number.into(),
        ..ClientRegistration::default()
    };
    let partner = PartnerRegistration {
        client_id: "partner".into(),
        client_secret: SECRET.into(),
        subscription_key: KEY.into(),
        merchant_serial_numbers: MERCHANTS.map(str::to_owned).into(),
        may_check_numbers,
    };
    let clients = MERCHANTS.map(merchant).into_iter().chain([ClientRegistration::default()]).collect();
    Vipps::with(local().await, Settings { clients, partners: vec![partner], ..quick() }).await
}

fn configuration(vipps: &Vipps) -> Configuration {
    let partner = Configuration {
        client_id: "partner".into(),
        client_secret: SECRET.into(),
        provider: format!("keys = \"partner\"\nsubscription_key = \"{KEY}\""),
        ..Configuration::new(&vipps.issuer())
    };
    let [nordlys, other] = MERCHANTS.map(|number| format!("merchant_serial_number = \"{number}\""));
    partner.with_provider_line("nordlys", &nordlys).with_provider_line("other", &other)
}

fn requests(vipps: &Vipps, endpoint: Endpoint) -> Vec<ReceivedRequest> {
    vipps.simulator.requests().into_iter().filter(|request| request.endpoint == endpoint).collect()
}

async fn logs_in(vipps: &Vipps, desk: &Caller, number: &str) -> Login {
    let login = desk.at_a_till(number).await;
    assert_eq!(vipps.simulator.approve(number), 1);
    let login = desk.end_of(&login.login_id).await;
    assert_eq!(login.outcome(), Outcome::Approved, "{login:?}");
    login
}

/// The token is the partner's, the rest is the merchant's: `sub`, `msn`, the request.
#[tokio::test]
async fn one_credential_serves_the_sales_units_of_many_merchants() {
    let vipps = vipps(false).await;
    let gateway = Gateway::ready(&configuration(&vipps)).await;
    let desks = [gateway.caller(), Caller::new(&gateway.url(), other_api_key().expose())];
    for (desk, merchant) in desks.iter().zip(MERCHANTS) {
        let login = logs_in(&vipps, desk, NUMBER).await;
        let subject = vipps.simulator.subject(&format!("merchant-{merchant}"), NUMBER);
        assert_eq!(login.identity.map(|identity| identity.sub), subject);
    }
    assert_eq!(requests(&vipps, Endpoint::PlatformToken).len(), 1, "one token for all");
    let token = requests(&vipps, Endpoint::PlatformToken).remove(0);
    assert_eq!(token.header("merchant-serial-number"), None, "it is for no one merchant");
    assert!(token.header("vipps-system-name").is_some());
    let of_merchants = |endpoint| {
        let all = requests(&vipps, endpoint);
        assert!(all.iter().all(|request| request.header("ocp-apim-subscription-key").is_none()));
        let mut merchants: Vec<_> =
            all.iter().map(|request| request.header("merchant-serial-number").expect("one").to_owned()).collect();
        merchants.dedup();
        let mut shown: Vec<_> =
            all.iter().map(|request| request.header("authorization").expect("one").to_owned()).collect();
        shown.dedup();
        (merchants, shown)
    };
    let (merchants, shown) = of_merchants(Endpoint::Backchannel);
    assert_eq!(merchants, MERCHANTS);
    assert!(shown.len() == 1 && shown[0].starts_with("Bearer platform."), "{shown:?}");
    assert_eq!(of_merchants(Endpoint::Token), (MERCHANTS.map(str::to_owned).into(), shown));
    let (_, login_tokens) = of_merchants(Endpoint::Userinfo);
    assert!(login_tokens.iter().all(|shown| shown.starts_with("Bearer ciba.")), "{login_tokens:?}");
}

/// A sales unit with keys of its own beside it proves itself as ever.
#[tokio::test]
async fn a_sales_unit_with_its_own_keys_stands_beside_a_partner() {
    let vipps = vipps(false).await;
    let text = configuration(&vipps).text();
    let (partner, own) = text.split_once("id = \"other\"").expect("the second tenant");
    let own = own
        .replace("client_id = \"partner\"", "client_id = \"demo-client\"")
        .replace(SECRET, "demo-secret")
        .replace("keys = \"partner\"\n", "")
        .replace(&format!("subscription_key = \"{KEY}\"\n"), "")
        .replace("merchant_serial_number = \"222222\"", "");
    let serve = Serve::with_text(&format!("{partner}id = \"other\"{own}")).await;
    let other = Caller::new(&serve.url(), other_api_key().expose());
    logs_in(&vipps, &serve.caller(), NUMBER).await;
    logs_in(&vipps, &other, OTHER_NUMBER).await;
    let shown = |number: &str| {
        let digits = number.trim_start_matches('+');
        let start = requests(&vipps, Endpoint::Backchannel)
            .into_iter()
            .find(|request| request.phone.as_deref() == Some(digits))
            .expect("a start");
        start.header("authorization").expect("one").split(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!([shown(NUMBER), shown(OTHER_NUMBER)], ["Bearer", "Basic"]);
    let told = serve.process.stderr();
    assert!(!told.contains(SECRET) && !told.contains(KEY) && !told.contains("Bearer platform."), "{told}");
}

/// SR21: without `aud` to go by, `msn` says whom an ID token is for.
#[tokio::test]
async fn an_id_token_for_another_merchant_is_refused() {
    let vipps = vipps(false).await;
    let gateway = Gateway::ready(&configuration(&vipps)).await;
    let desk = gateway.caller();
    // Magic numbers: another msn, and none.
    for number in ["+4790000096", "+4790000097"] {
        let login = desk.at_a_till(number).await;
        let login = desk.end_of(&login.login_id).await;
        assert_eq!(login.failure_reason().as_str_name(), "FAILURE_REASON_ID_TOKEN_INVALID", "{login:?}");
        assert!(login.identity.is_none());
    }
}

fn token_endpoint(vipps: &Vipps, fault: Option<Fault>) {
    vipps.simulator.set_platform(PlatformKnobs { fault, ..PlatformKnobs::default() });
}

#[tokio::test]
async fn without_a_token_starts_say_that_the_provider_cannot_be_asked() {
    for (fault, code, reason) in [
        (Fault::gateway(503), Code::Unavailable, "PROVIDER_UNAVAILABLE"),
        (Fault::gateway(401), Code::FailedPrecondition, "PROVIDER_CREDENTIALS_REFUSED"),
    ] {
        let vipps = vipps(false).await;
        token_endpoint(&vipps, Some(fault));
        let gateway = Gateway::ready(&configuration(&vipps)).await;
        let refused = gateway.caller().start(till(NUMBER)).await.expect_err("a refusal");
        let (found, said, _) = refusal(&refused);
        assert_eq!((found, said.as_str()), (code, reason));
        assert_eq!(vipps.rings(NUMBER), 0);
    }
}

#[tokio::test]
async fn logins_go_on_with_the_token_at_hand_while_the_endpoint_is_down() {
    let vipps = vipps(false).await;
    let gateway = Gateway::ready(&configuration(&vipps)).await;
    let desk = gateway.caller();
    let login = desk.at_a_till(NUMBER).await;
    token_endpoint(&vipps, Some(Fault::gateway(503)));
    logs_in(&vipps, &desk, OTHER_NUMBER).await;
    vipps.simulator.approve(NUMBER);
    assert_eq!(desk.end_of(&login.login_id).await.outcome(), Outcome::Approved);
    assert_eq!(requests(&vipps, Endpoint::PlatformToken).len(), 1);
}

/// The vendor does not say that partners may ask: its refusal says nothing about the
/// number, and an answer does.
#[tokio::test]
async fn whether_a_number_can_log_in_is_told_where_partners_may_ask() {
    for may_check in [false, true] {
        let vipps = vipps(may_check).await;
        let gateway = Gateway::ready(&configuration(&vipps)).await;
        let answer = gateway.caller().check(NUMBER).await;
        match may_check {
            true => assert!(answer.expect("an answer")),
            false => {
                let refused = answer.expect_err("no answer");
                assert_eq!(refusal(&refused), (Code::Unimplemented, "NOT_SUPPORTED".into(), false));
            }
        }
    }
}

#[tokio::test]
async fn check_says_whose_keys_they_are() {
    let vipps = vipps(false).await;
    let check = async || {
        let file = configuration(&vipps).file();
        Process::gateway(&["check", "--config", &file.path().to_string_lossy()]).ended().await
    };
    let ended = check().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in ["a partner's keys, for the merchant 111111", "an access token is given", "credentials are accepted"] {
        assert!(ended.stdout.contains(said), "{said}: {ended:?}");
    }
    token_endpoint(&vipps, Some(Fault::gateway(401)));
    let ended = check().await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.stdout.contains("refuses client_id, client_secret or subscription_key"), "{ended:?}");
    assert!(!ended.stdout.contains(SECRET) && !ended.stdout.contains(KEY), "{ended:?}");
}
