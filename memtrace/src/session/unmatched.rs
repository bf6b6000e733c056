//! Whose allocations the user asked for. Where nothing is of them, most likely something else was meant.

use super::host;
use crate::{
    select::Select,
    stream::{
        comm_pattern::{self, CommPattern},
        ledger::Ledger,
    },
    text::escape,
};

pub struct Requested {
    comms: Vec<CommPattern>,
    pids: Vec<u32>,
    /// Of the names, those that only a thread had at the start, with its process's.
    threads: Vec<(CommPattern, String)>,
}

impl Requested {
    pub fn new(select: &Select) -> Self {
        let process_of = |comm: &CommPattern| Some((comm.clone(), host::process_of_thread(comm.name()?)?));
        // A command's process has ended when its session ends: that nothing was allocated shows anyway.
        let trees = select.trees.iter().filter(|_| select.command.is_none());
        Self {
            comms: select.comms.clone(),
            pids: select.pids.iter().chain(trees).copied().collect(),
            threads: select.comms.iter().filter_map(process_of).collect(),
        }
    }

    /// A sentence each for names and for processes of which nothing was seen.
    pub fn unmatched(&self, ledger: &Ledger, is_final: bool) -> Vec<String> {
        // Of few objects a sample may have none: that proves nothing.
        if ledger.period() > 1 {
            return Vec::new();
        }
        let has_any = |comm: &&CommPattern| ledger.origins().any(|origin| comm.matches(origin.key.task.comm));
        let comms: Vec<&CommPattern> = self.comms.iter().filter(|comm| !has_any(comm)).collect();
        // Of processes that have ended the ledger may have forgotten which was which.
        let pids: Vec<String> = match ledger.tally().allocs {
            0 => self.pids.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        let yet = if is_final { "" } else { " yet" };
        let no_pid = (!pids.is_empty())
            .then(|| format!("nothing was allocated by process {}{yet}", pids.join(" or ")));
        self.no_comm(&comms, yet).into_iter().chain(no_pid).collect()
    }

    fn no_comm(&self, comms: &[&CommPattern], yet: &str) -> Option<String> {
        let nothing = comm_pattern::nothing_of(comms, yet)?;
        let threads = self.threads.iter().filter(|(comm, _)| comms.contains(&comm));
        let hints = threads.map(|(comm, process)| {
            format!("; {} is a thread of {}: --comm takes the process", quoted(comm.text()), quoted(process))
        });
        Some(nothing + &hints.collect::<String>())
    }
}

fn quoted(name: &str) -> String {
    format!("'{}'", escape::terminal(name.as_bytes()))
}
