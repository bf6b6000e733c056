//! Whatever tracefs, a user's files and options say, and whatever somebody calls a file: it is read or refused, and shown harmlessly.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::{
    kernel::gfp::GfpNames,
    knowledge::incidents,
    stream::ledger::pattern,
    text::{duration, escape},
};

fuzz_target!(|data: &[u8]| {
    let _ = GfpNames::from_format(data, |_| Some(3));
    let _ = GfpNames::from_format(&[b"__print_flags(x, {", data].concat(), |_| None);
    if let Err(fault) = incidents::parse(data) {
        assert!(fault.line <= data.split(|&byte| byte == b'\n').count());
    }
    shown_harmlessly(data);
    shown_harmlessly(&pattern::pattern(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = duration::parse(text);
});

fn shown_harmlessly(name: &[u8]) {
    assert!(!escape::terminal(name).chars().any(char::is_control));
    assert!(!escape::markdown_line(&escape::terminal(name)).contains('\n'));
    let json = escape::json(name);
    assert!(!escape::json_fragment(&json).chars().any(char::is_control));
}
