//! The names of keys: one tenant's, and the few that are no tenant's.
//!
//! All of a tenant share the tenant's hash tag, so that one script can touch them on one
//! node of a cluster. No name holds a number, a code or a request id, only
//! keyed hashes of them.

use crate::ciba::AuthReqId;
use crate::phone::{BindingCode, PhoneNumber};
use crate::session::{CallId, ClientId, LoginId, Person, TenantId, Terms};
use crate::store::hash::{HashKeys, KeyedHash};
use crate::store::{Asker, Counter, Incarnation};

const PREFIX: &str = "cg1:";

/// Everybody's signs of life.
pub(super) const HEARTBEATS: &str = "cg1:heartbeats";
/// The channel of all pings.
pub(super) const PINGS: &str = "cg1:pings";

/// Names keys of one tenant.
pub(super) struct Names {
    prefix: String,
    hash: KeyedHash,
}

impl Names {
    pub(super) fn of(tenant: &TenantId, hash_keys: &HashKeys) -> Self {
        Self { prefix: prefix(tenant), hash: hash_keys.for_tenant(tenant) }
    }

    /// The hash with this tenant's key.
    pub(super) const fn hash(&self) -> &KeyedHash {
        &self.hash
    }

    /// What a record's name is without the login id.
    pub(super) fn logins(&self) -> String {
        format!("{}login:", self.prefix)
    }

    /// What an identity's name is without the login id.
    pub(super) fn identities(&self) -> String {
        format!("{}identity:", self.prefix)
    }

    pub(super) fn login(&self, login: &LoginId) -> String {
        self.logins() + login.as_str()
    }

    pub(super) fn identity(&self, login: &LoginId) -> String {
        self.identities() + login.as_str()
    }

    /// The live login of a number or a check-in.
    pub(super) fn number(&self, person: &Person) -> String {
        self.hashed_person("number", person)
    }

    /// The login of a phone call; a name that nothing has when there is no call.
    pub(super) fn call(&self, call: Option<&CallId>) -> String {
        call.map_or_else(|| format!("{}no-call", self.prefix), |call| self.hashed("call", &[call.as_str().as_bytes()]))
    }

    /// All logins of a number or a check-in.
    pub(super) fn logins_of(&self, person: &Person) -> String {
        self.hashed_person("logins-of", person)
    }

    /// A name that nothing has.
    pub(super) fn nothing(&self) -> String {
        format!("{}nothing", self.prefix)
    }

    /// Every hashed name that a login's scripts touch, in one order for all keys.
    pub(super) fn of_login(&self, terms: &Terms) -> Vec<Hashed> {
        let asker = Asker::from(terms);
        let claims = [
            self.request(&self.request_digest(asker)),
            self.number(&terms.person),
            self.code(&terms.code),
            self.call(terms.call.as_ref()),
        ];
        let claims = claims.into_iter().map(Hashed::claim);
        claims.chain([Hashed::log(self.logins_of(&terms.person))]).chain(self.of_question(asker)).collect()
    }

    /// Every hashed name that counting touches.
    pub(super) fn of_question(&self, asker: Asker<'_>) -> Vec<Hashed> {
        let logs = Counter::ALL.into_iter().filter_map(|counter| self.log(counter, asker));
        [Hashed::claim(self.denials(asker.person))].into_iter().chain(logs.map(Hashed::log)).collect()
    }

    /// How what a client has asked for appears in records and request ids.
    pub(super) fn content(&self, terms: &Terms) -> String {
        self.content_of(&terms.client, &terms.content)
    }

    pub(super) fn content_of(&self, client: &ClientId, content: &[u8; 32]) -> String {
        self.hash.digest("content", &[client.as_str().as_bytes(), content])
    }

    /// A check-in, by its name.
    pub(super) fn check_in(&self, id: &str) -> String {
        format!("{}check-in:{id}", self.prefix)
    }

    /// Those who have checked in and wait.
    pub(super) fn check_ins(&self) -> String {
        format!("{}check-ins", self.prefix)
    }

    /// How often a number's person has said no.
    pub(super) fn denials(&self, person: Option<&Person>) -> String {
        person.map_or_else(|| self.nothing(), |person| self.hashed_person("denials", person))
    }

    /// The log of starts by `counter`; `None` when it does not concern the login.
    pub(super) fn log(&self, counter: Counter, asker: Asker<'_>) -> Option<String> {
        let subject = counter.subject(asker)?;
        let digest = self.hash.digest("log", &[counter.name().as_bytes(), subject.as_bytes()]);
        Some(format!("{}log:{}:{digest}", self.prefix, counter.name()))
    }

