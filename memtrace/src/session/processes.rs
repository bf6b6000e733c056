//! Who the traced processes are: the table of processes, and the cgroups' names.

use crate::{
    cgroup::Cgroups,
    event::ProcessEvent,
    ledger::Ledger,
    process::{Processes, procfs},
};

/// What is known of those who allocate.
pub struct Who {
    pub processes: Processes,
    pub cgroups: Cgroups,
}

impl Who {
    pub fn new(cgroups: Cgroups) -> Self {
        Self { processes: Processes::default(), cgroups }
    }

    pub fn apply(&mut self, event: ProcessEvent<'_>) {
        self.processes.apply(event, procfs::look);
    }

    /// Looks up whoever is new in the ledger, before they are gone.
    pub fn learn_new(&mut self, ledger: &mut Ledger) {
        for key in ledger.take_new_origins() {
            self.cgroups.learn(key.cgroup);
            if !key.task.is_kthread && key.task.tgid != crate::ledger::FOLDED {
                self.processes.learn(key.task.process(), procfs::look);
            }
        }
    }

    /// Forgets processes that ended and hold nothing, when there are many. Returns whether there were.
    pub fn prune(&mut self, ledger: &Ledger) -> bool {
        self.processes.prune(|| ledger.holders())
    }
}
