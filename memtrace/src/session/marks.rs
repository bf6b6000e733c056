//! Marks in a recording: a signal sets them, or `memtrace mark LABEL` through a socket in the abstract namespace.

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
    time::{Instant, sleep_until, timeout_at},
};

/// Bytes; a longer label is cut.
pub const MAX_LABEL: usize = 200;

/// A sender has this long to send its label. The session goes on meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// After somebody who may not, or whom we had no descriptor for, nobody is let in for so long: whoever comes again and again costs
/// the session next to nothing, and the others wait for less than a second.
const REST: Duration = Duration::from_millis(5);

/// The label of a mark that a signal set.
const SIGNAL_LABEL: &[u8] = b"SIGUSR1";

/// The abstract socket of this process. It is visible in this network namespace only.
pub fn socket_name(pid: impl Display) -> String {
    format!("memtrace-mark-{pid}")
}

/// The answer to a label, one byte.
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

    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Marked, Self::NotAllowed].into_iter().find(|answer| answer.byte() == byte)
    }
}

pub struct Marks {
    signal: Signal,
    /// Where it cannot be made, only the signal sets marks.
    socket: io::Result<UnixListener>,
    /// A sender whose label has not arrived whole. Kept here, since [`Self::next`] may be cancelled and called again.
    asking: Option<Asking>,
    /// Nobody is let in before.
    rest_until: Instant,
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
        Ok(Self { signal, socket, asking: None, rest_until: Instant::now() })
    }

    /// Says that `memtrace mark` cannot set marks, and why.
    pub fn problem(&self) -> Option<String> {
        let (error, pid) = (self.socket.as_ref().err()?, std::process::id());
        let name = socket_name(pid);
        let taken = error.kind() == io::ErrorKind::AddrInUse;
        let why = if taken { format!("another process listens at @{name}") } else { error.to_string() };
        Some(format!("memtrace mark cannot mark this session: {why}; kill -USR1 {pid} can"))
    }

    /// Waits for the next mark.
    pub async fn next(&mut self) -> Mark {
        let signalled = || Mark { label: SIGNAL_LABEL.to_vec(), asker: None };
        let Self { signal, socket, asking, rest_until } = self;
        let Ok(socket) = socket else {
            signal.recv().await;
            return signalled();
        };
        loop {
            tokio::select! {
                _ = signal.recv() => return signalled(),
                accepted = accept(socket, *rest_until), if asking.is_none() => {
                    *asking = accepted.ok().and_then(admitted);
                    if asking.is_none() {
                        *rest_until = Instant::now() + REST;
                    }
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

/// A mark to be set.
pub struct Mark {
    pub label: Vec<u8>,
    /// The sender, which waits for the answer.
    asker: Option<UnixStream>,
}

impl Mark {
    /// Tells the sender that the mark is set: what happens from here on comes after it.
    pub fn confirm(self) {
        if let Some(asker) = self.asker {
            send(asker, Answer::Marked);
        }
    }
}

async fn accept(socket: &UnixListener, rest_until: Instant) -> io::Result<UnixStream> {
    sleep_until(rest_until).await;
    socket.accept().await.map(|(stream, _)| stream)
}

/// Only root and the user that runs the session may write into its recording.
fn admitted(stream: UnixStream) -> Option<Asking> {
    let uid = stream.peer_cred().ok()?.uid();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        send(stream, Answer::NotAllowed);
        return None;
    }
    Some(Asking { stream, label: Vec::new(), until: Instant::now() + PATIENCE })
}

/// Reads the label to its end. Cancelled, it keeps what it has read. A sender that takes too long is dropped.
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
    // Who only looks whether we are there sends none.
    let Asking { stream, label, .. } = asking.take()?;
    (!label.is_empty()).then_some(Mark { label, asker: Some(stream) })
}

/// There is room for a byte, so this does not wait. A sender that does not read it has gone.
fn send(stream: UnixStream, answer: Answer) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(&[answer.byte()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_let_in_while_it_rests() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("marks");
            let socket = UnixListener::bind(&path).unwrap();
            let _asking = UnixStream::connect(&path).await.unwrap();
            let now = Instant::now();
            let hour = Duration::from_secs(3600);
            assert!(timeout_at(now, accept(&socket, now + hour)).await.is_err());
            assert!(timeout_at(now + hour, accept(&socket, now)).await.unwrap().is_ok());
        });
    }
}
