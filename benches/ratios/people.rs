//! Providers whose people all approve: the simulator, as a neighbour.

use std::future::pending;
use std::net::Ipv4Addr;

use ciba_gateway::simulator::{self, Behaviour, Settings};
use tokio::net::TcpListener;

/// The argument that makes this program the server: they approve on the third poll,
/// and polls are a second apart.
pub(crate) const ROLE: &str = "people";
/// They approve when they are told to, and polls are five seconds apart.
pub(crate) const ROLE_BY_HAND: &str = "people-by-hand";

/// Serves until standard input ends; says its issuer.
pub(crate) async fn serve() {
    let default_behaviour = Behaviour::approve_after(2);
    serve_with(Settings { interval_seconds: 1, default_behaviour, ..Settings::default() }).await;
}

/// As [`serve`].
pub(crate) async fn serve_by_hand() {
    serve_with(Settings { interval_seconds: super::ping::INTERVAL.as_secs(), ..Settings::default() }).await;
}

async fn serve_with(settings: Settings) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let (simulator, serving) = simulator::start(listener, settings, pending()).await.expect("a simulator");
    super::neighbour::serve(simulator.issuer().as_str(), async { serving.await.expect("it serves") }).await;
}
