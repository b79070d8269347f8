use proptest::prelude::*;

use super::*;
use crate::session::LoginId;

const OLD: KeyId = KeyId(1);
const NEW: KeyId = KeyId(2);

fn ring(active: KeyId, keys: &[KeyId]) -> KeyRing {
    let key = |id: &KeyId| (*id, [u8::try_from(id.0).unwrap(); 32]);
    KeyRing::new(active, keys.iter().map(key).collect()).unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn login(seed: u8) -> LoginId {
    LoginId::from_random([seed; 20])
}

#[test]
fn a_blob_opens_only_in_its_own_place() {
    let ring = ring(OLD, &[OLD]);
    let (acme, other, first, second) = (tenant("acme"), tenant("other"), login(1), login(2));
    let place = Place { tenant: &acme, item: first.as_str(), blob: "secret", format: 1 };
    let blob = ring.seal(&place, b"hush").unwrap();

    assert_eq!(ring.open(&place, &blob).unwrap().as_slice(), b"hush");
    for elsewhere in [
        Place { tenant: &other, ..place },
        Place { item: second.as_str(), ..place },
        Place { blob: "terms", ..place },
        Place { format: 2, ..place },
    ] {
        assert_eq!(ring.open(&elsewhere, &blob), Err(SealError::Broken), "{elsewhere:?}");
    }
}

#[test]
fn an_old_key_opens_what_the_new_one_no_longer_seals() {
    let (acme, first) = (tenant("acme"), login(1));
    let place = Place { tenant: &acme, item: first.as_str(), blob: "secret", format: 1 };
    let before = ring(OLD, &[OLD]);
    let after = ring(NEW, &[OLD, NEW]);
    let old_blob = before.seal(&place, b"hush").unwrap();
    let new_blob = after.seal(&place, b"hush").unwrap();

    assert_eq!(after.open(&place, &old_blob).unwrap().as_slice(), b"hush");
    assert_eq!(before.open(&place, &new_blob), Err(SealError::UnknownKey));
}

#[test]
fn keys_that_make_no_ring_are_refused() {
    let key = [7; 32];
    let missing = KeyRing::new(NEW, vec![(OLD, key)]);
    let twice = KeyRing::new(OLD, vec![(OLD, key), (OLD, key)]);
    assert_eq!(missing.err(), Some(InvalidKeyRing::NoActiveKey(NEW)));
    assert_eq!(twice.err(), Some(InvalidKeyRing::DuplicateKey(OLD)));
}

#[test]
fn a_ring_prints_no_key() {
    let ring = KeyRing::new(OLD, vec![(OLD, [0xAB; 32])]).unwrap();
    assert_eq!(format!("{ring:?}"), "KeyRing { active: 1, ids: [1], .. }");
}

proptest! {
    #[test]
    fn whatever_is_sealed_opens_again(plaintext: Vec<u8>, seed: u8) {
        let (acme, login) = (tenant("acme"), login(seed));
        let place = Place { tenant: &acme, item: login.as_str(), blob: "terms", format: 1 };
        let ring = ring(OLD, &[OLD]);
        let blob = ring.seal(&place, &plaintext).unwrap();
        prop_assert_eq!(ring.open(&place, &blob).unwrap().to_vec(), plaintext);
    }

    #[test]
    fn a_changed_byte_is_noticed(plaintext: Vec<u8>, at: prop::sample::Index, flip in 1_u8..) {
        let (acme, login) = (tenant("acme"), login(1));
        let place = Place { tenant: &acme, item: login.as_str(), blob: "terms", format: 1 };
        let ring = ring(OLD, &[OLD]);
        let mut blob = ring.seal(&place, &plaintext).unwrap();
        let at = at.index(blob.len());
        blob[at] ^= flip;
        prop_assert!(ring.open(&place, &blob).is_err());
    }

    #[test]
    fn noise_is_no_blob(noise: Vec<u8>) {
        let (acme, login) = (tenant("acme"), login(1));
        let place = Place { tenant: &acme, item: login.as_str(), blob: "terms", format: 1 };
        prop_assert!(ring(OLD, &[OLD]).open(&place, &noise).is_err());
    }
}
