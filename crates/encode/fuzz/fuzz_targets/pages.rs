#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| offtake_encode_fuzz::pages(input));
