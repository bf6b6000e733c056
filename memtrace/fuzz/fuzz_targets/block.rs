//! Whatever stands in a block: it is read or refused, and its entries go to a ledger.

#![no_main]

#[expect(dead_code, reason = "others feed the rest")]
#[path = "../feed.rs"]
mod feed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| feed::block(data));
