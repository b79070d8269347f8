use super::*;

fn hash(tenant: &str) -> KeyedHash {
    HashKeys::new([7; 32]).for_tenant(&TenantId::new(tenant).unwrap())
}

#[test]
fn tenant_keys_are_those_of_hkdf() {
    let mut expected = [0_u8; 32];
    let info = [TENANT_INFO.as_bytes(), b"acme"].concat();
    Hkdf::<Sha256>::new(None, &[7; 32]).expand(&info, &mut expected).unwrap();
    assert_eq!(*hash("acme").0, expected);
}

#[test]
fn digests_are_those_of_hmac() {
    let key = *hash("acme").0;
    let mut expected = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    expected.update(b"\0\0\0\0\0\0\0\x06number\0\0\0\0\0\0\0\x0a4791234567");
    let expected = BASE64_URL_SAFE_NO_PAD.encode(&expected.finalize().into_bytes()[..DIGEST_LENGTH]);
    assert_eq!(hash("acme").digest("number", &[b"4791234567"]), expected);
}

/// SR28.
#[test]
fn tenants_purposes_and_borders_of_parts_make_a_difference() {
    let acme = hash("acme");
    let all = [
        acme.digest("number", &[b"ab", b"c"]),
        acme.digest("number", &[b"a", b"bc"]),
        acme.digest("number", &[b"abc"]),
        acme.digest("code", &[b"abc"]),
        hash("other").digest("number", &[b"abc"]),
    ];
    for (at, digest) in all.iter().enumerate() {
        assert_eq!(digest.len(), 22);
        assert!(!all[..at].contains(digest));
    }
}
