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
};

/// A longer label is cut.
pub const LONGEST_LABEL: usize = 200;

/// The session waits for nobody for long: the rings have room for a second.
const PATIENCE: Duration = Duration::from_millis(200);

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
        Ok(Self { signal, socket: socket.ok() })
    }

    /// The next mark that somebody sets.
    pub async fn next(&mut self) -> Mark {
        let of_signal = || Mark { label: SIGNAL_LABEL.to_vec(), asker: None };
        loop {
            let Some(socket) = &self.socket else {
                self.signal.recv().await;
                return of_signal();
            };
            tokio::select! {
                _ = self.signal.recv() => return of_signal(),
                accepted = socket.accept() => {
                    if let Ok((stream, _)) = accepted
                        && let Some(mark) = asked_for(stream).await
                    {
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

/// From root or whoever runs the session; nobody else may write into its recording. One that sends nothing in time is left.
async fn asked_for(mut stream: UnixStream) -> Option<Mark> {
    let uid = stream.peer_cred().ok()?.uid();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        say(stream, Answer::NotAllowed);
        return None;
    }
    let mut label = Vec::new();
    let mut limited = (&mut stream).take(LONGEST_LABEL as u64);
    tokio::time::timeout(PATIENCE, limited.read_to_end(&mut label)).await.ok()?.ok()?;
    Some(Mark { label, asker: Some(stream) })
}

/// There is room for a byte, so this does not wait. Whoever does not read it has gone.
fn say(stream: UnixStream, answer: Answer) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(&[answer.byte()]);
    }
}
