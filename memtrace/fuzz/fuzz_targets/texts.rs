//! Whatever the kernel's text files say and whatever somebody calls a file: it is read or refused, and shown harmlessly.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::{
    cmd::duration,
    knowledge::incidents,
    ledger::pattern,
    output::escape,
    slab::{
        meminfo,
        resolve::{Glob, root_name},
        slabinfo,
    },
};

fuzz_target!(|data: &[u8]| {
    let _ = slabinfo::parse(data);
    let _ = meminfo::parse(data);
    if let Err(fault) = incidents::parse(data) {
        assert!(fault.line <= data.split(|&byte| byte == b'\n').count());
    }
    shown_harmlessly(data);
    shown_harmlessly(&pattern::pattern(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = duration::parse(text);
    assert!(text.starts_with(root_name(text)));
    if let Some((glob, name)) = text.split_once('\n')
        && let Ok(glob) = Glob::new(glob)
    {
        glob.matches(name);
    }
});

fn shown_harmlessly(name: &[u8]) {
    assert!(!escape::terminal(name).chars().any(char::is_control));
    let json = escape::json(name);
    assert!(!escape::json_fragment(&json).chars().any(char::is_control));
}
