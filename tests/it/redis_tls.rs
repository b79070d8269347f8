//! Redis behind TLS with a certificate of a private authority.

use ciba_gateway::grpc::v1::Outcome;
use tonic::Code;

use crate::support::caller::{refusal, till};
use crate::support::configuration::Configuration;
use crate::support::gateway::Gateway;
use crate::support::redis_tls::{RedisTls, authority};
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";

#[tokio::test]
async fn the_authority_is_the_operators_to_name() {
    let (vipps, redis) = (Vipps::start().await, RedisTls::start().await);
    let gateway = Gateway::ready(&trusting(&vipps, &redis, Some(&redis.authority))).await;
    let login = gateway.caller().at_a_till(NUMBER).await;
    vipps.simulator.approve(NUMBER);
    assert_eq!(gateway.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
}

/// SR30.
#[tokio::test]
async fn a_certificate_of_somebody_else_is_no_store() {
    let (vipps, redis) = (Vipps::start().await, RedisTls::start().await);
    for trusted in [None, Some(authority().pem())] {
        let gateway = Gateway::start(&trusting(&vipps, &redis, trusted.as_deref())).await;
        let refused = gateway.caller().start(till(NUMBER)).await.expect_err("a refusal");
        assert_eq!(refusal(&refused), (Code::Unavailable, "STORE_UNAVAILABLE".into(), true), "{refused}");
    }
}

fn trusting(vipps: &Vipps, redis: &RedisTls, authority: Option<&str>) -> Configuration {
    let configuration = Configuration::new(&vipps.issuer()).with_redis_at(&redis.url());
    match authority {
        Some(pem) => configuration.with_store_line(&format!("ca_file = {:?}", redis.keep("trusted.crt", pem))),
        None => configuration,
    }
}
