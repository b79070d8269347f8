//! From the provider's word that somebody has scanned a shop's code to the use case.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use tracing::{info, warn};

use crate::logins::{Logins, NotTakenIn, Scanned};
use crate::timestamp::Timestamp;
use crate::webhooks::{Delivery, Hear, Heard};

/// Hears of `user.checked-in.v1`.
pub(super) struct CheckIns(pub(super) Logins);

/// The event's body (QR API, page "webhooks").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    customer_token: String,
    merchant_qr_id: String,
    msn: Option<Msn>,
    initiated_at: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Msn {
    Text(String),
    Number(u64),
}

#[async_trait]
impl Hear for CheckIns {
    async fn hear(&self, delivery: Delivery<'_>) -> Heard {
        let Some(scanned) = read(delivery.body) else { return Heard::Malformed };
        match self.0.checked_in(delivery.tenant, scanned).await {
            Ok(_) => Heard::Taken,
            Err(NotTakenIn::Token) => Heard::Malformed,
            Err(problem @ NotTakenIn::Store(_)) => {
                warn!(tenant = %delivery.tenant, %problem, "a check-in cannot be kept now");
                Heard::Unavailable
            }
            Err(problem) => {
                info!(tenant = %delivery.tenant, %problem, "a check-in is of no use");
                Heard::Ignored
            }
        }
    }
}

fn read(body: &[u8]) -> Option<Scanned> {
    let Body { customer_token, merchant_qr_id, msn, initiated_at } = serde_json::from_slice(body).ok()?;
    let merchant_serial_number = msn.map(|msn| match msn {
        Msn::Text(text) => text,
        Msn::Number(number) => number.to_string(),
    });
    Some(Scanned { token: customer_token, qr: merchant_qr_id, merchant_serial_number, at: time(&initiated_at)? })
}

/// ISO 8601, of which the vendor says that it is UTC: with or without saying so again.
fn time(text: &str) -> Option<Timestamp> {
    let bare = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|time| time.and_utc());
    let at = DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc)).or_else(|_| bare()).ok()?;
    u64::try_from(at.timestamp_millis()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_as_the_vendor_may_write_them() {
        for (msn, at) in [
            ("\"123456\"", "2026-11-27T10:00:00Z"),
            ("123456", "2026-11-27T10:00:00.000"),
            ("\"123456\"", "2026-11-27T11:00:00+01:00"),
        ] {
            let body = format!(
                r#"{{"customerToken":"a+/=","merchantQrId":"acme.till-4","msn":{msn},"initiatedAt":"{at}","more":1}}"#
            );
            let scanned = read(body.as_bytes()).unwrap();
            assert_eq!(scanned.merchant_serial_number.as_deref(), Some("123456"));
            assert_eq!(scanned.at, Timestamp::from_millis(1_795_773_600_000), "{at}");
        }
        for body in ["{}", r#"{"customerToken":"a","merchantQrId":"b","initiatedAt":"yesterday"}"#] {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
