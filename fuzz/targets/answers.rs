//! Answers to starts, polls and questions about a number.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ciba_gateway_fuzz::judge("answers", data));
