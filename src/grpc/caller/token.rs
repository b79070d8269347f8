//! Tokens of the tenants' identity providers: which client of ours they prove, and
//! which agent.
//!
//! Whether a token holds is [`crate::tokens`]' to say.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::status::CallError;
use super::{Client, Shown};
use crate::logins::Role;
use crate::session::AgentId;
use crate::timestamp::Timestamp;
use crate::tokens::{Issuer, Refused, Statement, stated_issuer};

/// What a client is known by in tokens.
pub struct TokenClients {
    /// The tenant's identity provider.
    pub issuer: Arc<Issuer>,
    /// Its names for the client; empty where tokens prove its agents alone.
    pub names: BTreeSet<String>,
}

/// The clients of each tenant that tokens may prove, by what they are called there.
struct Realm {
    issuer: Arc<Issuer>,
    clients: HashMap<String, Arc<Client>>,
}

/// Every identity provider whose tokens may prove a client, by its name.
#[derive(Default)]
pub(super) struct Tokens(HashMap<String, Vec<Realm>>);

/// An agent, as a token of its own proves it.
pub(super) struct Agent {
    pub(super) agent: AgentId,
    pub(super) roles: BTreeSet<Role>,
    pub(super) until: Timestamp,
}

impl Tokens {
    pub(super) fn enrol(&mut self, client: &Arc<Client>) {
        let Some(TokenClients { issuer, names }) = &client.tokens else { return };
        let realms = self.0.entry(issuer.name().to_owned()).or_default();
        let known = realms.iter_mut().position(|realm| Arc::ptr_eq(&realm.issuer, issuer));
        let at = known.unwrap_or_else(|| {
            realms.push(Realm { issuer: Arc::clone(issuer), clients: HashMap::new() });
            realms.len() - 1
        });
        if let Some(realm) = realms.get_mut(at) {
            realm.clients.extend(names.iter().map(|name| (name.clone(), Arc::clone(client))));
        }
    }

    /// The one client that the token is of. Tenants may share an identity provider:
    /// then the token's audience and client say whose it is.
    pub(super) async fn client(&self, token: &str, now: Timestamp) -> Result<Shown, CallError> {
        let realms = stated_issuer(token).and_then(|name| self.0.get(&name)).map(Vec::as_slice).unwrap_or_default();
        let (mut shown, mut refused): (Option<Shown>, _) = (None, Refused::Issuer);
        for Realm { issuer, clients } in realms {
            match issuer.verify(token, now).await {
                Err(error) => refused = error,
                Ok(Statement { client, agent, roles, until }) => {
                    let Some(client) = client.and_then(|name| clients.get(&name)) else {
                        refused = Refused::Client;
                        continue;
                    };
                    // Whoever may be two clients is neither.
                    if shown.is_some() {
                        return Err(CallError::TokenInvalid(Refused::Client));
                    }
                    shown = Some(Shown { client: Arc::clone(client), until: Some(until), agent, roles });
                }
            }
        }
        shown.ok_or_else(|| error(refused, CallError::TokenInvalid))
    }

    /// The agent of `client` that a token proves beside what proves the client.
    pub(super) async fn agent(&self, client: &Arc<Client>, token: &str, now: Timestamp) -> Result<Agent, CallError> {
        let issuer = client.tokens.as_ref().map(|tokens| &tokens.issuer);
        let issuer = issuer.ok_or(CallError::AgentTokenInvalid(Refused::Issuer))?;
        let stated = issuer.verify(token, now).await.map_err(|refused| error(refused, CallError::AgentTokenInvalid))?;
        let realms = self.0.get(issuer.name()).map(Vec::as_slice).unwrap_or_default();
        let realm = realms.iter().find(|realm| Arc::ptr_eq(&realm.issuer, issuer));
        let given_to = stated.client.and_then(|name| realm?.clients.get(&name));
        // What was given to another client of ours is not this one's to show.
        if given_to.is_some_and(|other| !Arc::ptr_eq(other, client)) {
            return Err(CallError::CredentialMismatch);
        }
        let agent = stated.agent.ok_or(CallError::AgentTokenInvalid(Refused::Agent))?;
        Ok(Agent { agent, roles: stated.roles, until: stated.until })
    }
}

fn error(refused: Refused, invalid: fn(Refused) -> CallError) -> CallError {
    match refused {
        Refused::Expired => CallError::CredentialExpired,
        Refused::KeysUnavailable => CallError::TokenKeysUnavailable,
        refused => invalid(refused),
    }
}
