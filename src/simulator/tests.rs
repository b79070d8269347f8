//! The simulator as a client sees it, over a real loopback socket.

mod bench;
mod flow;
mod platform;
mod redirects;
mod refusals;
mod steering;
mod tokens;
