//! Processes as /proc shows them: those that were there before the session.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use memtrace_common::event::{ARGUMENTS_LEN, START_TAG_SHIFT, start_tag};

use super::Command;
use crate::stream::event::{Comm, ProcessId, Program};

/// /proc tells times in hundredths of a second, on every architecture that memtrace runs on.
const TICK_NS: u64 = 10_000_000;

/// A process at the moment when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub process: ProcessId,
    /// It started as its tag says, or up to so many steps later: /proc is not more precise.
    pub slack: u32,
    pub parent: u32,
    pub comm: Comm,
    pub command: Command,
}

/// Looks at a process; None where there is none, or none that can be read.
pub fn read(tgid: u32) -> Option<Seen> {
    let directory = Path::new("/proc").join(tgid.to_string());
    let (parent, comm, started) = stat(&fs::read(directory.join("stat")).ok()?)?;
    let arguments = first(ARGUMENTS_LEN, &directory.join("cmdline")).unwrap_or_default();
    let path = fs::read_link(directory.join("exe")).map(|path| path.into_os_string().into_encoded_bytes());
    let path = path.unwrap_or_default();
    Some(Seen {
        process: ProcessId { tgid, started: start_tag(started) },
        slack: slack(),
        parent,
        comm,
        command: Command::new(Program { path: &path, arguments: &arguments }),
    })
}

/// The first so many bytes of a file: arguments may be megabytes.
fn first(most: usize, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(most);
    File::open(path)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Steps of a start's tag in a tick of /proc.
fn slack() -> u32 {
    (TICK_NS >> START_TAG_SHIFT) as u32 + 1
}

/// Parent, command name, and when it started, in nanoseconds since boot, from `/proc/PID/stat`. The name stands in
/// parentheses and may have any bytes, so that the last one closes it.
fn stat(text: &[u8]) -> Option<(u32, Comm, u64)> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let comm = Comm::truncated(text.get(open + 1..close)?);
    let rest = std::str::from_utf8(&text[close + 1..]).ok()?;
    // The state is the third field.
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let ticks: u64 = fields.nth(17)?.parse().ok()?;
    Some((parent, comm, ticks.checked_mul(TICK_NS)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = |comm: &str| {
            format!(
                "4711 ({comm}) S 17 4711 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 2000 18446744073709551615 1 1"
            )
        };
        for comm in ["curl", "a b", ") S 1 (", "", "((", "x)"] {
            let expected = (17, Comm::truncated(comm.as_bytes()), 9_876_540_000_000);
            assert_eq!(stat(line(comm).as_bytes()), Some(expected), "{comm:?}");
        }
        assert_eq!(stat(b"4711 (curl) S 17"), None);
        assert_eq!(stat(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = stat(&bytes);
        }
    }

    #[test]
    fn we_see_ourselves() {
        let seen = read(std::process::id()).unwrap();
        assert_eq!(seen.process.tgid, std::process::id());
        assert_eq!(seen.parent, rustix::process::getppid().map_or(0, |parent| parent.as_raw_pid() as u32));
        assert!(!seen.command.path.is_empty() && !seen.command.arguments.is_empty());
        assert_eq!(read(u32::MAX), None);
    }

    /// Those that are there are told whole, or not at all: never the number of one with the name of another.
    #[test]
    fn processes_that_vanish_while_they_are_read() {
        let (name, mut told) = (Comm::truncated(b"true"), 0);
        for _ in 0..300 {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            let tgid = child.id();
            for seen in (0..20).map_while(|_| read(tgid)) {
                let is_ours_before_exec = seen.parent == std::process::id() && seen.comm != name;
                assert!(seen.process.tgid == tgid && (seen.comm == name || is_ours_before_exec), "{seen:?}");
                told += 1;
            }
            child.wait().unwrap();
            assert_eq!(read(tgid).filter(|seen| seen.comm == name), None);
        }
        assert!(told > 0, "none was seen alive");
    }
}
