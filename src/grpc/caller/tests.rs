//! Every pair of what a call may show, and certificates of right and wrong origin.

use std::time::Duration;

use futures_util::FutureExt;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType, date_time_ymd, string,
};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

use super::*;
use crate::config::Certificates;
use crate::session::{ClientId, TenantId};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SOON: Timestamp = Timestamp::from_millis(1_800_000_060_000);
const LATER: Timestamp = Timestamp::from_millis(1_800_000_120_000);
const DESK: &str = "spiffe://bank.example/desk";
const TILL: &str = "spiffe://bank.example/till";

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority_params() -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    (params, KeyPair::generate().unwrap())
}

fn issuer() -> Issuer {
    let (params, key) = authority_params();
    CertifiedIssuer::self_signed(params, key).unwrap()
}

fn trusting(issuer: &Issuer) -> Arc<Authorities> {
    // A second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Arc::new(Authorities::new(&Certificates::new(issuer.pem()).unwrap()).unwrap())
}

fn uri(uri: &str) -> SanType {
    SanType::URI(string::Ia5String::try_from(uri).unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(string::Ia5String::try_from(name).unwrap())
}

/// What a certificate with these names, signed by `issuer`, is in DER.
fn signed(issuer: &Issuer, names: &[SanType], not_after: Timestamp) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = names.to_vec();
    params.distinguished_name.push(DnType::CommonName, DESK);
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(not_after.as_secs());
    params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
}

fn peer(issuer: &Issuer, names: &[SanType]) -> Peer {
    Peer::read(&[signed(issuer, names, LATER)]).unwrap()
}

fn caller(tenant: &str, client: &str) -> Caller {
    Caller {
        tenant: TenantId::new(tenant).unwrap(),
        client: ClientId::new(client).unwrap(),
        channels: [].into(),
        agent: None,
        must_prove_agent: false,
        roles: [].into(),
    }
}

fn key(byte: u8, not_after: Option<Timestamp>) -> ClientKey {
    ClientKey { name: None, hash: ApiKey::from_random([byte; 32]).hash(), not_after }
}

fn enrolled(client: &str, api_keys: Vec<ClientKey>, name: &str, authorities: &Arc<Authorities>) -> Enrolment {
    let (tenant, client) = client.split_once('/').unwrap();
    Enrolment {
        api_keys,
        certificates: vec![CertificateName::uri(name).or_else(|| CertificateName::dns(name)).unwrap()],
        authorities: Some(Arc::clone(authorities)),
        ..Enrolment::new(caller(tenant, client))
    }
}

fn showing(byte: u8) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    let bearer = format!("Bearer {}", ApiKey::from_random([byte; 32]).expose());
    metadata.insert("authorization", bearer.parse().unwrap());
    metadata
}

/// Whom the call is taken for and until when, or the reason why for nobody.
fn verdict(
    callers: &Callers,
    metadata: &MetadataMap,
    peer: Option<&Peer>,
    now: Timestamp,
) -> Result<(String, Option<Timestamp>), &'static str> {
    let identified = callers.identify(metadata, peer, None, now).now_or_never().expect("nothing to wait for");
    match identified {
        Ok(Proven { caller, until, .. }) => Ok((format!("{}/{}", caller.tenant, caller.client), until)),
        Err(error) => Err(error.code_and_reason().1),
    }
}

/// SR2: several keys of one client count at once, each before its end.
#[test]
fn keys_overlap_and_end() {
    let authorities = trusting(&issuer());
    let callers = Callers::new([enrolled("bank/desk", vec![key(1, Some(SOON)), key(2, None)], DESK, &authorities)]);
    let desk = |until| Ok(("bank/desk".to_owned(), until));
    let justly = Timestamp::from_millis(SOON.as_millis() - 1);
    for now in [NOW, justly] {
        assert_eq!(verdict(&callers, &showing(1), None, now), desk(Some(SOON)));
    }
    for now in [SOON, LATER] {
        assert_eq!(verdict(&callers, &showing(1), None, now), Err("CREDENTIAL_EXPIRED"));
        assert_eq!(verdict(&callers, &showing(2), None, now), desk(None));
    }
    assert_eq!(verdict(&callers, &showing(3), None, NOW), Err("CREDENTIAL_INVALID"));
    assert_eq!(verdict(&callers, &MetadataMap::new(), None, NOW), Err("CREDENTIAL_MISSING"));
}

/// SR2, SR33: by URI, DNS name or fingerprint; never by the subject's name.
#[test]
fn a_certificate_is_known_by_each_kind_of_name() {
    let issuer = issuer();
    let authorities = trusting(&issuer);
    let other = signed(&issuer, &[], LATER);
    let mut by_digest = enrolled("bank/box", Vec::new(), "box.bank.example", &authorities);
    by_digest.certificates = vec![CertificateName::Sha256(Sha256::digest(&other).into())];
    let callers = Callers::new([
        enrolled("bank/desk", Vec::new(), DESK, &authorities),
        enrolled("bank/till", Vec::new(), "till.bank.example", &authorities),
        by_digest,
    ]);
    let none = MetadataMap::new();
    for (peer, client) in [
        (peer(&issuer, &[uri(DESK)]), Ok("bank/desk")),
        (peer(&issuer, &[dns("elsewhere.example"), uri(DESK), uri(DESK)]), Ok("bank/desk")),
        (peer(&issuer, &[dns("TILL.bank.example")]), Ok("bank/till")),
        (Peer::read(&[other]).unwrap(), Ok("bank/box")),
        (peer(&issuer, &[uri("SPIFFE://bank.example/desk")]), Err("CREDENTIAL_INVALID")),
        (peer(&issuer, &[uri("spiffe://bank.example/desk/")]), Err("CREDENTIAL_INVALID")),
        (peer(&issuer, &[dns("*.bank.example")]), Err("CREDENTIAL_INVALID")),
        (peer(&issuer, &[]), Err("CREDENTIAL_INVALID")),
        (peer(&issuer, &[uri(DESK), dns("till.bank.example")]), Err("CREDENTIAL_INVALID")),
    ] {
        let expected = client.map(|client| (client.to_owned(), Some(LATER)));
        assert_eq!(verdict(&callers, &none, Some(&peer), NOW), expected, "{:?}", peer.names());
    }
}

