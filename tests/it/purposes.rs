//! What logins are for, what may be asked for that, and what must come back.

use std::collections::BTreeSet;

use ciba_gateway::grpc::v1;
use ciba_gateway::identity::Claim;
use ciba_gateway::logins::{Purpose, Tenant};
use ciba_gateway::session::{Channel, PurposeId};
use tonic::Code;
use v1::StartLoginRequest as Start;

use crate::support::audit_log::AuditLog;
use crate::support::client::{NUMBER, at_the_box, at_the_till, on_a_call, standing};
use crate::support::configuration::Configuration;
use crate::support::fake_provider::{Asked, FULL_NAME};
use crate::support::gateway::Serve;
use crate::support::simulators::Vipps;
use crate::support::stage::Stage;

fn id(name: &str) -> PurposeId {
    PurposeId::new(name).expect("a purpose")
}

/// To greet people anywhere by their name, and to open accounts on calls alone.
fn two_purposes(acme: &mut Tenant) {
    let all = BTreeSet::from([Channel::CallCentre, Channel::PointOfSale, Channel::TvBox]);
    acme.purposes = vec![
        Purpose {
            id: id("greeting"),
            claims: [Claim::Name, Claim::Email].into(),
            default_claims: [Claim::Name].into(),
            required_claims: [].into(),
            channels: all,
        },
        Purpose {
            id: id("new-account"),
            claims: [Claim::Name, Claim::Birthdate, Claim::Address].into(),
            default_claims: [Claim::Name, Claim::Birthdate].into(),
            required_claims: [Claim::Name].into(),
            channels: [Channel::CallCentre].into(),
        },
    ];
}

fn wanting(purpose: &str, claims: &[v1::Claim], start: Start) -> Start {
    let claims = claims.iter().map(|claim| i32::from(*claim)).collect();
    Start { purpose: purpose.to_owned(), claims, ..start }
}

/// SR19: a login is for a purpose, and asks for no more than goes with it.
#[tokio::test(start_paused = true)]
async fn a_start_asks_for_what_its_purpose_needs() {
    use v1::Claim::{Address, Birthdate, Email, Name};
    let (call, till) = (on_a_call("r-1", NUMBER), at_the_till("r-1", NUMBER));
    for (start, asked) in [
        (wanting("greeting", &[], till.clone()), vec![Claim::Name]),
        (wanting("greeting", &[Email], till), vec![Claim::Email]),
        (wanting("new-account", &[], call.clone()), vec![Claim::Name, Claim::Birthdate]),
        // What is required is asked for besides.
        (
            wanting("new-account", &[Address, Birthdate], call.clone()),
            vec![Claim::Name, Claim::Address, Claim::Birthdate],
        ),
        (wanting("new-account", &[Name], call), vec![Claim::Name]),
    ] {
        let (stage, gateway) = Stage::with_rules(two_purposes);
        let purpose = start.purpose.clone();
        let login = gateway.desk().start(start).await;
        assert_eq!(login.purpose, purpose);
        let shown = stage.provider.shown().remove(0);
        assert_eq!((shown.claims, shown.purpose), (BTreeSet::from_iter(asked), Some(id(&purpose))));
        // Whoever looks at it later, and elsewhere, sees it as well.
        assert_eq!(stage.gateway().desk().get(&login).await.purpose, purpose);
    }
}

/// SR19.
#[tokio::test(start_paused = true)]
async fn what_does_not_go_with_the_purpose_is_refused() {
    let (stage, gateway) = Stage::with_rules(two_purposes);
    let desk = gateway.desk();
    let (call, till) = (on_a_call("r-1", NUMBER), at_the_till("r-1", NUMBER));
    for (start, reason) in [
        (wanting("greeting", &[v1::Claim::Birthdate], till.clone()), "CLAIM_NOT_ALLOWED"),
        (wanting("greeting", &[v1::Claim::Name, v1::Claim::Nin], till.clone()), "CLAIM_NOT_ALLOWED"),
        (wanting("new-account", &[v1::Claim::Email], call.clone()), "CLAIM_NOT_ALLOWED"),
        (wanting("new-account", &[], till.clone()), "PURPOSE_NOT_ALLOWED"),
        (wanting("new-account", &[], at_the_box("r-1", NUMBER)), "PURPOSE_NOT_ALLOWED"),
        (wanting("sweepstake", &[], call), "PURPOSE_NOT_ALLOWED"),
    ] {
        let refusal = desk.refused(start).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, reason), "{refusal:?}");
    }
    let refusal = desk.refused(till.clone()).await;
    assert_eq!((refusal.code, refusal.fields), (Code::InvalidArgument, vec!["purpose".to_owned()]));
    assert_eq!(stage.provider.count(Asked::Start), 0);
    // None of them has used up the request_id.
    desk.start(wanting("greeting", &[], till)).await;
}

