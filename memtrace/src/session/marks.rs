//! Marks of moments: a signal, or `memtrace mark LABEL` through a socket that has no place in the filesystem.

use std::{
    fmt::Display,
    io::{self, Write as _},
    os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    net::{UnixListener, UnixStream},
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, timeout_at},
};

/// A longer label is cut.
pub const MAX_LABEL: usize = 200;

/// So long somebody may take to tell a label. The session does other things meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a mark without a label is called.
const SIGNAL_LABEL: &[u8] = b"SIGUSR1";

/// The name of the socket of this process; other namespaces of the network do not have it.
pub fn socket_name(pid: impl Display) -> String {
    format!("memtrace-mark-{pid}")
}

/// What whoever sends a label is told, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Marked,
    NotAllowed,
}

impl Answer {
    fn byte(self) -> u8 {
        match self {
            Self::Marked => b'+',
            Self::NotAllowed => b'-',
        }
    }

    pub fn of_byte(byte: u8) -> Option<Self> {
        [Self::Marked, Self::NotAllowed].into_iter().find(|answer| answer.byte() == byte)
    }
}

pub struct Marks {
    signal: Signal,
    /// None where there can be none: then the signal has to do.
    socket: Option<UnixListener>,
    /// Who is telling a label: kept here, since whoever waits for a mark also waits for other things, and comes back.
    asking: Option<Asking>,
}

struct Asking {
    stream: UnixStream,
    label: Vec<u8>,
    until: Instant,
}

impl Marks {
    pub fn listen() -> io::Result<Self> {
        let signal = signal(SignalKind::user_defined1())?;
        let address = SocketAddr::from_abstract_name(socket_name(std::process::id()));
        let listener = address.and_then(|address| std::os::unix::net::UnixListener::bind_addr(&address));
        let socket = listener.and_then(|listener| {
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        });
        Ok(Self { signal, socket: socket.ok(), asking: None })
    }

    /// The next mark that somebody sets.
    pub async fn next(&mut self) -> Mark {
        let of_signal = || Mark { label: SIGNAL_LABEL.to_vec(), asker: None };
        let Self { signal, socket, asking } = self;
        let Some(socket) = socket else {
            signal.recv().await;
            return of_signal();
        };
        loop {
            tokio::select! {
                _ = signal.recv() => return of_signal(),
                accepted = socket.accept(), if asking.is_none() => {
                    *asking = accepted.ok().and_then(|(stream, _)| admitted(stream));
                }
                mark = asked_for(asking), if asking.is_some() => {
                    if let Some(mark) = mark {
                        return mark;
                    }
                }
            }
        }
    }
}

/// A moment that is to be marked.
pub struct Mark {
    pub label: Vec<u8>,
    /// Who waits for it to be done.
    asker: Option<UnixStream>,
}

impl Mark {
    /// What happens from here on is behind it.
    pub fn is_set(self) {
        if let Some(asker) = self.asker {
            say(asker, Answer::Marked);
        }
    }
}

/// From root or whoever runs the session; nobody else may write into its recording.
fn admitted(stream: UnixStream) -> Option<Asking> {
    let uid = stream.peer_cred().ok()?.uid();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        say(stream, Answer::NotAllowed);
        return None;
    }
    Some(Asking { stream, label: Vec::new(), until: Instant::now() + PATIENCE })
}

/// Reads the label to its end; what was read so far stays where this is dropped. One that sends nothing in time is left.
async fn asked_for(asking: &mut Option<Asking>) -> Option<Mark> {
    while let Some(Asking { stream, label, until }) = asking {
        let mut bytes = [0; MAX_LABEL];
        let room = MAX_LABEL - label.len();
        if room == 0 {
            break;
        }
        match timeout_at(*until, stream.read(&mut bytes[..room])).await {
            Ok(Ok(0)) => break,
            Ok(Ok(read)) => label.extend_from_slice(&bytes[..read]),
            Ok(Err(_)) | Err(_) => *asking = None,
        }
    }
    asking.take().map(|Asking { stream, label, .. }| Mark { label, asker: Some(stream) })
}

/// There is room for a byte, so this does not wait. Whoever does not read it has gone.
fn say(stream: UnixStream, answer: Answer) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(&[answer.byte()]);
    }
}
