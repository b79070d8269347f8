//! Who is calling: from metadata to a [`Caller`].
//!
//! First form: an API key as bearer token. Keys are known by their SHA-256
//! alone; 256 random bits need no slower hash. The agent is named by the client
//! in metadata of its own.

use std::collections::HashMap;

use tonic::metadata::MetadataMap;

use super::status::CallError;
use crate::config::{ApiKey, ApiKeyHash};
use crate::logins::Caller;
use crate::session::AgentId;

const AGENT_METADATA: &str = "ciba-agent-id";

/// Every client that may call, by the hash of its keys.
#[derive(Default)]
pub struct Callers(HashMap<ApiKeyHash, Caller>);

impl Callers {
    /// Callers by their keys' hashes; the callers' `agent` is empty.
    #[must_use]
    pub fn new(callers: impl IntoIterator<Item = (ApiKeyHash, Caller)>) -> Self {
        Self(callers.into_iter().collect())
    }

    /// The caller whose key the metadata holds, and the agent it names.
    pub(super) fn identify(&self, metadata: &MetadataMap) -> Result<Caller, CallError> {
        let header = metadata.get("authorization").ok_or(CallError::CredentialMissing)?;
        let header = header.to_str().map_err(|_| CallError::CredentialInvalid)?;
        let (scheme, key) = header.split_once(' ').ok_or(CallError::CredentialInvalid)?;
        let key = ApiKey::parse(key.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"));
        let hash = key.ok_or(CallError::CredentialInvalid)?.hash();
        let caller = self.0.get(&hash).ok_or(CallError::CredentialInvalid)?;
        Ok(Caller { agent: agent(metadata)?, ..caller.clone() })
    }
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
