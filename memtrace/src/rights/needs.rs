//! What a session goes on to do once its probes are attached, and the rights that this takes. All others are given up.

use rustix::{
    io::Errno,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};

use super::{
    calls::{self, Forbidden},
    capability::{self, Right},
};

/// Who starts sessions later on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Starts {
    #[default]
    Nobody,
    /// This process itself.
    Itself,
    /// A process that it starts for that.
    Another,
}

/// To make and remove files in directories of other users.
const FILES: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::FOWNER);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Loads the programs that look at slabs: a census is to come.
    pub looks_at_slabs: bool,
    /// Looks into the files of programs for names of functions.
    pub names_user_stacks: bool,
    /// Turns the kernel's statistics of programs on and off.
    pub measures_probes: bool,
    /// Makes files, or names those that it made, perhaps in a directory that is not root's.
    pub makes_files: bool,
    /// Sends signals to a process that may be another user's.
    pub sends_signals: bool,
    pub starts: Starts,
}

#[derive(Debug, thiserror::Error)]
pub enum GiveUpError {
    #[error("capabilities cannot be given up: {0}")]
    Capabilities(#[from] Errno),
    #[error("system calls cannot be restricted: {0}")]
    Calls(#[from] seccompiler::Error),
}

impl Needs {
    pub fn with_files(self) -> Self {
        Self { makes_files: true, ..self }
    }

    fn rights(&self) -> Vec<Right> {
        use capability::*;
        if self.starts != Starts::Nobody {
            let measures = |right: &Right| *right != SYS_ADMIN || self.measures_probes;
            return ALL.into_iter().filter(measures).collect();
        }
        let looks: &[Right] = if self.looks_at_slabs { &[PERFMON, BPF, SYSLOG] } else { &[] };
        let stacks: &[Right] = if self.names_user_stacks { &[CHECKPOINT_RESTORE] } else { &[] };
        let cost: &[Right] = if self.measures_probes { &[SYS_ADMIN] } else { &[] };
        // Each report says which program a process runs. One that was there before the probes is looked up in /proc, and whoever has fewer
        // capabilities than it is told /proc/PID/exe with SYS_PTRACE only: without it, that is all that root runs.
        let always = [DAC_READ_SEARCH, SYS_PTRACE];
        [&always, looks, stacks, cost].concat()
    }

    /// Of what is held, what has to be kept.
    pub fn kept_of(&self, held: CapabilitySet) -> CapabilitySet {
        let rights = self.rights().into_iter().map(|right| right.kept_of(held));
        let others = [(self.makes_files, FILES), (self.sends_signals, CapabilitySet::KILL)];
        let others = others.into_iter().filter(|(is_needed, _)| *is_needed).map(|(_, set)| set & held);
        rights.chain(others).fold(CapabilitySet::empty(), |all, one| all | one)
    }

    /// Gives up all others: capabilities of this thread, so that those it starts have none either; and for all threads the
    /// right to gain new ones, and system calls. `goes_on` finds out whether the kernel still takes what the session does all the time.
    pub fn give_up_others(&self, goes_on: impl FnOnce() -> bool) -> Result<(), GiveUpError> {
        let held = capabilities(None)?.permitted;
        let kept = self.kept_of(held);
        keep(kept, held)?;
        if !goes_on() {
            // Before Linux commit c8644cd0efe7 ("bpf: refine kernel.unprivileged_bpf_disabled behaviour") (in v5.19) each use of a map
            // takes this right, where users without it may not use BPF.
            keep(kept | capability::BPF.kept_of(held), held)?;
        }
        let effective = capabilities(None)?.effective;
        keep(effective, effective)?;
        set_no_new_privs(true)?;
        let forbidden = match self.starts {
            Starts::Nobody => Forbidden { exec: true, perf_events: true },
            Starts::Itself => Forbidden { exec: true, perf_events: false },
            Starts::Another => Forbidden { exec: false, perf_events: false },
        };
        Ok(calls::forbid(forbidden)?)
    }
}

/// For a thread that does something else than the session: it may read files, and perhaps make and remove them.
pub fn keep_only_files_here(makes_files: bool) {
    let makes = if makes_files { FILES } else { CapabilitySet::empty() };
    let held = capability::held();
    let kept = capability::DAC_READ_SEARCH.kept_of(held) | (makes & held);
    // To have less is always allowed.
    let _ = keep(kept, kept);
}

/// For a thread that only computes.
pub fn keep_nothing_here() {
    let _ = keep(CapabilitySet::empty(), CapabilitySet::empty());
}

/// Has these capabilities from now on, and could have others again.
fn keep(effective: CapabilitySet, permitted: CapabilitySet) -> Result<(), Errno> {
    let inheritable = capabilities(None)?.inheritable & permitted;
    set_capabilities(None, CapabilitySets { effective: effective & permitted, permitted, inheritable })
}

#[cfg(test)]
mod tests;
