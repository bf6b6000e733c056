//! Who the traced processes are: the table of processes, and the cgroups' names.

use std::collections::HashSet;

use crate::{
    cgroup::Cgroups,
    event::{ProcessEvent, ProcessId},
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

    /// Whom there is no room for.
    pub fn notes(&self) -> Vec<String> {
        let processes = self.processes.is_full().then(|| {
            "there are too many processes: who started new ones is not known, nor what they run".to_owned()
        });
        let cgroups = (self.cgroups.left_out() > 0).then(|| {
            format!(
                "there are too many cgroups: the names of {} that hold objects are not known, and they show as `(gone: N)`",
                self.cgroups.left_out()
            )
        });
        processes.into_iter().chain(cgroups).collect()
    }

    /// Forgets processes that ended and hold nothing, and cgroups that hold nothing where there are too many.
    pub fn prune(&mut self, ledger: &Ledger) {
        let holds = || -> HashSet<ProcessId> {
            ledger
                .origins()
                .filter(|origin| origin.outstanding() > 0)
                .map(|origin| origin.key.task.process())
                .collect()
        };
        self.processes.prune(holds);
        self.cgroups.prune(|| {
            ledger
                .origins()
                .filter(|origin| origin.outstanding() > 0)
                .map(|origin| origin.key.cgroup)
                .collect()
        });
    }
}
