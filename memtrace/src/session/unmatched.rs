//! Filters under which nothing was allocated: most likely something else was meant.

use super::options::Options;
use crate::{
    stream::{event::Comm, ledger::Ledger},
    text::escape,
};

/// A sentence each for names and for processes, at the end of a session.
pub fn notes(options: &Options, ledger: &Ledger) -> Vec<String> {
    // Of few objects a sample may have none: that proves nothing.
    if ledger.period() > 1 {
        return Vec::new();
    }
    let has_comm = |comm: &&String| {
        let comm = Comm::truncated(comm.as_bytes());
        ledger.origins().any(|origin| origin.key.task.comm == comm)
    };
    let comms: Vec<String> =
        options.comms.iter().filter(|comm| !has_comm(comm)).map(|comm| quoted(comm)).collect();
    // Of processes that have ended the ledger may have forgotten which was which.
    let pids: Vec<String> = match ledger.tally().allocs {
        0 => options.pids.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let no_comm = (!comms.is_empty()).then(|| {
        format!(
            "nothing was allocated under the name {}: --comm takes the whole name of a process; its threads count under that name",
            comms.join(", ")
        )
    });
    let no_pid =
        (!pids.is_empty()).then(|| format!("nothing was allocated by process {}", pids.join(" or ")));
    no_comm.into_iter().chain(no_pid).collect()
}

fn quoted(comm: &str) -> String {
    format!("'{}'", escape::terminal(comm.as_bytes()))
}
