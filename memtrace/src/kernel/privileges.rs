//! What this process may do, and what the kernel forbids to all.

use std::{fs, io};

use crate::procfs::security;

/// One bit of the effective capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub name: &'static str,
    bit: u32,
}

/// Includes the others.
const CAP_SYS_ADMIN: Capability = Capability { name: "CAP_SYS_ADMIN", bit: 21 };

/// What loading and attaching take (since Linux 5.8; before, CAP_SYS_ADMIN).
const NEEDED: [Capability; 2] =
    [Capability { name: "CAP_PERFMON", bit: 38 }, Capability { name: "CAP_BPF", bit: 39 }];

const STATUS: &str = "/proc/self/status";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    #[error("cannot read {STATUS}: {0}; is /proc mounted?")]
    Unreadable(#[source] io::Error),
    #[error("{STATUS} has no line `CapEff:`")]
    NoCapabilities,
}

/// The capabilities that memtrace needs and this process lacks.
pub fn missing_capabilities() -> Result<Vec<Capability>, StatusError> {
    let status = fs::read(STATUS).map_err(StatusError::Unreadable)?;
    Ok(missing(security::effective_capabilities(&status).ok_or(StatusError::NoCapabilities)?))
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
    security::lockdown_mode(&fs::read(LOCKDOWN).ok()?).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sys_admin_stands_in_for_the_others() {
        let names =
            |effective| missing(effective).iter().map(|capability| capability.name).collect::<Vec<_>>();
        assert_eq!(names(0), ["CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(names(1 << 38), ["CAP_BPF"]);
        assert_eq!(names(1 << 38 | 1 << 39), [""; 0]);
        assert_eq!(names(1 << 21), [""; 0]);
    }
}
