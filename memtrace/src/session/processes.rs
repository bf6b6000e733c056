//! Who the traced processes are: the table of processes, and the cgroups' names.

use crate::{
    attribution::{
        cgroup::Cgroups,
        process::{Processes, running},
    },
    stream::{event::ProcessEvent, ledger::Ledger},
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
        self.processes.apply(event, running);
    }

    /// Looks up whoever is new in the ledger, before they are gone.
    pub fn learn_new(&mut self, ledger: &mut Ledger) {
        for key in ledger.take_new_origins() {
            self.cgroups.learn(key.cgroup);
            if !key.task.is_kthread && key.task.tgid != crate::stream::ledger::FOLDED {
                self.processes.learn(key.task.process(), running);
            }
        }
    }

    /// Whom there is no room for.
    pub fn notes(&self) -> Vec<String> {
        notes(self.processes.is_full(), self.cgroups.left_out())
    }

    /// Forgets processes that ended and hold nothing, when there are many, and cgroups that hold nothing where there are too many.
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
        "there are too many processes: who started new ones is not known, nor what they run".to_owned()
    });
    let cgroups = (cgroups_left_out > 0).then(|| {
        format!(
            "there are too many cgroups: the names of {cgroups_left_out} that hold objects are not known, and they show as `(gone: N)`"
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
        there are too many processes: who started new ones is not known, nor what they run
        there are too many cgroups: the names of 1234 that hold objects are not known, and they show as `(gone: N)`
        ");
    }
}
