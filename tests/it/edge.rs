//! Peers who misbehave on the wire, and somebody well-behaved beside each of them.
//!
//! The gateway is a process of its own, so that its memory is its own.

mod floods;
mod frames;
mod hardening;
mod operators;
mod public;
mod slow;
mod tls;

use std::time::Duration;

use ciba_gateway::grpc::v1::LoginState;

use crate::support::caller::Caller;
use crate::support::configuration::{Configuration, api_key};
use crate::support::gateway::Serve;
use crate::support::http;
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const GET: &str = "/ciba_gateway.v1.LoginService/GetLogin";
const LIST: &str = "/ciba_gateway.v1.LoginService/ListLogins";
/// Within this a well-behaved call is answered, whatever goes on beside it.
const PATIENCE: Duration = Duration::from_secs(5);

struct Edge {
    _vipps: Vipps,
    serve: Serve,
    neighbour: Caller,
    login_id: String,
    /// KiB, before anybody misbehaves.
    resident: u64,
}

impl Edge {
    async fn begin() -> Self {
        Self::with("").await
    }

    /// With these lines under `[grpc]`.
    async fn with(grpc: &str) -> Self {
        Self::of(|configuration| {
            let grpc = format!("{}\n{grpc}", configuration.grpc);
            Configuration { grpc, ..configuration }
        })
        .await
    }

    /// With what becomes of the usual configuration.
    async fn of(change: impl FnOnce(Configuration) -> Configuration) -> Self {
        let vipps = Vipps::start().await;
        let serve = Serve::ready(&change(Configuration::new(&vipps.issuer()))).await;
        let neighbour = serve.caller();
        let login_id = neighbour.at_a_till(NUMBER).await.login_id;
        let resident = serve.process.resident_kib();
        Self { _vipps: vipps, serve, neighbour, login_id, resident }
    }

    /// Somebody who was there before, and somebody who comes now, are served.
    async fn serves_others(&self) {
        for caller in [self.neighbour.clone(), self.serve.caller()] {
            let call = tokio::time::timeout(PATIENCE, caller.get(&self.login_id));
            let login = call.await.expect("an answer in time").expect("an answer");
            assert_eq!(login.state(), LoginState::Pending);
        }
    }

    /// So many connections were cut for that reason.
    async fn has_cut(&self, why: &str, connections: u32) {
        let (_, page) = http::get(&format!("http://{}/metrics", self.serve.http)).await.expect("metrics");
        let line = format!("ciba_gateway_cut_connections_total{{why=\"{why}\"}} {connections}\n");
        assert!(page.contains(&line), "{line} in {page}");
    }

    /// By how many KiB the gateway has grown, which is printed.
    fn grown_by(&self, what: &str) -> u64 {
        let grown = self.serve.process.resident_kib().saturating_sub(self.resident);
        println!("{what}: the gateway grew by {grown} KiB");
        grown
    }
}

/// The headers of a call that is allowed.
fn allowed(path: &str) -> Vec<u8> {
    let bearer = format!("Bearer {}", api_key().expose());
    crate::support::raw_http2::call(path, &[("authorization", &bearer)])
}
