//! Whatever the kernel's text files say: it is read, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use memtrace::procfs::{
    buddyinfo::FreeBlocks,
    cgroup,
    dentry_state::DentryState,
    fdinfo::Fdinfo,
    id_list,
    kallsyms::Kallsyms,
    maps,
    meminfo::Meminfo,
    mountinfo,
    pressure::Pressure,
    process::{self, memory},
    security,
    slab::{
        self,
        resolve::{Glob, root_name},
        slabinfo,
    },
    vmstat::Vmstat,
    zoneinfo,
};

fuzz_target!(|data: &[u8]| {
    host(data);
    processes(data);
    slabs(data);
});

fn host(data: &[u8]) {
    let _ = Vmstat::parse(data).sum("a");
    let _ = zoneinfo::pcp_free_pages(data);
    let _ = Pressure::parse(data);
    let _ = DentryState::parse(data);
    let _ = (id_list::parse(data), security::lockdown_mode(data));
    let _ = Kallsyms::parse(data.to_vec()).and_then(|symbols| symbols.symbol(u64::MAX));
    let mounts = mountinfo::parse(data);
    let _ = cgroup::hierarchy_of_memory(&mounts);
    let _ = (cgroup::number(data), cgroup::slab(data));
    let share = FreeBlocks::parse(data).and_then(|blocks| blocks.share_of(1));
    assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)));
}

fn processes(data: &[u8]) {
    let _ = (process::parse_stat(data), memory::parse_statm(data), memory::parse_rollup(data));
    let _ = (security::lockdown_mode(data), Fdinfo::parse(data).number("a"));
    let _ = maps::parse(data).count();
}

fn slabs(data: &[u8]) {
    let _ = slabinfo::parse(data);
    let _ = slab::Meminfo::try_from(&Meminfo::parse(data));
    let Ok(text) = str::from_utf8(data) else { return };
    assert!(text.starts_with(root_name(text)));
    if let Some((glob, name)) = text.split_once('\n')
        && let Ok(glob) = Glob::new(glob)
    {
        glob.matches(name);
    }
}
