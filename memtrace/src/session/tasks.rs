//! The tasks that allocate: the table of processes, and the names of cgroups.

use crate::{
    attribution::{
        cgroup::Cgroups,
        process::{Processes, running},
    },
    stream::{
        event::ProcessEvent,
        ledger::{FOLDED, Ledger},
    },
};

pub struct TaskDirectory {
    pub processes: Processes,
    pub cgroups: Cgroups,
}

impl TaskDirectory {
    pub fn new(cgroups: Cgroups) -> Self {
        Self { processes: Processes::default(), cgroups }
    }

    pub fn apply(&mut self, event: ProcessEvent<'_>) {
        self.processes.apply(event, running);
    }

    /// Looks up the processes and cgroups that are new in the ledger, while they exist.
    pub fn learn_new(&mut self, ledger: &mut Ledger) {
        for key in ledger.take_new_origins() {
            self.cgroups.learn(key.cgroup);
            if !key.task.is_kthread && key.task.tgid != FOLDED {
                self.processes.learn(key.task.process(), running);
            }
        }
    }

    /// What there was no room for.
    pub fn notes(&self) -> Vec<String> {
        notes(self.processes.is_full(), self.cgroups.left_out())
    }

    /// Forgets processes that ended and hold nothing, when there are many, and cgroups that hold nothing, when there are too many.
    /// Returns whether processes were forgotten.
    pub fn prune(&mut self, ledger: &Ledger) -> bool {
        self.cgroups.prune(|| {
            let holding = ledger.origins().filter(|origin| origin.outstanding() > 0);
            holding.map(|origin| origin.key.cgroup).collect()
        });
        self.processes.prune(|| ledger.holders())
    }
}

fn notes(processes_are_left_out: bool, cgroups_left_out: usize) -> Vec<String> {
    let processes = processes_are_left_out.then(|| {
        "the process table is full: reports do not say what newer processes run, or who started them"
            .to_owned()
    });
    let cgroups = (cgroups_left_out > 0).then(|| {
        format!(
            "the cgroup table is full: {cgroups_left_out} cgroups that hold objects have no names and show as `(cgroup N)`"
        )
    });
    processes.into_iter().chain(cgroups).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said() {
        assert_eq!(notes(false, 0), [""; 0]);
        insta::assert_snapshot!(notes(true, 1_234).join("\n"), @r"
        the process table is full: reports do not say what newer processes run, or who started them
        the cgroup table is full: 1234 cgroups that hold objects have no names and show as `(cgroup N)`
        ");
    }
}
