//! Whatever tracefs, a user's files and options say, and whatever somebody calls a file: it is read or refused, and shown harmlessly.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use memtrace::{
    cmd::serve::{config, settings},
    condition,
    kernel::gfp::GfpNames,
    knowledge::incidents,
    serve::web,
    stream::ledger::pattern,
    text::{duration, escape},
};

static OPTIONS: LazyLock<clap::Command> = LazyLock::new(settings::definition);

fuzz_target!(|data: &[u8]| {
    let _ = GfpNames::from_format(data, |_| Some(3));
    let _ = GfpNames::from_format(&[b"__print_flags(x, {", data].concat(), |_| None);
    if let Err(fault) = incidents::parse(data) {
        assert!(fault.line <= data.split(|&byte| byte == b'\n').count());
    }
    if let Err(fault) = config::parse(data, &OPTIONS) {
        assert!(fault.line <= data.split(|&byte| byte == b'\n').count() && fault.column >= 1);
    }
    let _ = web::check_form(data);
    shown_harmlessly(data);
    shown_harmlessly(&pattern::pattern(data));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = duration::parse(text);
    match condition::parse(text) {
        Ok(condition) => assert_eq!(condition::parse(&condition.to_string()).map(|again| again.to_string()), Ok(condition.to_string())),
        Err(mistake) => {
            assert!((1..=text.chars().count() + 1).contains(&mistake.column));
            assert!(!mistake.to_string().chars().any(char::is_control));
        }
    }
});

fn shown_harmlessly(name: &[u8]) {
    assert!(!escape::terminal(name).chars().any(char::is_control));
    assert!(!escape::markdown_line(&escape::terminal(name)).contains('\n'));
    let json = escape::json(name);
    assert!(!escape::json_fragment(&json).chars().any(char::is_control));
}
