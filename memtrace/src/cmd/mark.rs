//! `memtrace mark`: a name for this moment, in a recording that runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Duration,
};

use clap::Args;
use rustix::{
    net::{
        self, AddressFamily, SocketAddrUnix, SocketType, UCred,
        sockopt::{self, Timeout},
    },
    process::geteuid,
};

use super::{
    exit::{Exit, Failure},
    shared::number,
};
use crate::session::marks::{Answer, MAX_LABEL, socket_name};

/// Where the kernel lists the sockets of this network namespace.
const SOCKETS: &str = "/proc/net/unix";

/// A session answers within some milliseconds, unless the host is very busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of many sockets each is waited for so long at least.
const MIN_WAIT: Duration = Duration::from_millis(20);

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
    #[error(
        "the mark was not set: the socket @{} belongs to another program (process {pid}, user {uid}), which pretends to record",
        socket_name(wanted)
    )]
    Impostor { wanted: u32, pid: i32, uid: u32 },
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
    let listening = recorders(&sockets);
    let wait = (PATIENCE / u32::try_from(listening.len().max(1)).unwrap_or(u32::MAX)).max(MIN_WAIT);
    let mut servers: BTreeMap<u32, io::Result<Server>> =
        listening.into_iter().map(|pid| (pid, Server::connect(pid, wait))).collect();
    if let Some(error) = args.pid.and_then(|pid| impostor(pid, servers.get(&pid)?)) {
        return Err(error);
    }
    servers.retain(|pid, server| server.as_ref().map_or(true, |server| server.is_recorder(*pid)));
    let pid = choose(&servers.keys().copied().collect(), args.pid)?;
    let Some(server) = servers.remove(&pid) else { return Err(MarkError::None) };
    match server.and_then(|server| send(server.stream, args.label.as_bytes())) {
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

/// Who listens at a socket. Anybody may take the name of one.
struct Server {
    stream: UnixStream,
    pid: i32,
    uid: u32,
}

impl Server {
    /// Waits so long where others are in the queue.
    fn connect(pid: u32, wait: Duration) -> io::Result<Self> {
        let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        sockopt::set_socket_timeout(&socket, Timeout::Send, Some(wait))?;
        net::connect(&socket, &SocketAddrUnix::new_abstract_name(socket_name(pid).as_bytes())?)?;
        let UCred { pid, uid, .. } = sockopt::socket_peercred(&socket)?;
        Ok(Self { stream: socket.into(), pid: pid.as_raw_nonzero().get(), uid: uid.as_raw() })
    }

    /// It is the process that its socket names, and root's or our own.
    fn is_recorder(&self, pid: u32) -> bool {
        i64::from(self.pid) == i64::from(pid) && (self.uid == 0 || self.uid == geteuid().as_raw())
    }
}

fn impostor(wanted: u32, server: &io::Result<Server>) -> Option<MarkError> {
    let server = server.as_ref().ok().filter(|server| !server.is_recorder(wanted))?;
    Some(MarkError::Impostor { wanted, pid: server.pid, uid: server.uid })
}

/// None if the recorder closes the connection without an answer.
fn send(mut stream: UnixStream, label: &[u8]) -> io::Result<Option<Answer>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let sent = stream.write_all(label).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    // A recorder that refuses may close before all was sent; its answer can still be read.
    let read = stream.take(1).read_to_end(&mut answer);
    match answer.first() {
        Some(&byte) => Ok(Answer::from_byte(byte)),
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
