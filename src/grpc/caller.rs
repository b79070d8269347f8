//! Who is calling: from what a call shows to a [`Caller`].
//!
//! A client shows an API key or a token of its tenant's identity provider as bearer
//! token, the certificate of its connection, or both, and then both must be its own.
//! Whatever is shown must hold: what has ended is refused even beside something that
//! has not. Keys are known by their SHA-256 alone; 256 random bits need no slower
//! hash. The agent is named by the client in metadata of its own, or proven by a token
//! of its own or by the one that proves the client. Reads no clock: the present is
//! handed in. What the caller may do to a login is not decided here; which calls it
//! may make and from where is, by [`Proven::admits`]. Called by [`super::grant`].

mod certificate;
mod network;
mod permissions;
mod token;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tonic::metadata::MetadataMap;

use super::status::CallError;
use crate::config::{ApiKey, ApiKeyHash, CallGroup, CertificateName, ClientKey, Proxies};
use crate::logins::{self, Caller, CallingAgent};
use crate::session::AgentId;
use crate::timestamp::Timestamp;

pub use certificate::Authorities;
pub(super) use certificate::{Peer, handshake_verifier};
pub(super) use permissions::Call;
pub use token::TokenClients;
use token::Tokens;

const AGENT_METADATA: &str = "ciba-agent-id";
const AGENT_TOKEN_METADATA: &str = "ciba-agent-token";

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
    /// Whose tokens may prove it or its agents; `None`: none do.
    pub tokens: Option<TokenClients>,
    /// What it may call; `None` for everything.
    pub calls: Option<BTreeSet<CallGroup>>,
    /// Where it calls from: from within each of these, as far as they are not empty.
    pub networks: Vec<Vec<IpNet>>,
}

impl Enrolment {
    /// A client that may call everything from anywhere, and can prove itself by
    /// nothing yet.
    #[must_use]
    pub const fn new(caller: Caller) -> Self {
        Self {
            caller,
            api_keys: Vec::new(),
            certificates: Vec::new(),
            authorities: None,
            tokens: None,
            calls: None,
            networks: Vec::new(),
        }
    }
}

/// Every client that may call, by what it may show.
#[derive(Default)]
pub struct Callers {
    keys: HashMap<ApiKeyHash, Key>,
    certificates: HashMap<CertificateName, Vec<Certificate>>,
    tokens: Tokens,
    proxies: Proxies,
}

/// One client of one tenant.
struct Client {
    caller: Caller,
    tokens: Option<TokenClients>,
    calls: Option<BTreeSet<CallGroup>>,
    networks: Vec<Vec<IpNet>>,
}

struct Key {
    client: Arc<Client>,
    not_after: Option<Timestamp>,
}

struct Certificate {
    client: Arc<Client>,
    authorities: Arc<Authorities>,
}

/// Whom a credential proves.
struct Shown {
    client: Arc<Client>,
    until: Option<Timestamp>,
    /// What the identity provider says besides, where it is a token.
    agent: Option<AgentId>,
    roles: BTreeSet<logins::Role>,
}

/// Who is calling, and until when what was shown proves it.
pub(super) struct Proven {
    pub(super) caller: Caller,
    /// `None`: as long as the gateway runs.
    pub(super) until: Option<Timestamp>,
    client: Arc<Client>,
    /// Where the call comes from.
    origin: Option<IpAddr>,
}

impl Proven {
    /// Whether such a caller may make that call from there.
    pub(super) fn admits(&self, call: Call) -> Result<(), CallError> {
        let Client { calls, networks, .. } = &*self.client;
        if !networks.iter().all(|networks| network::is_from(networks, self.origin)) {
            return Err(CallError::NetworkNotAllowed);
        }
        if !call.is_among(calls.as_ref()) {
            return Err(CallError::CallNotAllowed);
        }
        let is_unproven = self.caller.agent.as_ref().is_some_and(|agent| !agent.is_proven);
        if self.caller.must_prove_agent && is_unproven {
            return Err(CallError::Logins(logins::Error::AgentNotProven));
        }
        Ok(())
    }
}

impl Callers {
    /// No key is in two enrolments.
    #[must_use]
    pub fn new(enrolments: impl IntoIterator<Item = Enrolment>) -> Self {
        let mut callers = Self::default();
        for Enrolment { caller, api_keys, certificates, authorities, tokens, calls, networks } in enrolments {
            let client = Arc::new(Client { caller, tokens, calls, networks });
            callers.tokens.enrol(&client);
            for ClientKey { hash, not_after, .. } in api_keys {
                callers.keys.insert(hash, Key { client: Arc::clone(&client), not_after });
            }
            let Some(authorities) = authorities else { continue };
            for name in certificates {
                let (client, authorities) = (Arc::clone(&client), Arc::clone(&authorities));
                callers.certificates.entry(name).or_default().push(Certificate { client, authorities });
            }
        }
        callers
    }

