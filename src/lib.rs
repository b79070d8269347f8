//! A gRPC gateway that logs a person in by phone number: the CIBA flow of
//! Vipps MobilePay Login behind an API for call centres, TV boxes and tills.
//!
//! ```text
//! main ─ cli ─ gateway::run(config, listeners, shutdown)
//!           ├ grpc       proto ⇄ domain, caller credentials, the status table
//!           ├ http       liveness, readiness, metrics; the listener that the world reaches
//!           ├ webhooks   what the provider tells by itself: proven, or refused
//!           │   └ logins     the use cases: check, start, watch, confirm a code, hand over, cancel, erase
//!           │      ├ poller     polls the logins that this process owns
//!           │      ├ replicas   who this process is, whether it may act, whom it takes over from
//!           │      ├ ledger     the one way from an event to a record; tells watchers
//!           │      ├ audit      who did what to whose login, in a chain that shows tampering
//!           │      ├ fraud      which of that looks like fraud; tells the tenant's fraud desk
//!           │      ├ provider   trait Provider; vipps and generic implement it (network)
//!           │      ├ store      trait SessionStore; redis and memory implement it
//!           │      ├ session    states and transitions                         (pure)
//!           │      ├ ciba       protocol words; answer → next step             (pure)
//!           │      ├ identity   who the person is: typed claims                (pure)
//!           │      ├ shop_qr    names of a shop's QR codes, and their drawing          (pure)
//!           │      ├ language   the languages that agents are spoken to in     (pure)
//!           │      └ phone      PhoneNumber, BindingCode                       (pure)
//!           ├ tokens     whom the tenants' own identity providers say that it is
//!           ├ simulator  a faithful local Vipps, for the demo, tests and integrators
//!           └ config, telemetry, clock, egress (bounds of what calls out)
//! ```
//!
//! Pure modules know no network, no runtime and no clock: the present is handed
//! to them as a [`timestamp::Timestamp`]. `provider` and `store` do not know each
//! other, and `grpc` knows neither. To read the code: `session`, then `logins`,
//! then `poller`; the adapters when you need them.
#![forbid(unsafe_code)]

pub mod audit;
pub mod ciba;
pub mod cli;
pub mod clock;
pub mod config;
pub mod egress;
pub mod fraud;
pub mod gateway;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod language;
pub mod ledger;
pub mod logins;
pub mod phone;
pub mod poller;
pub mod provider;
pub mod replicas;
pub mod session;
pub mod shop_qr;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod timestamp;
pub mod tokens;
pub mod webhooks;
