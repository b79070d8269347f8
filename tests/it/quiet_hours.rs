//! Quiet hours: agents call nobody then, and people can still call them.

use chrono::NaiveTime;
use ciba_gateway::grpc::v1;
use ciba_gateway::logins::{QuietHours, Tenant};
use tonic::Code;
use v1::StartLoginRequest as Start;

use crate::support::client::{NUMBER, OTHER_NUMBER, on_a_call, standing};
use crate::support::configuration::Configuration;
use crate::support::fake_provider::Asked;
use crate::support::gateway::Gateway;
use crate::support::simulators::Vipps;
use crate::support::stage::{Stage, pass, secs};

fn outbound(request_id: &str, number: &str) -> Start {
    let direction = v1::CallDirection::Outbound.into();
    Start { call_direction: direction, call_id: format!("call-{request_id}"), ..on_a_call(request_id, number) }
}

/// From ten to noon; stories begin at nine in Oslo.
fn quiet_from_ten(acme: &mut Tenant) {
    let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).expect("an hour");
    acme.may_call_out = true;
    acme.quiet_hours = QuietHours::new(hour(10), hour(12), chrono_tz::Europe::Oslo);
}

/// SR11: refused without a call to the provider and without counting, and until
/// when is told.
#[tokio::test(start_paused = true)]
async fn nobody_is_called_in_quiet_hours() {
    let (stage, gateway) = Stage::with_rules(quiet_from_ten);
    let desk = gateway.desk();
    pass(secs(3600)).await;
    for i in 0..8 {
        let refusal = desk.refused(outbound(&format!("r-{}", i / 2), NUMBER)).await;
        let told = (refusal.code, refusal.reason.as_str(), refusal.retry_after);
        assert_eq!(told, (Code::FailedPrecondition, "QUIET_HOURS", Some(secs(7200))));
    }
    assert_eq!((stage.provider.count(Asked::Start), desk.list().await), (0, vec![]));
    // Whoever calls is answered at any hour, and no start was counted.
    let login = desk.start(on_a_call("r-in", NUMBER)).await;
    assert_eq!(desk.cancel(&login).await, "cancelled");
    pass(secs(7200)).await;
    assert_eq!(standing(&desk.start(outbound("r-0", NUMBER)).await), "pending");
}

/// SR11: whose phone rang just before is told about it.
#[tokio::test(start_paused = true)]
async fn a_start_from_before_is_repeated_at_any_hour() {
    let (stage, gateway) = Stage::with_rules(quiet_from_ten);
    let desk = gateway.desk();
    pass(secs(3590)).await;
    let login = desk.start(outbound("r-1", NUMBER)).await;
    pass(secs(15)).await;
    assert_eq!(desk.start(outbound("r-1", NUMBER)).await.login_id, login.login_id);
    assert_eq!(desk.refused(outbound("r-2", OTHER_NUMBER)).await.reason, "QUIET_HOURS");
    assert_eq!(stage.provider.count(Asked::Start), 1);
    stage.provider.person_approves();
    desk.confirm(&login, &stage.provider.code_in_the_app()).await;
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
}

/// SR11: what would be replaced stays when nothing may come in its place.
#[tokio::test(start_paused = true)]
async fn nothing_is_replaced_in_quiet_hours() {
    let (stage, gateway) = Stage::with_rules(quiet_from_ten);
    let desk = gateway.desk();
    pass(secs(3590)).await;
    let login = desk.start(outbound("r-1", NUMBER)).await;
    pass(secs(15)).await;
    let replacing = Start { when_number_busy: v1::WhenNumberBusy::Replace.into(), ..outbound("r-2", NUMBER) };
    assert_eq!(desk.refused(replacing).await.reason, "NUMBER_BUSY");
    assert_eq!((desk.sees(&login).await.as_str(), stage.provider.count(Asked::Start)), ("pending", 1));
}

/// SR11: off unless the operator turns them on.
#[tokio::test]
async fn quiet_hours_are_the_operators_to_set() {
    let vipps = Vipps::start().await;
    let calling = Configuration::new(&vipps.issuer())
        .with_tenant_line("nordlys", "outbound_calls_because = \"the customer booked this call\"");
    // One of the two lasts now, whatever the hour is.
    let quiet = |from: &str, to: &str| {
        let line = format!("quiet_hours = {{ from = \"{from}\", to = \"{to}\", time_zone = \"Europe/Oslo\" }}");
        calling.clone().with_tenant_line("nordlys", &line)
    };
    let mut refused = 0;
    for configuration in [quiet("00:00", "12:00"), quiet("12:00", "00:00")] {
        let gateway = Gateway::ready(&configuration).await;
        let start = gateway.caller().start(outbound("r-1", "+4790000001")).await;
        refused += usize::from(start.is_err_and(|status| status.message().contains("at this hour")));
    }
    assert_eq!((refused, vipps.rings("+4790000001")), (1, 1));

    let gateway = Gateway::ready(&calling).await;
    gateway.caller().start(outbound("r-1", "+4790000004")).await.expect("a login");
}
