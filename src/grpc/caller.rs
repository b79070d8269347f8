//! Who is calling: from what a call shows to a [`Caller`].
//!
//! A client shows an API key as bearer token, the certificate of its connection,
//! or both, and then both must be its own. Whatever is shown must hold: what has
//! ended is refused even beside something that has not. Keys are known by their
//! SHA-256 alone; 256 random bits need no slower hash. The agent is named by the
//! client in metadata of its own. Reads no clock: the present is handed in. What
//! the caller may do is not decided here. Called by [`super::service`].

mod certificate;

use std::collections::HashMap;
use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use super::status::CallError;
use crate::config::{ApiKey, ApiKeyHash, CertificateName, ClientKey};
use crate::logins::Caller;
use crate::session::AgentId;
use crate::timestamp::Timestamp;

pub use certificate::Authorities;
pub(super) use certificate::{Peer, handshake_verifier};

const AGENT_METADATA: &str = "ciba-agent-id";

/// A client that may call.
pub struct Enrolment {
    /// What a call of this client is taken for; its `agent` is empty.
    pub caller: Caller,
    /// The keys that it may show; several while one replaces the other.
    pub api_keys: Vec<ClientKey>,
    /// What its certificates are known by.
    pub certificates: Vec<CertificateName>,
    /// Who must have signed them; `None`: certificates prove nothing.
    pub authorities: Option<Arc<Authorities>>,
}

/// Every client that may call, by what it may show.
#[derive(Default)]
pub struct Callers {
    keys: HashMap<ApiKeyHash, Key>,
    certificates: HashMap<CertificateName, Vec<Certificate>>,
}

struct Key {
    caller: Arc<Caller>,
    not_after: Option<Timestamp>,
}

struct Certificate {
    caller: Arc<Caller>,
    authorities: Arc<Authorities>,
}

/// Who is calling, and until when what was shown proves it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proven {
    pub(super) caller: Caller,
    /// `None`: as long as the gateway runs.
    pub(super) until: Option<Timestamp>,
}

impl Callers {
    /// No key is in two enrolments.
    #[must_use]
    pub fn new(enrolments: impl IntoIterator<Item = Enrolment>) -> Self {
        let mut callers = Self::default();
        for Enrolment { caller, api_keys, certificates, authorities } in enrolments {
            let caller = Arc::new(caller);
            for ClientKey { hash, not_after, .. } in api_keys {
                callers.keys.insert(hash, Key { caller: Arc::clone(&caller), not_after });
            }
            let Some(authorities) = authorities else { continue };
            for name in certificates {
                let (caller, authorities) = (Arc::clone(&caller), Arc::clone(&authorities));
                callers.certificates.entry(name).or_default().push(Certificate { caller, authorities });
            }
        }
        callers
    }

    /// The caller whom `metadata` and the connection's certificate prove `now`, and
    /// the agent that the metadata names.
    pub(super) fn identify(
        &self,
        metadata: &MetadataMap,
        peer: Option<&Peer>,
        now: Timestamp,
    ) -> Result<Proven, CallError> {
        let key = metadata.get("authorization").map(|header| self.key(header, now)).transpose()?;
        let certificate = peer.map(|peer| self.certificate(peer, now)).transpose()?;
        let (caller, until) = match (key, certificate) {
            (None, None) => return Err(CallError::CredentialMissing),
            (None, Some((None, _))) => return Err(CallError::CredentialInvalid),
            (None, Some((Some(caller), until))) => (caller, Some(until)),
            (Some((caller, until)), None) => (caller, until),
            (Some((caller, key_until)), Some((Some(other), until))) if Arc::ptr_eq(caller, other) => {
                (caller, Some(key_until.map_or(until, |key_until| key_until.min(until))))
            }
            (Some(_), Some(_)) => return Err(CallError::CredentialMismatch),
        };
        Ok(Proven { caller: Caller { agent: agent(metadata)?, ..Caller::clone(caller) }, until })
    }

    /// The client that the key is of, and when it ends.
    fn key(
        &self,
        header: &MetadataValue<Ascii>,
        now: Timestamp,
    ) -> Result<(&Arc<Caller>, Option<Timestamp>), CallError> {
        let header = header.to_str().map_err(|_| CallError::CredentialInvalid)?;
        let (scheme, key) = header.split_once(' ').ok_or(CallError::CredentialInvalid)?;
        let key = ApiKey::parse(key.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"));
        let hash = key.ok_or(CallError::CredentialInvalid)?.hash();
        let Key { caller, not_after } = self.keys.get(&hash).ok_or(CallError::CredentialInvalid)?;
        if has_ended(*not_after, now) {
            return Err(CallError::CredentialExpired);
        }
        Ok((caller, *not_after))
    }

    /// The one client that the certificate is of, if it is of one, and when it ends.
    fn certificate(&self, peer: &Peer, now: Timestamp) -> Result<(Option<&Arc<Caller>>, Timestamp), CallError> {
        if has_ended(Some(peer.not_after()), now) {
            return Err(CallError::CredentialExpired);
        }
        let known = peer.names().iter().filter_map(|name| self.certificates.get(name)).flatten();
        let mut callers = known.filter(|known| peer.comes_from(&known.authorities, now)).map(|known| &known.caller);
        let first = callers.next();
        // Whoever may be two clients is neither.
        let is_one = callers.all(|other| first.is_some_and(|first| Arc::ptr_eq(first, other)));
        Ok((first.filter(|_| is_one), peer.not_after()))
    }
}

fn has_ended(not_after: Option<Timestamp>, now: Timestamp) -> bool {
    not_after.is_some_and(|end| now >= end)
}

fn agent(metadata: &MetadataMap) -> Result<Option<AgentId>, CallError> {
    let Some(value) = metadata.get(AGENT_METADATA) else {
        return Ok(None);
    };
    let agent = value.to_str().ok().and_then(|text| AgentId::new(text).ok());
    agent.map(Some).ok_or_else(|| {
        CallError::field("metadata ciba-agent-id", "must be 1 to 64 of letters, digits and - _ . : @ / + =")
    })
}

#[cfg(test)]
mod tests;
