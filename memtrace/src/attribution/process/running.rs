//! Processes from before the session, of which there was no event: looked up in /proc.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use memtrace_common::event::ARGUMENTS_LEN;

use super::Command;
use crate::{
    procfs::process::{self, ProcessId, TICK_STEPS},
    stream::event::{Comm, Program},
};

/// A process at the moment when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub process: ProcessId,
    /// It started up to this many steps later than its tag says: /proc is no more precise.
    pub slack: u32,
    pub parent: u32,
    pub comm: Comm,
    pub command: Command,
}

/// None where there is no such process, or none that can be read.
pub fn running(tgid: u32) -> Option<Running> {
    let directory = process::directory(Path::new("/proc"), tgid);
    let stat = process::parse_stat(&fs::read(directory.join("stat")).ok()?)?;
    let arguments = beginning(ARGUMENTS_LEN, &directory.join("cmdline")).unwrap_or_default();
    let path = fs::read_link(directory.join("exe")).map(|path| path.into_os_string().into_encoded_bytes());
    let path = path.unwrap_or_default();
    Some(Running {
        process: ProcessId { tgid, started: stat.started },
        slack: TICK_STEPS,
        parent: stat.parent,
        comm: Comm::truncated(&stat.comm),
        command: Command::new(Program { path: &path, arguments: &arguments }),
    })
}

/// At most the first `max` bytes of a file: arguments may be megabytes.
fn beginning(max: usize, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(max);
    File::open(path)?.take(max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_see_ourselves() {
        let seen = running(std::process::id()).unwrap();
        assert_eq!(seen.process.tgid, std::process::id());
        assert_eq!(seen.parent, rustix::process::getppid().map_or(0, |parent| parent.as_raw_pid() as u32));
        assert!(!seen.command.path.is_empty() && !seen.command.arguments.is_empty());
        assert_eq!(running(u32::MAX), None);
    }

    /// A process is returned whole or not at all: never the number of one with the name of another.
    #[test]
    fn processes_that_vanish_while_they_are_running() {
        let (name, mut alive) = (Comm::truncated(b"true"), 0);
        for _ in 0..300 {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let tgid = child.id();
            for seen in (0..20).map_while(|_| running(tgid)) {
                let is_ours_before_exec = seen.parent == std::process::id() && seen.comm != name;
                assert!(seen.process.tgid == tgid && (seen.comm == name || is_ours_before_exec), "{seen:?}");
                alive += 1;
            }
            child.wait().unwrap();
            assert_eq!(running(tgid).filter(|seen| seen.comm == name), None);
        }
        assert!(alive > 0, "none was seen alive");
    }
}
