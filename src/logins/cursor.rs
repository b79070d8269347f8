//! Where a reader is in a tenant's stream, as a text that callers keep.
//!
//! Opaque to callers. It names its tenant by a digest, so that a cursor of another
//! tenant, or one that was cut or changed, is known for what it is.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::session::TenantId;
use crate::store::Position;

const CHECK_LENGTH: usize = 6;
/// Longer than any cursor.
const MAX_LENGTH: usize = 200;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    tenant: TenantId,
    position: Position,
}

/// Not a cursor of this tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a cursor that WatchLogins gave to this tenant, whole and unchanged")]
pub struct InvalidCursor;

impl Cursor {
    pub(super) const fn new(tenant: TenantId, position: Position) -> Self {
        Self { tenant, position }
    }

    /// Reads what a client of `tenant` kept.
    ///
    /// # Errors
    /// When it is not a cursor of that tenant.
    pub fn parse(tenant: &TenantId, text: &str) -> Result<Self, InvalidCursor> {
        let bytes = Some(text).filter(|text| text.len() <= MAX_LENGTH);
        let bytes = bytes.and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok()).ok_or(InvalidCursor)?;
        let (check, body) = bytes.split_first_chunk::<CHECK_LENGTH>().ok_or(InvalidCursor)?;
        if *check != digest(tenant, body) {
            return Err(InvalidCursor);
        }
        let body = std::str::from_utf8(body).map_err(|_| InvalidCursor)?;
        let (number, epoch) = body.split_once('.').ok_or(InvalidCursor)?;
        let number = number.parse().map_err(|_| InvalidCursor)?;
        Ok(Self::new(tenant.clone(), Position { epoch: epoch.to_owned(), number }))
    }

    pub(super) fn into_position(self) -> Position {
        self.position
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = format!("{}.{}", self.position.number, self.position.epoch);
        let check = digest(&self.tenant, body.as_bytes());
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode([&check[..], body.as_bytes()].concat()))
    }
}

fn digest(tenant: &TenantId, body: &[u8]) -> [u8; CHECK_LENGTH] {
    let hash: [u8; 32] =
        Sha256::new().chain_update(tenant.as_str()).chain_update([0]).chain_update(body).finalize().into();
    let mut check = [0; CHECK_LENGTH];
    check.copy_from_slice(&hash[..CHECK_LENGTH]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn cursor() -> Cursor {
        Cursor::new(tenant("acme"), Position { epoch: "2zOQf8tYVb4Y1x3m".to_owned(), number: 4711 })
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        assert_eq!(Cursor::parse(&tenant("acme"), &cursor().to_string()), Ok(cursor()));
    }

    #[test]
    fn a_cursor_belongs_to_one_tenant() {
        assert_eq!(Cursor::parse(&tenant("other"), &cursor().to_string()), Err(InvalidCursor));
    }

    #[test]
    fn no_part_of_a_cursor_can_be_cut_or_changed() {
        let text = cursor().to_string();
        for at in 0..text.len() {
            assert_eq!(Cursor::parse(&tenant("acme"), &text[..at]), Err(InvalidCursor), "cut at {at}");
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert_ne!(Cursor::parse(&tenant("acme"), &changed), Ok(cursor()), "changed at {at}");
        }
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in ["", ".", "ÆØÅ", "AAAA", &"A".repeat(100_000)] {
            assert_eq!(Cursor::parse(&tenant("acme"), text), Err(InvalidCursor));
        }
    }
}
