//! `memtrace mark`: a name for this moment, in a recording that runs.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixStream},
    },
    time::Duration,
};

use clap::Args;

use super::number;
use crate::session::marks::{Answer, MAX_LABEL, socket_name};

/// Where the kernel lists the sockets of this network namespace.
const SOCKETS: &str = "/proc/net/unix";

/// A session answers within some milliseconds, unless the host is very busy.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args, Clone, Debug)]
pub struct MarkArgs {
    /// What to call this moment: memtrace report FILE --from mark:LABEL
    #[arg(default_value = "mark", value_parser = label)]
    pub label: String,

    /// The recording memtrace's process id, where there are several
    #[arg(short, long, value_name = "PID", value_parser = number::process_id, allow_hyphen_values = true)]
    pub pid: Option<u32>,
}

#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    #[error("cannot see which recordings run: {SOCKETS}: {0}")]
    Sockets(#[source] io::Error),
    #[error(
        "no recording runs here (memtrace record, memtrace bundle); one in another network namespace takes a mark by kill -USR1 PID"
    )]
    None,
    #[error("process {pid} is not recording{others}", others = listed(.others))]
    NotThis { pid: u32, others: Vec<u32> },
    #[error("{} recordings run: say which with --pid: {}", .0.len(), pids(.0))]
    Several(Vec<u32>),
    #[error("the recording of process {0} is marked only by root and by who runs it: sudo memtrace mark")]
    NotAllowed(u32),
    #[error("the recording of process {0} did not take the mark: it has ended, or is too busy. Try again")]
    NoAnswer(u32),
    #[error("cannot talk to the recording of process {pid}: {source}")]
    Talk { pid: u32, source: io::Error },
}

fn listed(others: &[u32]) -> String {
    if others.is_empty() { String::new() } else { format!("; these are: {}", pids(others)) }
}

fn pids(pids: &[u32]) -> String {
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

pub fn run(args: &MarkArgs) -> Result<(), MarkError> {
    let sockets = fs::read(SOCKETS).map_err(MarkError::Sockets)?;
    let pid = choose(&recorders(&sockets), args.pid)?;
    match tell(pid, args.label.as_bytes()) {
        Ok(Some(Answer::Marked)) => Ok(()),
        Ok(Some(Answer::NotAllowed)) => Err(MarkError::NotAllowed(pid)),
        Ok(None) => Err(MarkError::NoAnswer(pid)),
        Err(error) if is_of_going(&error) => Err(MarkError::NoAnswer(pid)),
        Err(source) => Err(MarkError::Talk { pid, source }),
    }
}

/// It went while we talked, or does not find the time.
fn is_of_going(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, TimedOut, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | TimedOut | WouldBlock)
}

/// The processes that listen for marks, by the last words of the lines: `... 01 12345 @memtrace-mark-4711`.
fn recorders(sockets: &[u8]) -> BTreeSet<u32> {
    let prefix = format!("@{}", socket_name(""));
    let lines = sockets.split(|&byte| byte == b'\n');
    let names = lines.filter_map(|line| str::from_utf8(line.rsplit(|&byte| byte == b' ').next()?).ok());
    names.filter_map(|name| name.strip_prefix(&prefix)?.parse().ok()).collect()
}

fn choose(recorders: &BTreeSet<u32>, wanted: Option<u32>) -> Result<u32, MarkError> {
    let all = || recorders.iter().copied().collect::<Vec<_>>();
    match (wanted, &all()[..]) {
        (_, []) => Err(MarkError::None),
        (Some(pid), _) if recorders.contains(&pid) => Ok(pid),
        (Some(pid), _) => Err(MarkError::NotThis { pid, others: all() }),
        (None, &[only]) => Ok(only),
        (None, _) => Err(MarkError::Several(all())),
    }
}

/// None where it hangs up without a word.
fn tell(pid: u32, label: &[u8]) -> io::Result<Option<Answer>> {
    let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(socket_name(pid))?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let sent = stream.write_all(label).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    // Whoever refuses may have hung up before all was sent: the answer is there all the same.
    let read = stream.take(1).read_to_end(&mut answer);
    match answer.first() {
        Some(&byte) => Ok(Answer::from_byte(byte)),
        None => sent.and(read).map(|_| None),
    }
}

fn label(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("a label has a letter at least".to_owned()),
        1..=MAX_LABEL => Ok(text.to_owned()),
        len => Err(format!("it has {len} bytes; {MAX_LABEL} is the most")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &[u8] = b"\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 12345 @memtrace-mark-4711
0000000000000000: 00000003 00000000 00000000 0001 03 12346 @memtrace-mark-4711
0000000000000000: 00000002 00000000 00010000 0001 01 12347 /run/memtrace-mark-12
0000000000000000: 00000002 00000000 00010000 0001 01 12348 @memtrace-mark-x
0000000000000000: 00000002 00000000 00010000 0001 01 12349 @memtrace-mark-88
0000000000000000: 00000002 00000000 00000000 0002 01 12350
\xff\xfe
";

    #[test]
    fn recorders_are_known_by_their_sockets() {
        assert_eq!(recorders(SOME), BTreeSet::from([88, 4711]));
        assert_eq!(recorders(b""), BTreeSet::new());
    }

    #[test]
    fn the_only_one_is_meant() {
        let check = |recorders: &[u32], wanted, expect: Result<u32, &str>| {
            let found = choose(&recorders.iter().copied().collect(), wanted);
            assert_eq!(found.map_err(|error| error.to_string()), expect.map_err(str::to_owned));
        };
        check(&[7], None, Ok(7));
        check(&[7, 8], Some(8), Ok(8));
        check(&[7, 8], None, Err("2 recordings run: say which with --pid: 7, 8"));
        check(&[7], Some(9), Err("process 9 is not recording; these are: 7"));
        let none = "no recording runs here (memtrace record, memtrace bundle); one in another network namespace takes a mark by kill \
            -USR1 PID";
        check(&[], None, Err(none));
        check(&[], Some(3), Err(none));
    }
}
