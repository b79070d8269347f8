//! Certificates of clients: what one says, and whether an authority stands for it.
//!
//! The handshake takes a certificate of any authority that somebody trusts; which
//! client it is of is decided call by call, by that client's own authorities.
//! Revocation lists are not read: a certificate that must not count any more is
//! taken out of the configuration, or lives a short time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::listener::TlsError;
use crate::config::{CertificateName, CertificatePolicy, Certificates, ClientCertificates};
use crate::timestamp::Timestamp;

/// Who signs the certificates of one client or of many.
pub struct Authorities(Arc<dyn ClientCertVerifier>);

impl Authorities {
    /// The authorities with those certificates.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn new(certificates: &Certificates) -> Result<Self, TlsError> {
        let roots = Arc::new(roots(certificates)?);
        Ok(Self(WebPkiClientVerifier::builder(roots).build()?))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities")
    }
}

fn roots(certificates: &Certificates) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(certificates.pem().as_bytes()) {
        let certificate = certificate.map_err(|source| TlsError::Pem { what: "client authority", source })?;
        roots.add(certificate).map_err(TlsError::Authority)?;
    }
    Ok(roots)
}

/// Takes what any authority that somebody trusts has signed. Names none of them:
/// whoever connects would learn whose systems call here.
pub(in crate::grpc) fn handshake_verifier(
    settings: &ClientCertificates,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let builder = WebPkiClientVerifier::builder(Arc::new(roots(&settings.accepted)?)).clear_root_hint_subjects();
    let builder = match settings.policy {
        CertificatePolicy::Optional => builder.allow_unauthenticated(),
        CertificatePolicy::Required => builder,
    };
    Ok(builder.build()?)
}

/// The certificate that a connection was made with; its key has been proven.
/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(in crate::grpc) struct Peer(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// Its own certificate first.
    chain: Vec<CertificateDer<'static>>,
    names: Vec<CertificateName>,
    not_after: Timestamp,
    /// The authorities that were last found to stand for it: every call of a
    /// connection asks the same.
    known_to: Mutex<Option<Arc<Authorities>>>,
}

impl Peer {
    /// Reads a chain that the handshake has taken; `None` when it cannot be read,
    /// which says nothing good about it.
    pub(in crate::grpc) fn read(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let own = chain.first()?;
        let (_, certificate) = X509Certificate::from_der(own).ok()?;
        let mut names = vec![CertificateName::Sha256(Sha256::digest(own).into())];
        if let Some(alternatives) = certificate.subject_alternative_name().ok()? {
            names.extend(alternatives.value.general_names.iter().filter_map(name));
        }
        names.sort_unstable();
        names.dedup();
        let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
        let not_after = Timestamp::from_millis(seconds.saturating_mul(1000));
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Some(Self(Arc::new(Shown { chain, names, not_after, known_to: Mutex::default() })))
    }

    /// What it may be known by; each once.
    pub(super) fn names(&self) -> &[CertificateName] {
        &self.0.names
    }

    /// When it ends.
    pub(super) fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// Whether one of the authorities has signed it, directly or by others.
    pub(super) fn comes_from(&self, authorities: &Arc<Authorities>, now: Timestamp) -> bool {
        let Shown { chain, known_to, .. } = &*self.0;
        let mut known_to = known_to.lock().unwrap_or_else(PoisonError::into_inner);
        if known_to.as_ref().is_some_and(|known| Arc::ptr_eq(known, authorities)) {
            return true;
        }
        let Some((own, others)) = chain.split_first() else { return false };
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
        let is_signed = authorities.0.verify_client_cert(own, others, now).is_ok();
        if is_signed {
            *known_to = Some(Arc::clone(authorities));
        }
        is_signed
    }
}

/// A name of a kind that clients are known by.
fn name(name: &GeneralName<'_>) -> Option<CertificateName> {
    match name {
        GeneralName::URI(uri) => CertificateName::uri(uri),
        GeneralName::DNSName(dns) => CertificateName::dns(dns),
        _ => None,
    }
}
