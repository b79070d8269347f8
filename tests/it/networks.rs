//! Clients that may call from some networks alone.

use tonic::{Code, Status};

use crate::support::audit_log::AuditLog;
use crate::support::caller::{Caller, refusal};
use crate::support::configuration::{Configuration, other_api_key};
use crate::support::eventually::eventually;
use crate::support::gateway::Gateway;
use crate::support::simulators::Vipps;

const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The reason for which it is refused; whoever may call learns that there is nothing.
async fn refused(caller: &Caller) -> String {
    let status: Status = caller.get(NOBODY).await.expect_err("there is no such login");
    let (code, reason, _) = refusal(&status);
    let expected = if reason == "NETWORK_NOT_ALLOWED" { Code::PermissionDenied } else { Code::NotFound };
    assert_eq!(code, expected, "{status:?}");
    reason
}

/// SR4: by the connection's other end, whatever a header says; the other tenant has no
/// such rule.
#[tokio::test]
async fn a_call_from_outside_the_tenants_networks_is_refused() {
    let (vipps, log) = (Vipps::start().await, AuditLog::new());
    let configuration =
        Configuration::new(&vipps.issuer()).with_tenant_line("nordlys", "networks = [\"10.20.0.0/16\"]");
    let gateway = Gateway::ready(&log.kept_by(configuration, "audit.log")).await;
    let desk = gateway.caller();
    assert_eq!(refused(&desk).await, "NETWORK_NOT_ALLOWED");
    for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        let pretending = desk.clone().with(header, "10.20.0.5").with(header, "for=10.20.0.5");
        assert_eq!(refused(&pretending).await, "NETWORK_NOT_ALLOWED", "{header}");
    }
    let other = Caller::new(&gateway.url(), other_api_key().expose());
    assert_eq!(refused(&other).await, "LOGIN_NOT_FOUND");
    let noted = eventually("the refusal is noted", async || {
        log.lines("audit.log").into_iter().find(|line| line.contains("NETWORK_NOT_ALLOWED"))
    });
    let noted = noted.await;
    assert!(noted.contains("\"call\":\"GetLogin\"") && noted.contains("\"by_client\":\"desk\""), "{noted}");
}

/// SR4: the client's own rule narrows the tenant's.
#[tokio::test]
async fn tenant_and_client_must_both_allow_it() {
    let vipps = Vipps::start().await;
    for (tenant, client, expected) in [
        ("127.0.0.0/8", "127.0.0.1", "LOGIN_NOT_FOUND"),
        ("127.0.0.0/8", "10.0.0.0/8", "NETWORK_NOT_ALLOWED"),
        ("10.0.0.0/8", "127.0.0.0/8", "NETWORK_NOT_ALLOWED"),
    ] {
        let configuration = Configuration::new(&vipps.issuer())
            .with_tenant_line("nordlys", &format!("networks = [\"{tenant}\"]"))
            .with_client_line("nordlys", &format!("networks = [\"{client}\"]"));
        let gateway = Gateway::ready(&configuration).await;
        assert_eq!(refused(&gateway.caller()).await, expected, "{tenant} {client}");
    }
}

/// SR4: behind a proxy that the operator trusts, by what that one has written.
#[tokio::test]
async fn behind_a_proxy_its_word_counts_and_nobody_elses() {
    let vipps = Vipps::start().await;
    let grpc = "listen = \"127.0.0.1:0\"\nplaintext = \"behind-a-proxy\"\ntrusted_proxies = [\"127.0.0.1\"]";
    let configuration = Configuration { grpc: grpc.into(), ..Configuration::new(&vipps.issuer()) }
        .with_tenant_line("nordlys", "networks = [\"10.20.0.0/16\"]");
    let gateway = Gateway::ready(&configuration).await;
    let desk = gateway.caller();
    let through = |address: &str| desk.clone().with("x-forwarded-for", address);
    assert_eq!(refused(&through("10.20.0.5")).await, "LOGIN_NOT_FOUND");
    assert_eq!(refused(&through("203.0.113.9, 10.20.0.5")).await, "LOGIN_NOT_FOUND");
    assert_eq!(refused(&through("10.20.0.5, 203.0.113.9")).await, "NETWORK_NOT_ALLOWED");
    assert_eq!(refused(&through("10.20.0.5").with("x-forwarded-for", "203.0.113.9")).await, "NETWORK_NOT_ALLOWED");
    assert_eq!(refused(&through("nonsense")).await, "NETWORK_NOT_ALLOWED");
    assert_eq!(refused(&desk).await, "NETWORK_NOT_ALLOWED", "a proxy that does not say for whom");
    assert_eq!(refused(&desk.clone().with("forwarded", "for=10.20.0.5")).await, "NETWORK_NOT_ALLOWED");
}