/// SR19.
#[tokio::test(start_paused = true)]
async fn a_default_purpose_holds_for_starts_that_name_none() {
    let (stage, gateway) = Stage::with_rules(|acme| {
        two_purposes(acme);
        acme.default_purpose = Some(id("greeting"));
    });
    let desk = gateway.desk();
    let birthdate = wanting("", &[v1::Claim::Birthdate], at_the_till("r-1", NUMBER));
    assert_eq!(desk.refused(birthdate).await.reason, "CLAIM_NOT_ALLOWED");
    assert_eq!(desk.start(at_the_till("r-1", NUMBER)).await.purpose, "greeting");
    assert_eq!(stage.provider.shown()[0].claims, [Claim::Name].into());
}

/// A tenant without purposes has none to name.
#[tokio::test(start_paused = true)]
async fn a_purpose_that_the_tenant_does_not_have_is_refused() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let refusal = desk.refused(wanting("greeting", &[], at_the_till("r-1", NUMBER))).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "PURPOSE_NOT_ALLOWED"));
    let login = desk.start(wanting("", &[v1::Claim::Email], at_the_till("r-1", NUMBER))).await;
    assert_eq!(login.purpose, "");
    assert_eq!(stage.provider.shown()[0].claims, [Claim::Email].into());
}

/// The same `request_id` with another purpose is another start.
#[tokio::test(start_paused = true)]
async fn the_purpose_is_part_of_the_content() {
    let (_stage, gateway) = Stage::with_rules(two_purposes);
    let desk = gateway.desk();
    desk.start(wanting("greeting", &[], on_a_call("r-1", NUMBER))).await;
    let refusal = desk.refused(wanting("new-account", &[], on_a_call("r-1", NUMBER))).await;
    assert_eq!(refusal.reason, "REQUEST_ID_REUSED");
}

/// A login without what the tenant requires is no success, typed code or not.
#[tokio::test(start_paused = true)]
async fn a_required_claim_that_does_not_come_is_a_failure() {
    for start in [at_the_till("r-1", NUMBER), on_a_call("r-1", NUMBER)] {
        let (stage, gateway) = Stage::with_rules(|acme| acme.required_claims = [Claim::Name].into());
        stage.provider.withholds(Claim::Name);
        stage.provider.person_approves();
        let desk = gateway.desk();
        let login = desk.start(start).await;
        let login = desk.wait_for_end(&login).await;
        assert_eq!((standing(&login).as_str(), login.identity), ("claim_missing", None));
    }
}

/// Only what is required must come: people may have no more than that.
#[tokio::test(start_paused = true)]
async fn a_claim_that_is_not_required_may_stay_away() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.withholds(Claim::Name);
    stage.provider.person_approves();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let login = desk.wait_for_end(&login).await;
    let identity = login.identity.clone().expect("an identity");
    assert_eq!((standing(&login).as_str(), identity.name.as_str()), ("approved", ""));
    assert_eq!(identity.missing_claims, [i32::from(v1::Claim::Name)]);

    let (stage, gateway) = Stage::with_rules(|acme| acme.required_claims = [Claim::Name].into());
    stage.provider.person_approves();
    let login = gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    let login = gateway.desk().wait_for_end(&login).await;
    let identity = login.identity.expect("an identity");
    assert_eq!((identity.name.as_str(), identity.missing_claims), (FULL_NAME, vec![]));
}

/// SR19, SR39: by configuration, against the simulator, and told in the audit log.
/// The number ending in 00059 approves, but its phone number does not come.
#[tokio::test]
async fn purposes_are_the_operators_to_set_and_in_the_audit_log() {
    let (log, vipps) = (AuditLog::new(), Vipps::start().await);
    let configuration = Configuration::new(&vipps.issuer()).with_tenant_line(
        "nordlys",
        "default_purpose = \"greeting\"\n\
         purposes = [\n\
             { id = \"greeting\", claims = [\"name\"] },\n\
             { id = \"contact\", claims = [\"name\", \"phone_number\"], required_claims = [\"phone_number\"] },\n\
         ]",
    );
    let mut serve = Serve::ready(&log.kept_by(configuration, "audit.log")).await;
    let ada = serve.client().await.with_agent("ada");
    let refused = wanting("greeting", &[v1::Claim::Email], at_the_till("r-1", NUMBER));
    assert_eq!(ada.refused(refused).await.reason, "CLAIM_NOT_ALLOWED");
    for (request_id, purpose, number, end) in [
        ("r-2", "", "+4790000059", "approved"),
        ("r-3", "contact", "+4790000059", "claim_missing"),
        ("r-4", "contact", "+4790000001", "approved"),
    ] {
        let login = ada.start(wanting(purpose, &[], at_the_till(request_id, number))).await;
        assert_eq!(standing(&ada.wait_for_end(&login).await), end, "{purpose} {number}");
    }
    serve.process.signal("TERM");
    assert_eq!(serve.process.ended().await.code, Some(0));

    let lines = log.lines("audit.log");
    let told = |parts: &[&str]| lines.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count();
    assert_eq!(told(&["\"start_asked\"", "\"purpose\":\"greeting\""]), 2);
    assert_eq!(told(&["\"start_refused\"", "\"CLAIM_NOT_ALLOWED\"", "\"purpose\":\"greeting\""]), 1);
    assert_eq!(told(&["\"ended\"", "\"claim_missing\"", "\"purpose\":\"contact\""]), 1);
}
