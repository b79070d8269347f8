//! What every store keeps to: each story is told to the one in memory and to
//! Redis.

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
    };
}

mod charges;
mod events;
mod heartbeats;
mod losses;
mod owners;
mod reads;
mod saves;
mod starts;
mod wakes;
