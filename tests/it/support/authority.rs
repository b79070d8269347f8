//! A certificate authority, and what it signs.

use std::time::Duration;

use ciba_gateway::timestamp::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd, string::Ia5String,
};
use tonic::transport::{Certificate, Identity};

/// An authority of its own key.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// For whoever trusts it.
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.pem())
    }

    /// For a server on this machine.
    pub(crate) fn signs_server(&self) -> Signed {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.sign(CertificateParams::new(names).expect("parameters"))
    }

    /// For a client that this URI names, until `not_after` where that is given.
    pub(crate) fn signs_client(&self, uri: &str, not_after: Option<Timestamp>) -> Signed {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(uri).expect("ASCII"))];
        if let Some(not_after) = not_after {
            params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(not_after.as_secs());
        }
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signed").pem();
        Signed { certificate, key: key.serialize_pem() }
    }
}

impl Signed {
    /// For whoever proves himself by it.
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}
