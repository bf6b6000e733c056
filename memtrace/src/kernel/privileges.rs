//! What this process may do, and what the host forbids to all.

use std::{fs, io};

/// One bit of the effective capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub name: &'static str,
    bit: u32,
}

/// Stands in for the others.
const CAP_SYS_ADMIN: Capability = Capability { name: "CAP_SYS_ADMIN", bit: 21 };

/// What loading and attaching take (since Linux 5.8; before, CAP_SYS_ADMIN).
const NEEDED: [Capability; 2] =
    [Capability { name: "CAP_PERFMON", bit: 38 }, Capability { name: "CAP_BPF", bit: 39 }];

const STATUS: &str = "/proc/self/status";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// The capabilities that memtrace needs and this process lacks; empty when all are there.
pub fn missing_capabilities() -> io::Result<Vec<Capability>> {
    let status = fs::read_to_string(STATUS)?;
    let effective =
        effective(&status).ok_or_else(|| io::Error::other(format!("{STATUS} has no line `CapEff:`")))?;
    Ok(missing(effective))
}

fn effective(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn missing(effective: u64) -> Vec<Capability> {
    let has = |capability: Capability| effective & (1 << capability.bit) != 0;
    if has(CAP_SYS_ADMIN) {
        return Vec::new();
    }
    NEEDED.into_iter().filter(|&capability| !has(capability)).collect()
}

/// The kernel's lockdown mode (`none`, `integrity`, `confidentiality`); None where the kernel has no lockdown.
pub fn lockdown() -> Option<String> {
    selected(&fs::read_to_string(LOCKDOWN).ok()?)
}

/// The word in brackets: `none [integrity] confidentiality`.
fn selected(modes: &str) -> Option<String> {
    let (_, rest) = modes.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode.to_owned())
}

/// Lifts the limit on locked memory, which maps count against before v5.11. Where that is not allowed, creating the
/// maps tells.
pub fn raise_memlock() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
        assert_eq!(effective("CapEff:\tnot hex\n"), None);
    }

    #[test]
    fn sys_admin_stands_in_for_the_others() {
        let names =
            |effective| missing(effective).iter().map(|capability| capability.name).collect::<Vec<_>>();
        assert_eq!(names(0), ["CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(names(1 << 38), ["CAP_BPF"]);
        assert_eq!(names(1 << 38 | 1 << 39), [""; 0]);
        assert_eq!(names(1 << 21), [""; 0]);
    }

    #[test]
    fn lockdown_is_the_word_in_brackets() {
        assert_eq!(selected("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(selected("none"), None);
    }
}
