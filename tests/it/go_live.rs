//! `check --go-live`: Vipps's checklist, point by point.

use ciba_gateway::simulator::{Behaviour, OpenPoints, Spelling, UserExistsKnobs};

use crate::support::configuration::Configuration;
use crate::support::processes::{Ended, Process};
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4791111001";

async fn go_live(configuration: &Configuration, more: &[&str]) -> Ended {
    let file = configuration.file();
    let path = file.path().to_string_lossy().into_owned();
    let arguments = [&["check", "--go-live", "--config", path.as_str()], more].concat();
    Process::gateway(&arguments).ended().await
}

/// The line of one point of the first tenant.
fn point<'a>(ended: &'a Ended, what: &str) -> &'a str {
    let list = ended.stdout.split("checklist of Vipps for nordlys").nth(1).unwrap_or_default();
    let line = list.lines().find(|line| {
        line.get(1..).is_some_and(|line| line.trim_start_matches(['✓', '✗', '?', ' ']).starts_with(what))
            || line.contains(&format!(" {what} "))
    });
    line.unwrap_or_else(|| panic!("no {what} in {ended:?}"))
}

#[tokio::test]
async fn each_point_is_met_or_not_or_cannot_be_seen() {
    let vipps = Vipps::start().await;
    let ended = go_live(&Configuration::new(&vipps.issuer()), &["--test-number", NUMBER]).await;
    assert_eq!(ended.code, Some(69), "something is not met: {ended:?}");
    for (what, stands) in [
        ("environment", "not met: take allow_insecure_hosts"),
        ("discovery, keys", "met: discovery and signing keys"),
        ("token, CIBA", "met: credentials are taken"),
        ("user-exists", "met: answers yes"),
        ("flow, channel", "met: "),
        ("scopes", "cannot be seen from here: asked for are name, phone_number"),
        ("system headers", "met: "),
        ("serial number", "not met: set merchant_serial_number"),
        ("errors", "met: "),
        ("support staff", "not met: support cannot look a login up: turn [audit] on"),
        ("redirect URIs", "cannot be seen from here: "),
        ("account linking", "cannot be seen from here: link by sub"),
        ("proof", "cannot be seen from here: send a video"),
    ] {
        let line = point(&ended, what);
        assert!(line.contains(stands), "{stands} is not in {line}");
        let mark = if stands.starts_with("not") {
            '✗'
        } else if stands.starts_with("met") {
            '✓'
        } else {
            '?'
        };
        assert!(line.starts_with(mark), "{line}");
    }
    assert!(vipps.simulator.waiting().is_empty(), "a phone rang");
    assert!(!ended.stdout.contains("91111001"), "a number is repeated");
}

#[tokio::test]
async fn what_the_provider_refuses_is_not_met() {
    let vipps = Vipps::start().await;
    let wrong = Configuration { client_secret: "not-this-one".into(), ..Configuration::new(&vipps.issuer()) };
    let ended = go_live(&wrong, &["--test-number", NUMBER]).await;
    assert!(point(&ended, "token, CIBA").contains("not met: the credentials are refused"), "{ended:?}");
    assert!(point(&ended, "user-exists").contains("not met"), "{ended:?}");

    // Whatever spelling Vipps turns out to take.
    vipps.simulator.set_open_points(OpenPoints { user_exists_parameter: Spelling::CamelCase, ..OpenPoints::default() });
    let right = Configuration::new(&vipps.issuer());
    assert!(point(&go_live(&right, &["--test-number", NUMBER]).await, "user-exists").contains(" met: "));
    let user_exists = UserExistsKnobs { exists: false, ..UserExistsKnobs::default() };
    vipps.simulator.set_behaviour(NUMBER, Behaviour { user_exists, ..Behaviour::default() });
    let ended = go_live(&right, &["--test-number", NUMBER]).await;
    assert!(point(&ended, "user-exists").contains("is it a test user"), "{ended:?}");
    assert!(point(&go_live(&right, &[]).await, "user-exists").contains("cannot be seen"), "without a number");
}

/// What is wanted of a configuration, and how it is told.
#[tokio::test]
async fn settings_are_judged() {
    let vipps = Vipps::start().await;
    let asking = Configuration {
        provider: "merchant_serial_number = \"123456\"\nsystem_name = \"Nordlys desk\"".into(),
        ..Configuration::new(&vipps.issuer())
    }
    .with_tenant_line("nordlys", "default_claims = [\"name\", \"custom_flow\"]")
    .with_client_line("nordlys", "calls = [\"start\", \"read\"]");
    let ended = go_live(&asking, &[]).await;
    for (what, stands) in [
        ("serial number", " met: "),
        ("system headers", " met: Vipps-System-Name is Nordlys desk"),
        ("user-exists", "not met: Vipps wants it used"),
        ("consents", "not met: Vipps tells consents once: set identity.window"),
    ] {
        assert!(point(&ended, what).contains(stands), "{what}: {ended:?}");
    }
    let longer = asking.with_section("[identity]\nwindow = \"10m\"");
    assert!(point(&go_live(&longer, &[]).await, "consents").contains(" met: "));
}
