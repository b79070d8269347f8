//! From `[store]` and `[keys]` to the store of a running gateway.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::parts::AssemblyError;
use crate::config::{self, Config};
use crate::store::SessionStore;
use crate::store::hash::HashKeys;
use crate::store::memory::MemoryStore;
use crate::store::redis::{self, Access, Place, RedisStore, Wait};
use crate::store::seal::{KeyId, KeyRing};

/// A store, and once more where it is one that can be set up wrongly.
pub(super) type Store = (Arc<dyn SessionStore>, Option<Arc<RedisStore>>);

pub(super) fn store(config: &Config) -> Result<Store, AssemblyError> {
    match &config.store {
        config::Store::Memory => {
            tracing::warn!("logins are kept in memory: one process only, and gone when it ends");
            Ok((Arc::new(MemoryStore::new()), None))
        }
        config::Store::Redis(redis) => {
            let store = Arc::new(redis_store(redis, config)?);
            Ok((Arc::clone(&store) as Arc<dyn SessionStore>, Some(store)))
        }
    }
}

/// The Redis store of a configuration; not connected yet.
pub(crate) fn redis_store(chosen: &config::Redis, config: &Config) -> Result<RedisStore, AssemblyError> {
    let place = match &chosen.place {
        config::RedisPlace::Standalone(url) => Place::Standalone { url: url.clone() },
        config::RedisPlace::Sentinel { master, urls, access } => {
            Place::Sentinel { master: master.clone(), urls: urls.clone(), access: access_of(access) }
        }
        config::RedisPlace::Cluster(urls) => Place::Cluster { urls: urls.clone() },
    };
    let wait = Wait { replicas: chosen.wait_replicas, timeout: chosen.wait_timeout };
    let settings = redis::Settings {
        access: access_of(&chosen.access),
        ca_pem: chosen.ca_certificates.as_ref().map(|certificates| certificates.pem().to_owned()),
        connect_timeout: chosen.connect_timeout,
        response_timeout: chosen.response_timeout,
        settle_time: chosen.settle_time,
        wait: Some(wait).filter(|wait| wait.replicas > 0),
        ..redis::Settings::at(place)
    };
    let ring = key_ring(&chosen.keys)?;
    let tenants = config.tenants.iter().map(|tenant| tenant.id.clone()).collect();
    Ok(RedisStore::connect(settings, tenants, ring, hash_keys(&chosen.keys))?)
}

fn hash_keys(keys: &config::Keys) -> HashKeys {
    let hash_keys = HashKeys::new(*keys.hash_key.expose());
    match &keys.other_hash_key {
        Some(other) => hash_keys.beside(*other.expose()),
        None => hash_keys,
    }
}

/// The seal keys of a configuration.
pub(super) fn key_ring(keys: &config::Keys) -> Result<KeyRing, AssemblyError> {
    let all = keys.seal_keys.iter().map(|(name, key)| (key_id(name), *key.expose()));
    KeyRing::new(key_id(&keys.active_seal_key), all.collect()).map_err(AssemblyError::SealKeys)
}

fn access_of(access: &config::RedisAccess) -> Access {
    Access { username: access.username.clone(), password: access.password.clone() }
}

/// Operators name seal keys; sealed values carry four bytes of the name's hash.
fn key_id(name: &str) -> KeyId {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(name).into();
    KeyId(u32::from_be_bytes([a, b, c, d]))
}