/// SR2: each tenant's certificates come from its own authorities, whatever they say.
#[test]
fn a_certificate_of_another_tenants_authority_is_nobodys() {
    let (shared, own) = (issuer(), issuer());
    let (by_shared, by_own) = (trusting(&shared), trusting(&own));
    let callers = Callers::new([
        enrolled("bank/desk", Vec::new(), DESK, &by_shared),
        enrolled("tv/till", Vec::new(), TILL, &by_own),
        // Of the same name, each with authorities of its own.
        enrolled("bank/box", Vec::new(), "box.example", &by_shared),
        enrolled("tv/box", Vec::new(), "box.example", &by_own),
    ]);
    let none = MetadataMap::new();
    for (peer, client) in [
        (peer(&shared, &[uri(DESK)]), Ok("bank/desk")),
        (peer(&own, &[uri(DESK)]), Err("CREDENTIAL_INVALID")),
        (peer(&own, &[uri(TILL)]), Ok("tv/till")),
        (peer(&shared, &[uri(TILL)]), Err("CREDENTIAL_INVALID")),
        (peer(&issuer(), &[uri(DESK)]), Err("CREDENTIAL_INVALID")),
        (peer(&shared, &[dns("box.example")]), Ok("bank/box")),
        (peer(&own, &[dns("box.example")]), Ok("tv/box")),
    ] {
        // The second call of a connection finds what the first one did.
        for _ in 0..2 {
            let expected = client.map(|client| (client.to_owned(), Some(LATER)));
            assert_eq!(verdict(&callers, &none, Some(&peer), NOW), expected);
        }
    }
}

/// An authority that two tenants trust: whoever may be two clients is neither.
#[test]
fn a_certificate_of_two_clients_is_neithers() {
    let issuer = issuer();
    let (one, other) = (trusting(&issuer), trusting(&issuer));
    let callers =
        Callers::new([enrolled("bank/desk", Vec::new(), DESK, &one), enrolled("tv/desk", Vec::new(), DESK, &other)]);
    let peer = peer(&issuer, &[uri(DESK)]);
    assert_eq!(verdict(&callers, &MetadataMap::new(), Some(&peer), NOW), Err("CREDENTIAL_INVALID"));
}

/// SR2: whatever is shown must hold, and be of one client; the earlier end counts.
#[test]
fn a_key_and_a_certificate_are_those_of_one_client() {
    let issuer = issuer();
    let authorities = trusting(&issuer);
    let callers = Callers::new([
        enrolled("bank/desk", vec![key(1, None), key(2, Some(SOON))], DESK, &authorities),
        enrolled("bank/till", vec![key(3, None)], TILL, &authorities),
    ]);
    let desk = peer(&issuer, &[uri(DESK)]);
    let nobody = peer(&issuer, &[uri("spiffe://bank.example/nobody")]);
    let mut garbage = MetadataMap::new();
    garbage.insert("authorization", "Bearer cgk_short".parse().unwrap());
    for (metadata, peer, now, expected) in [
        (showing(1), &desk, NOW, Ok(LATER)),
        (showing(2), &desk, NOW, Ok(SOON)),
        (showing(2), &desk, SOON, Err("CREDENTIAL_EXPIRED")),
        (showing(1), &desk, LATER, Err("CREDENTIAL_EXPIRED")),
        (showing(3), &desk, NOW, Err("CREDENTIAL_MISMATCH")),
        (showing(1), &nobody, NOW, Err("CREDENTIAL_MISMATCH")),
        (showing(9), &desk, NOW, Err("CREDENTIAL_INVALID")),
        (garbage, &desk, NOW, Err("CREDENTIAL_INVALID")),
        (MetadataMap::new(), &desk, LATER, Err("CREDENTIAL_EXPIRED")),
    ] {
        let expected = expected.map(|until| ("bank/desk".to_owned(), Some(until)));
        assert_eq!(verdict(&callers, &metadata, Some(peer), now), expected);
    }
}

#[test]
fn a_certificate_may_come_from_below_the_authority() {
    let issuer = issuer();
    let (params, key) = authority_params();
    let below = CertifiedIssuer::signed_by(params, key, &issuer).unwrap();
    let callers = Callers::new([enrolled("bank/desk", Vec::new(), DESK, &trusting(&issuer))]);
    let own = signed(&below, &[uri(DESK)], LATER);
    let none = MetadataMap::new();
    let whole = Peer::read(&[own.clone(), below.der().clone()]).unwrap();
    assert_eq!(verdict(&callers, &none, Some(&whole), NOW), Ok(("bank/desk".into(), Some(LATER))));
    let alone = Peer::read(&[own]).unwrap();
    assert_eq!(verdict(&callers, &none, Some(&alone), NOW), Err("CREDENTIAL_INVALID"));
}

#[test]
fn what_is_no_certificate_is_not_read() {
    assert!(Peer::read(&[]).is_none());
    assert!(Peer::read(&[CertificateDer::from(vec![0x30, 0x03, 1, 2, 3])]).is_none());
}
