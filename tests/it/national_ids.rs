//! National identity numbers: who may ask for one, by what right, and who sees it.

use std::collections::BTreeSet;

use ciba_gateway::grpc::v1;
use ciba_gateway::identity::Claim;
use ciba_gateway::logins::{Purpose, Tenant};
use ciba_gateway::session::{Channel, PurposeId};
use tonic::Code;
use v1::StartLoginRequest as Start;

use crate::support::audit_log::AuditLog;
use crate::support::client::{NUMBER, at_the_till, hand_over, on_a_call, standing};
use crate::support::configuration::{Configuration, GROUND};
use crate::support::fake_provider::{Asked, FULL_NAME, NIN};
use crate::support::gateway::Serve;
use crate::support::simulators::Vipps;
use crate::support::stage::Stage;

fn with_nin(start: Start) -> Start {
    Start { claims: vec![v1::Claim::Name.into(), v1::Claim::Nin.into()], ..start }
}

fn stated(acme: &mut Tenant) {
    acme.national_id_ground = Some(GROUND.to_owned());
}

/// SR19, SR41: without a stated ground nobody, and with one only who has the role.
#[tokio::test(start_paused = true)]
async fn only_a_stated_ground_and_a_role_together_will_do() {
    let start = || with_nin(at_the_till("r-1", NUMBER));
    let (stage, gateway) = Stage::with_gateway();
    for caller in [gateway.desk(), gateway.registry()] {
        let refusal = caller.refused(start()).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "NATIONAL_ID_NOT_ALLOWED"));
    }
    assert_eq!(stage.provider.count(Asked::Start), 0);

    let (stage, gateway) = Stage::with_rules(stated);
    let refusal = gateway.desk().refused(start()).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "ROLE_MISSING"));
    assert_eq!(stage.provider.count(Asked::Start), 0);
    stage.provider.person_approves();
    let registry = gateway.registry();
    let login = registry.start(start()).await;
    assert_eq!(registry.wait_for_end(&login).await.identity.expect("an identity").nin, NIN);
}

/// SR19: a purpose narrows that further.
#[tokio::test(start_paused = true)]
async fn a_purpose_must_go_with_it_as_well() {
    let (stage, gateway) = Stage::with_rules(|acme| {
        stated(acme);
        let purpose = |name: &str, claims: &[Claim]| Purpose {
            id: PurposeId::new(name).expect("a purpose"),
            claims: claims.iter().copied().collect(),
            default_claims: [Claim::Name].into(),
            required_claims: BTreeSet::new(),
            channels: [Channel::PointOfSale].into(),
        };
        acme.purposes = vec![purpose("loan", &[Claim::Name, Claim::Nin]), purpose("greeting", &[Claim::Name])];
    });
    let for_purpose = |purpose: &str| Start { purpose: purpose.to_owned(), ..with_nin(at_the_till("r-1", NUMBER)) };
    let registry = gateway.registry();
    assert_eq!(registry.refused(for_purpose("greeting")).await.reason, "CLAIM_NOT_ALLOWED");
    assert_eq!(gateway.desk().refused(for_purpose("loan")).await.reason, "ROLE_MISSING");
    registry.start(for_purpose("loan")).await;
    assert_eq!(stage.provider.shown()[0].claims, [Claim::Name, Claim::Nin].into());
}

/// SR41: what the provider tells unasked is not kept.
#[tokio::test(start_paused = true)]
async fn a_number_that_nobody_asked_for_is_dropped() {
    let (stage, gateway) = Stage::with_rules(stated);
    stage.provider.tells_unasked(Claim::Nin);
    stage.provider.person_approves();
    let registry = gateway.registry();
    let login = registry.start(at_the_till("r-1", NUMBER)).await;
    let login = registry.wait_for_end(&login).await;
    assert_eq!((standing(&login).as_str(), login.identity.expect("an identity").nin.as_str()), ("approved", ""));
    assert!(!registry.heard().contains(NIN));
}

/// SR19: a login that was handed over is read by somebody else.
#[tokio::test(start_paused = true)]
async fn a_reader_without_the_role_sees_the_rest() {
    let (stage, gateway) = Stage::with_rules(stated);
    stage.provider.person_approves();
    let (registry, desk) = (gateway.registry(), gateway.desk().with_agent("bo"));
    let login = registry.start(with_nin(at_the_till("r-1", NUMBER))).await;
    let to_desk = v1::TransferLoginRequest { client_id: "desk".to_owned(), ..hand_over(&login.login_id, "bo") };
    registry.try_transfer(to_desk).await.expect("handed over");
    let identity = desk.wait_for_end(&login).await.identity.expect("an identity");
    assert_eq!((identity.name.as_str(), identity.nin.as_str()), (FULL_NAME, ""));
    assert!(!desk.heard().contains(NIN) && !registry.heard().contains(NIN));
}

/// SR24, SR41: the code withholds it, and others of the tenant never see it.
#[tokio::test(start_paused = true)]
async fn it_is_withheld_like_everything_else() {
    let (stage, gateway) = Stage::with_rules(stated);
    stage.provider.person_approves();
    let (registry, desk) = (gateway.registry(), gateway.desk());
    let login = registry.start(with_nin(on_a_call("r-1", NUMBER))).await;
    let mut watch = desk.watch(&login).await;
    while standing(&watch.login().await) != "awaiting_code" {}
    registry.get(&login).await;
    assert!(!registry.heard().contains(NIN));
    let code = stage.provider.code_in_the_app();
    assert_eq!(registry.confirm(&login, &code).await.2, "approved");
    assert_eq!(standing(&watch.login().await), "approved");
    desk.list().await;
    assert!(registry.heard().contains(NIN) && !desk.heard().contains(NIN));
}

/// SR41: in the form of each country, and the ground is copied into the audit log,
/// where the number is not.
#[tokio::test]
async fn the_ground_is_told_with_each_start_and_the_number_is_not() {
    let (log, vipps) = (AuditLog::new(), Vipps::start().await);
    let configuration = Configuration::new(&vipps.issuer()).that_asks_for_national_ids();
    let mut serve = Serve::ready(&log.kept_by(configuration, "audit.log")).await;
    let ada = serve.client().await.with_agent("ada");
    let mut nins = Vec::new();
    for (number, length) in
        [("+4790000002", 11), ("+4520000002", 11), ("+46700000002", 13), ("+358400000002", 11), ("+299200002", 11)]
    {
        let login = ada.start(with_nin(at_the_till(number, number))).await;
        let nin = ada.wait_for_end(&login).await.identity.expect("an identity").nin;
        assert_eq!(nin.len(), length, "{number}");
        nins.push(nin);
    }
    ada.start(at_the_till("r-without", "+4790000003")).await;
    serve.process.signal("TERM");
    assert_eq!(serve.process.ended().await.code, Some(0));

    let lines = log.lines("audit.log");
    let asked: Vec<_> = lines.iter().filter(|line| line.contains("start_asked")).collect();
    let with_ground: Vec<_> = lines.iter().filter(|line| line.contains(GROUND)).collect();
    assert_eq!((asked.len(), with_ground.as_slice()), (6, &asked[..5]));
    let told = lines.concat();
    assert!(nins.iter().all(|nin| !told.contains(nin.as_str())));
}
