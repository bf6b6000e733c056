//! Capabilities: what memtrace uses each for, and who has it.

use rustix::thread::{CapabilitySet, capabilities};

/// What is given to a process piece by piece, where root has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub name: &'static str,
    set: CapabilitySet,
    /// Who has one of these has it too.
    stand_ins: CapabilitySet,
    /// What it is for.
    pub purpose: &'static str,
    /// What is lost without it.
    pub loss: &'static str,
}

const NONE: CapabilitySet = CapabilitySet::empty();

/// Linux 5.8 made these two of it.
const BEFORE: CapabilitySet = CapabilitySet::SYS_ADMIN;

pub const PERFMON: Right = Right {
    name: "CAP_PERFMON",
    set: CapabilitySet::PERFMON,
    stand_ins: BEFORE,
    purpose: "attach probes, read kernel memory",
    loss: "nothing can be traced",
};

pub const BPF: Right = Right {
    name: "CAP_BPF",
    set: CapabilitySet::BPF,
    stand_ins: BEFORE,
    purpose: "load programs, run them on request",
    loss: "nothing can be traced",
};

pub const DAC_READ_SEARCH: Right = Right {
    name: "CAP_DAC_READ_SEARCH",
    set: CapabilitySet::DAC_READ_SEARCH,
    stand_ins: NONE,
    purpose: "read /proc/slabinfo and names of cgroups",
    loss: "cgroups have no names, counts are not compared",
};

pub const SYSLOG: Right = Right {
    name: "CAP_SYSLOG",
    set: CapabilitySet::SYSLOG,
    stand_ins: NONE,
    purpose: "read names of kernel functions",
    loss: "call sites and kernel stacks are addresses",
};

pub const SYS_PTRACE: Right = Right {
    name: "CAP_SYS_PTRACE",
    set: CapabilitySet::SYS_PTRACE,
    stand_ins: NONE,
    purpose: "see which programs others run",
    loss: "programs may have no path, user stacks no names",
};

pub const CHECKPOINT_RESTORE: Right = Right {
    name: "CAP_CHECKPOINT_RESTORE",
    set: CapabilitySet::CHECKPOINT_RESTORE,
    stand_ins: CapabilitySet::SYS_ADMIN,
    purpose: "read programs whose file was replaced",
    loss: "user stacks of these have no names",
};

pub const SYS_ADMIN: Right = Right {
    name: "CAP_SYS_ADMIN",
    set: CapabilitySet::SYS_ADMIN,
    stand_ins: NONE,
    purpose: "measure the CPU time of the probes",
    loss: "their cost is unknown, --max-cpu is refused",
};

pub const SYS_RESOURCE: Right = Right {
    name: "CAP_SYS_RESOURCE",
    set: CapabilitySet::SYS_RESOURCE,
    stand_ins: NONE,
    purpose: "lock memory for maps, before Linux 5.11",
    loss: "maps need a higher limit there (ulimit -l)",
};

pub const SYS_NICE: Right = Right {
    name: "CAP_SYS_NICE",
    set: CapabilitySet::SYS_NICE,
    stand_ins: NONE,
    purpose: "read events first where all CPUs are busy",
    loss: "more events are lost there",
};

/// All that memtrace makes use of, what matters most first.
pub const ALL: [Right; 9] = [
    PERFMON,
    BPF,
    DAC_READ_SEARCH,
    SYSLOG,
    SYS_PTRACE,
    CHECKPOINT_RESTORE,
    SYS_ADMIN,
    SYS_RESOURCE,
    SYS_NICE,
];

/// Without these, nothing works.
const REQUIRED: [Right; 2] = [PERFMON, BPF];

impl Right {
    pub fn is_in(&self, held: CapabilitySet) -> bool {
        held.intersects(self.set | self.stand_ins)
    }

    /// What has to be kept of `held` so that it stays.
    pub fn kept_of(&self, held: CapabilitySet) -> CapabilitySet {
        if held.contains(self.set) { self.set } else { held & self.stand_ins }
    }
}

/// What this thread has. A kernel that does not tell gave nothing.
pub fn held() -> CapabilitySet {
    capabilities(None).map_or(NONE, |sets| sets.effective)
}

/// What tracing needs and is not held.
pub fn missing(held: CapabilitySet) -> Vec<Right> {
    REQUIRED.into_iter().filter(|right| !right.is_in(held)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sys_admin_stands_in_for_what_was_a_part_of_it() {
        let names = |held| missing(held).iter().map(|right| right.name).collect::<Vec<_>>();
        assert_eq!(names(CapabilitySet::empty()), ["CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(names(CapabilitySet::PERFMON), ["CAP_BPF"]);
        assert_eq!(names(CapabilitySet::PERFMON | CapabilitySet::BPF), [""; 0]);
        assert_eq!(names(CapabilitySet::SYS_ADMIN), [""; 0]);
        assert!(!SYSLOG.is_in(CapabilitySet::SYS_ADMIN));
    }

    #[test]
    fn no_more_is_kept_than_it_takes() {
        let all = CapabilitySet::all();
        assert_eq!(BPF.kept_of(all), CapabilitySet::BPF);
        assert_eq!(BPF.kept_of(CapabilitySet::SYS_ADMIN | CapabilitySet::CHOWN), CapabilitySet::SYS_ADMIN);
        assert_eq!(SYSLOG.kept_of(CapabilitySet::SYS_ADMIN), CapabilitySet::empty());
    }
}