    /// The same behind these proxies.
    #[must_use]
    pub fn behind(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// The caller whom `metadata` and the connection's certificate prove `now`, and the
    /// agent that the metadata names or proves. `address` is the connection's other end.
    /// Waits where a token's key has to be fetched, and for nothing else.
    pub(super) async fn identify(
        &self,
        metadata: &MetadataMap,
        peer: Option<&Peer>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Proven, CallError> {
        let bearer = match metadata.get("authorization") {
            None => None,
            Some(_) => Some(self.bearer(metadata, now).await?),
        };
        let certificate = peer.map(|peer| self.certificate(peer, now)).transpose()?;
        let Shown { client, mut until, agent, roles } = match (bearer, certificate) {
            (None, None) => return Err(CallError::CredentialMissing),
            (None, Some((None, _))) => return Err(CallError::CredentialInvalid),
            (None, Some((Some(client), until))) => Shown::plainly(client, Some(until)),
            (Some(shown), None) => shown,
            (Some(shown), Some((Some(other), until))) if Arc::ptr_eq(&shown.client, other) => {
                Shown { until: earlier(shown.until, Some(until)), ..shown }
            }
            (Some(_), Some(_)) => return Err(CallError::CredentialMismatch),
        };
        let mut caller = client.caller.clone();
        caller.roles.extend(roles);
        let mut proven = agent;
        if let Some(token) = text(metadata, AGENT_TOKEN_METADATA)? {
            let stated = self.tokens.agent(&client, token, now).await?;
            if proven.as_ref().is_some_and(|proven| *proven != stated.agent) {
                return Err(CallError::CredentialMismatch);
            }
            caller.roles.extend(stated.roles);
            until = earlier(until, Some(stated.until));
            proven = Some(stated.agent);
        }
        caller.agent = match (proven, named_agent(metadata)?) {
            (Some(id), Some(named)) if id != named => return Err(CallError::CredentialMismatch),
            (Some(id), _) => Some(CallingAgent { id, is_proven: true }),
            (None, named) => named.map(|id| CallingAgent { id, is_proven: false }),
        };
        let origin = network::origin(&self.proxies, address, metadata);
        Ok(Proven { caller, until, client, origin })
    }

    /// Whom the key or token is of, and when it ends.
    async fn bearer(&self, metadata: &MetadataMap, now: Timestamp) -> Result<Shown, CallError> {
        let header = text(metadata, "authorization").map_err(|_| CallError::CredentialInvalid)?.unwrap_or_default();
        let (scheme, shown) = header.split_once(' ').ok_or(CallError::CredentialInvalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(CallError::CredentialInvalid);
        }
        let shown = shown.trim();
        if shown.contains('.') {
            return self.tokens.client(shown, now).await;
        }
        let hash = ApiKey::parse(shown).ok_or(CallError::CredentialInvalid)?.hash();
        let Key { client, not_after } = self.keys.get(&hash).ok_or(CallError::CredentialInvalid)?;
        if has_ended(*not_after, now) {
            return Err(CallError::CredentialExpired);
        }
        Ok(Shown::plainly(client, *not_after))
    }

    /// The one client that the certificate is of, if it is of one, and when it ends.
    fn certificate(&self, peer: &Peer, now: Timestamp) -> Result<(Option<&Arc<Client>>, Timestamp), CallError> {
        if has_ended(Some(peer.not_after()), now) {
            return Err(CallError::CredentialExpired);
        }
        let known = peer.names().iter().filter_map(|name| self.certificates.get(name)).flatten();
        let mut clients = known.filter(|known| peer.comes_from(&known.authorities, now)).map(|known| &known.client);
        let first = clients.next();
        // Whoever may be two clients is neither.
        let is_one = clients.all(|other| first.is_some_and(|first| Arc::ptr_eq(first, other)));
        Ok((first.filter(|_| is_one), peer.not_after()))
    }
}

impl Shown {
    /// By something that says nothing but whose it is.
    fn plainly(client: &Arc<Client>, until: Option<Timestamp>) -> Self {
        Self { client: Arc::clone(client), until, agent: None, roles: BTreeSet::new() }
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

fn has_ended(not_after: Option<Timestamp>, now: Timestamp) -> bool {
    not_after.is_some_and(|end| now >= end)
}

/// The only value of that name; two of them might be read differently by others.
fn text<'m>(metadata: &'m MetadataMap, name: &'static str) -> Result<Option<&'m str>, CallError> {
    let mut values = metadata.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let value = value.to_str().ok().filter(|_| values.next().is_none());
    value.map(Some).ok_or_else(|| CallError::field(format!("metadata {name}"), "must be one value of plain characters"))
}

fn named_agent(metadata: &MetadataMap) -> Result<Option<AgentId>, CallError> {
    let Some(name) = text(metadata, AGENT_METADATA)? else { return Ok(None) };
    AgentId::new(name).map(Some).map_err(|_| {
        CallError::field("metadata ciba-agent-id", "must be 1 to 64 of letters, digits and - _ . : @ / + =")
    })
}

#[cfg(test)]
mod tests;
