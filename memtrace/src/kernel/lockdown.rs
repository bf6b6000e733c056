//! What the kernel forbids to all.

use std::fs;

use crate::procfs::security;

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";

/// The kernel's lockdown mode (`none`, `integrity`, `confidentiality`); None where the kernel has no lockdown.
pub fn mode() -> Option<String> {
    security::lockdown_mode(&fs::read(LOCKDOWN).ok()?).map(str::to_owned)
}
