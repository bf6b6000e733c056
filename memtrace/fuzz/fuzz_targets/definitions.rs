//! Whatever a block's dictionary says: it is read or refused, and can be written again.

#![no_main]

#[expect(dead_code, reason = "others feed the rest")]
#[path = "../feed.rs"]
mod feed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| feed::definitions(data));
