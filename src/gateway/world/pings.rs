//! `login.merchant-initiated.ping.v1`: somebody has answered, look now.

use async_trait::async_trait;
use serde::Deserialize;

use crate::ciba::AuthReqId;
use crate::poller::Poller;
use crate::webhooks::{Delivery, Hear, Heard};

/// Passes pings to whoever polls. What has become of the login the token endpoint says,
/// and nobody else.
pub(super) struct Pings(pub(super) Poller);

#[derive(Deserialize)]
struct Ping<'b> {
    auth_req_id: &'b str,
}

#[async_trait]
impl Hear for Pings {
    async fn hear(&self, delivery: Delivery<'_>) -> Heard {
        // No id has a character that JSON would have to escape.
        let ping: Option<Ping<'_>> = serde_json::from_slice(delivery.body).ok();
        let Some(request) = ping.and_then(|ping| AuthReqId::new(ping.auth_req_id)) else { return Heard::Malformed };
        match self.0.pinged(&request).await {
            Ok(()) => Heard::Taken,
            Err(_) => Heard::Unavailable,
        }
    }
}
