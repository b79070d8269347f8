//! Cursors of a tenant's stream.
//!
//! An input's first byte says what the rest is: the text of a cursor, or what
//! stands in one whose check is right.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ciba_gateway::logins::Cursor;
use ciba_gateway::session::TenantId;
use sha2::{Digest, Sha256};

const LONGEST: usize = 200;
const CHECK_LENGTH: usize = 6;

pub(crate) fn judge(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    let own = TenantId::new("acme").expect("a tenant");
    let text = if kind.is_multiple_of(2) { String::from_utf8_lossy(rest).into_owned() } else { checked(&own, rest) };
    let Ok(cursor) = Cursor::parse(&own, &text) else { return false };
    assert!(text.len() <= LONGEST, "{} bytes", text.len());
    for other in ["other", "acm", "acme-", "acme0", "a"] {
        let other = TenantId::new(other).expect("a tenant");
        assert!(Cursor::parse(&other, &text).is_err(), "{text} is a cursor of {other} too");
    }
    let written = cursor.to_string();
    assert_eq!(Cursor::parse(&own, &written).as_ref(), Ok(&cursor), "{text} is written {written}");
    true
}

/// What the gateway would write, were the stream there.
fn checked(tenant: &TenantId, body: &[u8]) -> String {
    let digest = Sha256::new().chain_update(tenant.as_str()).chain_update([0]).chain_update(body).finalize();
    BASE64_URL_SAFE_NO_PAD.encode([&digest[..CHECK_LENGTH], body].concat())
}
