//! Whatever BTF says: it is read or refused, and all lookups in it come to an end.

#![no_main]

#[expect(dead_code, reason = "others feed the rest")]
#[path = "../feed.rs"]
mod feed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| feed::btf(data));
