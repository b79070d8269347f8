//! Calls of every method.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ciba_gateway_fuzz::judge("calls", data));
