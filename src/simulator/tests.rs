//! The simulator as a client sees it, over a real loopback socket.

mod bench;
mod flow;
mod refusals;
mod steering;
mod tokens;
