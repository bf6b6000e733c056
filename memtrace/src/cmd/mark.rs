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

use super::{
    exit::{Exit, Failure},
    shared::number,
};
use crate::session::marks::{Answer, MAX_LABEL, socket_name};

/// Where the kernel lists the sockets of this network namespace.
const SOCKETS: &str = "/proc/net/unix";

/// A session answers within some milliseconds, unless the host is very busy.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args, Clone, Debug)]
pub struct MarkArgs {
    /// Name of the mark: memtrace report FILE --from mark:LABEL
    #[arg(default_value = "mark", value_parser = label)]
    pub label: String,

    /// Process id of the memtrace that records, if several do
    #[arg(short, long, value_name = "PID", value_parser = number::process_id, allow_hyphen_values = true)]
    pub pid: Option<u32>,
}

#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    #[error("cannot find running recordings: {SOCKETS}: {0}")]
    Sockets(#[source] io::Error),
    #[error(
        "no recording is running here (memtrace record, memtrace bundle); to mark one in another network namespace: kill -USR1 PID"
    )]
    None,
    #[error("process {pid} is not recording{others}", others = listed(.others))]
    NotThis { pid: u32, others: Vec<u32> },
    #[error("{} recordings are running; choose one with --pid: {}", .0.len(), pids(.0))]
    Several(Vec<u32>),
    #[error("only root and the user who records may mark the recording of process {0}: sudo memtrace mark")]
    NotAllowed(u32),
    #[error("the recording of process {0} did not take the mark: it has ended, or is too busy. Try again")]
    NoAnswer(u32),
    #[error("cannot reach the recording of process {pid}: {source}")]
    Connect { pid: u32, source: io::Error },
}

impl Failure for MarkError {
    fn exit(&self) -> Exit {
        if matches!(self, Self::Several(_)) { Exit::Usage } else { Exit::Failed }
    }
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
    match send(pid, args.label.as_bytes()) {
        Ok(Some(Answer::Marked)) => Ok(()),
        Ok(Some(Answer::NotAllowed)) => Err(MarkError::NotAllowed(pid)),
        Ok(None) => Err(MarkError::NoAnswer(pid)),
        Err(error) if is_gone_or_busy(&error) => Err(MarkError::NoAnswer(pid)),
        Err(source) => Err(MarkError::Connect { pid, source }),
    }
}

/// The recorder ended meanwhile, or did not answer in time.
fn is_gone_or_busy(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, TimedOut, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | TimedOut | WouldBlock)
}

/// The processes that listen for marks, from the last column: `... 01 12345 @memtrace-mark-4711`.
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

/// None if the recorder closes the connection without an answer.
fn send(pid: u32, label: &[u8]) -> io::Result<Option<Answer>> {
    let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(socket_name(pid))?)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let sent = stream.write_all(label).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    // A recorder that refuses may close before all was sent; its answer can still be read.
    let read = stream.take(1).read_to_end(&mut answer);
    match answer.first() {
        Some(&byte) => Ok(Answer::of_byte(byte)),
        None => sent.and(read).map(|_| None),
    }
}

fn label(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("a label cannot be empty".to_owned()),
        1..=MAX_LABEL => Ok(text.to_owned()),
        len => Err(format!("it has {len} bytes; the maximum is {MAX_LABEL}")),
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
        check(&[7, 8], None, Err("2 recordings are running; choose one with --pid: 7, 8"));
        check(&[7], Some(9), Err("process 9 is not recording; these are: 7"));
        let none = "no recording is running here (memtrace record, memtrace bundle); to mark one in another network namespace: kill \
            -USR1 PID";
        check(&[], None, Err(none));
        check(&[], Some(3), Err(none));
    }
}
