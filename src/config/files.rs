//! The files that a configuration was read from, and what they said then.
//!
//! Whoever wants to know whether to read again compares with what they say
//! [now](Files::now). Compared is the content: secrets that are mounted into a
//! container change by a link far up the path, editors rename, and a file may be
//! written twice within one tick of its clock.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Each file with the SHA-256 of what it said; `None` where it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Option<[u8; 32]>>);

impl Files {
    /// Reads one more file. Of one that is read twice the first reading counts.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Zeroizing<String>> {
        let content = std::fs::read(path).map(Zeroizing::new);
        self.0.entry(path.to_owned()).or_insert_with(|| content.as_ref().ok().map(digest));
        let mut content = content?;
        let text = String::from_utf8(std::mem::take(&mut *content));
        text.map(Zeroizing::new).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// The same files with what they say now. What is no plain file, such as a pipe,
    /// cannot be read a second time and counts as unchanged.
    #[must_use]
    pub fn now(&self) -> Self {
        let look = |(path, then): (&PathBuf, &Option<[u8; 32]>)| {
            let now = match std::fs::metadata(path) {
                Ok(found) if !found.is_file() => *then,
                Ok(_) => std::fs::read(path).map(Zeroizing::new).ok().as_ref().map(digest),
                Err(_) => None,
            };
            (path.clone(), now)
        };
        Self(self.0.iter().map(look).collect())
    }
}

fn digest(content: &Zeroizing<Vec<u8>>) -> [u8; 32] {
    Sha256::digest(content.as_slice()).into()
}
