//! Processes, from /proc/PID.

pub mod memory;

use std::path::{Path, PathBuf};

use memtrace_common::event::{START_TAG_SHIFT, start_tag};

/// /proc counts time in hundredths of a second, on every architecture that memtrace runs on.
const TICK_NS: u64 = 10_000_000;

/// Steps of a start's tag in a tick of /proc.
pub const TICK_STEPS: u32 = (TICK_NS >> START_TAG_SHIFT) as u32 + 1;

/// A process, as opposed to others that had or will have its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Thread group; 0 is the idle task.
    pub tgid: u32,
    /// When it started: see [`memtrace_common::event::start_tag`].
    pub started: u32,
}

/// What /proc/PID/stat says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub comm: Vec<u8>,
    pub parent: u32,
    /// As in [`ProcessId`], rounded down to a tick: it started up to [`TICK_STEPS`] later.
    pub started: u32,
}

/// The name stands in parentheses and may have any bytes, so that the last one closes it.
pub fn parse_stat(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let comm = text.get(open + 1..close)?.to_vec();
    // The state is the third field, the parent the fourth, the start the 22nd.
    let mut fields = str::from_utf8(&text[close + 1..]).ok()?.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let ticks: u64 = fields.nth(17)?.parse().ok()?;
    Some(Stat { comm, parent, started: start_tag(ticks.checked_mul(TICK_NS)?) })
}

pub fn directory(proc: &Path, pid: u32) -> PathBuf {
    proc.join(pid.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_command_name_may_look_like_the_rest_of_the_line() {
        let fields =
            "S 17 4711 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 2000 18446744073709551615 1 1\n";
        let started = start_tag(9_876_540_000_000);
        for comm in [&b"cat"[..], b"a) R 1 (b", b") S 1 (", b"", b"((", b"x)", b"\xff\n"] {
            let stat = parse_stat(&[b"4711 (", comm, b") ", fields.as_bytes()].concat());
            assert_eq!(stat, Some(Stat { comm: comm.to_vec(), parent: 17, started }));
        }
        for odd in [&b"7 (cat) S 1 7"[..], b"7 )cat( S 1 7", b""] {
            assert_eq!(parse_stat(odd), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_stat(&bytes);
            let _ = parse_stat(&[b"1 (x) ", &*bytes].concat());
        }
    }
}
