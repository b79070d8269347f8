//! What every store keeps to: each story is told to the one in memory and to
//! Redis, and one after the other to Redis behind TLS, with Sentinels and as a
//! cluster.

use crate::support::cluster::Cluster;
use crate::support::redis_tls::RedisTls;
use crate::support::sentinels::Sentinels;
use crate::support::stores::Stage;

/// Tells each story to each shape of Redis, whose servers are started once.
macro_rules! for_all_shapes {
    (|$stage:ident| $argument:expr, $($story:ident),*) => {
        #[tokio::test]
        async fn over_tls() {
            let redis = crate::support::redis_tls::RedisTls::start().await;
            $({
                let $stage = super::super::anew(&redis).await;
                super::$story($argument).await;
            })*
        }
        #[tokio::test]
        async fn with_sentinels() {
            let redis = crate::support::sentinels::Sentinels::start().await;
            $({
                let $stage = super::super::anew(&redis).await;
                super::$story($argument).await;
            })*
        }
        #[tokio::test]
        async fn as_a_cluster() {
            let redis = crate::support::cluster::Cluster::start().await;
            $({
                let $stage = super::super::anew(&redis).await;
                super::$story($argument).await;
            })*
        }
    };
}

/// Runs each story against both stores.
macro_rules! for_both_stores {
    ($($story:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $story() {
                super::$story(&*crate::support::stores::Stage::memory().await.store).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $story() {
                super::$story(&*crate::support::stores::Stage::redis().await.store).await;
            })*
        }
        mod shapes {
            for_all_shapes!(|stage| &*stage.store, $($story),*);
        }
    };
}

/// Runs each story against both stores, with as many replicas as it wants.
macro_rules! for_several_replicas {
    ($($story:ident),* $(,)?) => {
        mod memory_replicas {
            $(#[tokio::test]
            async fn $story() {
                super::$story(&crate::support::stores::Stage::memory().await).await;
            })*
        }
        mod redis_replicas {
            $(#[tokio::test]
            async fn $story() {
                super::$story(&crate::support::stores::Stage::redis().await).await;
            })*
        }
        mod shapes_with_replicas {
            for_all_shapes!(|stage| &stage, $($story),*);
        }
    };
}

mod charges;
mod check_ins;
mod events;
mod heartbeats;
mod landings;
mod losses;
mod numbers;
mod owners;
mod pings;
mod reads;
mod saves;
mod starts;
mod wakes;

/// Servers of some shape.
trait Servers {
    fn settings(&self) -> ciba_gateway::store::redis::Settings;
    async fn flush(&self);
}

macro_rules! servers {
    ($($shape:ty),*) => {$(
        impl Servers for $shape {
            fn settings(&self) -> ciba_gateway::store::redis::Settings {
                <$shape>::settings(self)
            }

            async fn flush(&self) {
                <$shape>::flush(self).await;
            }
        }
    )*};
}

servers!(RedisTls, Sentinels, Cluster);

/// A store with nothing in it.
async fn anew(servers: &impl Servers) -> Stage {
    servers.flush().await;
    Stage::at(servers.settings())
}
