//! Secrets and other files that the configuration points to.
//!
//! All of them are read when the configuration is loaded, and loading it again
//! reads them again: that is how secrets are renewed without a restart.

use std::fmt;
use std::io;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::section::{Section, Table};

/// A symmetric key of 256 bits. Prints redacted, and leaves no copy in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// The key made of those bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the form that configuration has: standard base64 with padding.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text).ok()?);
        let mut key = Self::new([0; 32]);
        (bytes.len() == key.0.len()).then(|| key.0.copy_from_slice(&bytes))?;
        Some(key)
    }

    /// The bytes, for a cipher or keyed hash.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// One or more certificates in PEM form; checked to be that.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificates(String);

impl Certificates {
    pub(crate) fn new(pem: String) -> Option<Self> {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().ok()?;
        (!certificates.is_empty()).then_some(Self(pem))
    }

    /// The PEM text.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }

    pub(super) fn extend<'c>(&mut self, others: impl Iterator<Item = &'c Self>) {
        for other in others {
            self.0.push('\n');
            self.0.push_str(&other.0);
        }
    }

    /// Whether whatever they sign can be verified.
    fn are_authorities(&self) -> bool {
        let mut roots = RootCertStore::empty();
        CertificateDer::pem_slice_iter(self.0.as_bytes()).flatten().all(|certificate| roots.add(certificate).is_ok())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates(…)")
    }
}

/// `{ file = "…" }` where a secret may stand by itself.
struct InFile(SecretString);

impl Table for InFile {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        section.need("file", "the secret stands by itself or in a file");
        section.file("file").map(Self)
    }
}

/// A secret and the setting that gave it, which is at fault when it is wrong.
pub(super) struct Given<'k> {
    pub(super) key: &'k str,
    pub(super) secret: SecretString,
}

impl Section<'_> {
    /// A secret that stands under `key` or in the file that `file_key` names.
    /// One that comes from the environment replaces both.
    pub(super) fn secret<'k>(&mut self, key: &'k str, file_key: &'k str) -> Option<Given<'k>> {
        self.one_of(key, file_key);
        let in_file = self.file(file_key).map(|secret| Given { key: file_key, secret });
        self.optional::<String>(key).map(|text| Given { key, secret: text.into() }).or(in_file)
    }

    /// Leaves one of a setting and the setting that names its file.
    pub(super) fn one_of(&mut self, key: &str, file_key: &str) {
        if self.has(key) && self.has(file_key) {
            match (self.is_from_environment(key), self.is_from_environment(file_key)) {
                (true, false) => self.overrule(file_key),
                (false, true) => self.overrule(key),
                (true, true) | (false, false) => {
                    self.overrule(file_key);
                    self.wrong(file_key, format_args!("stands beside {key}; keep one of them"));
                }
            }
        }
    }

    /// As [`Section::secret`], where there must be one.
    pub(super) fn required_secret<'k>(&mut self, key: &'k str, file_key: &'k str) -> Option<Given<'k>> {
        if !self.has(file_key) {
            self.need(key, format_args!("give {key} or {file_key}"));
        }
        self.secret(key, file_key)
    }

    /// A secret that stands under `key`, or as `{ file = "…" }`.
    pub(super) fn secret_or_file<'k>(&mut self, key: &'k str) -> Option<Given<'k>> {
        let secret = if self.is_table(key) {
            self.table::<InFile>(key).map(|InFile(secret)| secret)
        } else {
            self.optional::<String>(key).map(SecretString::from)
        };
        secret.map(|secret| Given { key, secret })
    }

    /// The text of the file that `key` names, without the line ends at its end.
    pub(super) fn file(&mut self, key: &str) -> Option<SecretString> {
        let path: PathBuf = self.optional(key)?;
        match self.reading().file(&path) {
            Ok(text) if text.trim().is_empty() => self.wrong(key, "names a file that is empty"),
            Ok(text) => return Some(text.trim_end_matches(['\r', '\n']).into()),
            Err(error) => self.wrong(key, unreadable(&error)),
        }
        None
    }

    /// The certificates in the file that `key` names.
    pub(super) fn certificates(&mut self, key: &str) -> Option<Certificates> {
        let pem = self.file(key)?;
        let certificates = Certificates::new(pem.expose_secret().to_owned());
        if certificates.is_none() {
            self.wrong(key, "names a file without certificates in PEM form");
        }
        certificates
    }

    /// The certificate authorities in the file that `key` names.
    pub(super) fn authorities(&mut self, key: &str) -> Option<Certificates> {
        let certificates = self.certificates(key);
        self.check(
            key,
            certificates.as_ref(),
            |found| found.are_authorities(),
            "names a file with a broken certificate",
        );
        certificates
    }

    /// The private key, as PEM, in the file that `key` names.
    pub(super) fn private_key(&mut self, key: &str) -> Option<SecretString> {
        let pem = self.file(key)?;
        if PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()).is_err() {
            self.wrong(key, "names a file without a private key in PEM form");
        }
        Some(pem)
    }

    /// The secret as a [`SecretKey`].
    pub(super) fn secret_key(&self, Given { key, secret }: &Given<'_>) -> Option<SecretKey> {
        let secret_key = SecretKey::from_base64(secret.expose_secret());
        if secret_key.is_none() {
            self.wrong(key, "must be 32 random bytes in base64, as `openssl rand -base64 32` gives them");
        }
        secret_key
    }
}

/// Not the path: whoever mistook one setting for the other wrote the secret there.
pub(super) fn unreadable(error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "it does not exist",
        io::ErrorKind::PermissionDenied => "reading it is not permitted",
        io::ErrorKind::InvalidData => "it is not UTF-8 text",
        io::ErrorKind::IsADirectory => "it is a folder",
        _ => "reading it failed",
    };
    format!("names a file that cannot be read: {why}; relative paths start at the configuration file's folder")
}