    /// How a start appears in the log of `counter`.
    pub(super) fn member(&self, counter: Counter, asker: Asker<'_>) -> String {
        if counter.counts_numbers() {
            let number = asker.phone().map_or("", PhoneNumber::msisdn);
            self.hash.digest("logged number", &[number.as_bytes()])
        } else {
            self.request_digest(asker)
        }
    }

    /// The live login that has a code.
    pub(super) fn code(&self, code: &BindingCode) -> String {
        self.hashed("code", &[code.expose().as_bytes()])
    }

    /// What the name of a landing's login is without the digest of its handle.
    pub(super) fn landings(&self) -> String {
        format!("{}landing:", self.prefix)
    }

    /// How a handle of the provider appears there and in the record.
    pub(super) fn landing_digest(&self, auth_req_id: &AuthReqId) -> String {
        self.hash.digest("landing", &[auth_req_id.expose().as_bytes()])
    }

    /// Says that a reservation was taken back before it was there.
    pub(super) fn withdrawn(&self, login: &LoginId) -> String {
        format!("{}withdrawn:{login}", self.prefix)
    }

    pub(super) fn request(&self, request: &str) -> String {
        format!("{}request:{request}", self.prefix)
    }

    /// How a request id of a client appears in keys and logs.
    pub(super) fn request_digest(&self, asker: Asker<'_>) -> String {
        self.hash.digest("request", &[asker.client.as_str().as_bytes(), asker.request_id.as_str().as_bytes()])
    }

    /// The index of logins by time.
    pub(super) fn index(&self) -> String {
        format!("{}logins", self.prefix)
    }

    /// What the name of an owner's logins is without the owner.
    pub(super) fn owners(&self) -> String {
        format!("{}owned:", self.prefix)
    }

    /// The live logins of an owner.
    pub(super) fn owned(&self, owner: &Incarnation) -> String {
        self.owners() + &owner.0
    }

    /// The stream's epoch and newest number.
    pub(super) fn stream_head(&self) -> String {
        format!("{}stream", self.prefix)
    }

    /// The stream of events.
    pub(super) fn stream_entries(&self) -> String {
        format!("{}events", self.prefix)
    }

    /// The channel on which changes are announced.
    pub(super) fn channel(&self) -> String {
        channel(&self.prefix)
    }

    fn hashed_person(&self, kind: &'static str, person: &Person) -> String {
        match person {
            Person::Phone(number) => self.hashed(kind, &[number.msisdn().as_bytes()]),
            Person::CheckIn(check_in) => self.hashed(kind, &[b"check-in", check_in.id.as_str().as_bytes()]),
        }
    }

    fn hashed(&self, kind: &'static str, parts: &[&[u8]]) -> String {
        format!("{}{kind}:{}", self.prefix, self.hash.digest(kind, parts))
    }
}

/// A name that another hash key makes otherwise.
pub(super) struct Hashed {
    pub(super) name: String,
    /// What lies there, as `rehash.lua` calls it.
    pub(super) kind: &'static str,
}

impl Hashed {
    const fn claim(name: String) -> Self {
        Self { name, kind: "claim" }
    }

    const fn log(name: String) -> Self {
        Self { name, kind: "log" }
    }
}

/// Names what is kept about numbers over all tenants.
pub(super) struct NumberNames {
    prefix: String,
}

impl NumberNames {
    pub(super) fn of(number: &PhoneNumber, hash_keys: &HashKeys) -> Self {
        let digest = hash_keys.for_gateway().digest("number", &[number.msisdn().as_bytes()]);
        Self { prefix: format!("{PREFIX}number:{{{digest}}}:") }
    }

    /// The log of starts.
    pub(super) fn log(&self) -> String {
        format!("{}log", self.prefix)
    }

    /// Until when the provider wants to hear nothing.
    pub(super) fn back_off(&self) -> String {
        format!("{}back-off", self.prefix)
    }
}

/// How a start appears in [`NumberNames::log`].
pub(super) fn member_of_all(asker: Asker<'_>, hash_keys: &HashKeys) -> String {
    let parts = [asker.tenant.as_str(), asker.client.as_str(), asker.request_id.as_str()];
    hash_keys.for_gateway().digest("request", &parts.map(str::as_bytes))
}

/// A tenant's channel, for those who only listen.
pub(super) fn wake_channel(tenant: &TenantId) -> String {
    channel(&prefix(tenant))
}

fn prefix(tenant: &TenantId) -> String {
    format!("{PREFIX}{{{tenant}}}:")
}

fn channel(prefix: &str) -> String {
    format!("{prefix}wake")
}
