//! A provider whose people all approve on the third poll: the simulator, as a
//! neighbour.

use std::future::pending;
use std::net::Ipv4Addr;

use ciba_gateway::simulator::{self, Behaviour, Settings};
use tokio::net::TcpListener;

/// The argument that makes this program the server.
pub(crate) const ROLE: &str = "people";

/// Serves until standard input ends; says its issuer.
pub(crate) async fn serve() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let settings =
        Settings { interval_seconds: 1, default_behaviour: Behaviour::approve_after(2), ..Settings::default() };
    let (simulator, serving) = simulator::start(listener, settings, pending()).await.expect("a simulator");
    super::neighbour::serve(simulator.issuer().as_str(), async { serving.await.expect("it serves") }).await;
}
