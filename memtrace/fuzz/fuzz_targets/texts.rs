//! Whatever the kernel's text files say and whatever somebody calls a file: it is read or refused, and shown harmlessly.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::{
    cmd::duration,
    host::{
        buddyinfo::FreeBlocks, cgroup, dentry_state::DentryState, meminfo::Meminfo, mounts, pressure::Pressure,
        process, vmstat::Vmstat, zoneinfo,
    },
    kernel::gfp::GfpNames,
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
    host_texts(data);
    let _ = GfpNames::of_format(data, |_| Some(3));
    let _ = GfpNames::of_format(&[b"__print_flags(x, {", data].concat(), |_| None);
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

fn host_texts(data: &[u8]) {
    let _ = Meminfo::parse(data);
    let _ = Vmstat::parse(data).sum("a");
    let _ = zoneinfo::pcp_free_pages(data);
    let _ = Pressure::parse(data);
    let _ = DentryState::parse(data);
    let _ = mounts::parse(data);
    let _ = (process::parse_statm(data), process::parse_stat(data), process::parse_rollup(data));
    let _ = (cgroup::number(data), cgroup::slab(data));
    let share = FreeBlocks::parse(data).and_then(|blocks| blocks.share_of(1));
    assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)));
}

fn shown_harmlessly(name: &[u8]) {
    assert!(!escape::terminal(name).chars().any(char::is_control));
    assert!(!escape::markdown_line(&escape::terminal(name)).contains('\n'));
    let json = escape::json(name);
    assert!(!escape::json_fragment(&json).chars().any(char::is_control));
}
