//! Whatever a recording is: it is read as far as it goes, and shown as everything that it can be shown as.

#![no_main]

#[expect(dead_code, reason = "others feed the rest")]
#[path = "../feed.rs"]
mod feed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| feed::recording(data));
