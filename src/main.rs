//! The `ciba-gateway` command.

fn main() {}
