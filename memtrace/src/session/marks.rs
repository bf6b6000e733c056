//! Marks of moments: a signal, or `memtrace mark LABEL` through a socket that has no place in the filesystem.

use std::{
    io,
    os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr},
};

use tokio::{
    io::AsyncReadExt as _,
    net::{UnixListener, UnixStream},
    signal::unix::{Signal, SignalKind, signal},
};

/// A longer label is cut.
pub const LONGEST_LABEL: usize = 200;

/// What a mark without a label is called.
const SIGNAL_LABEL: &[u8] = b"SIGUSR1";

/// The name of the socket of this process; other namespaces of the network do not have it.
pub fn socket_name(pid: u32) -> String {
    format!("memtrace-mark-{pid}")
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

    /// The next mark's label.
    pub async fn next(&mut self) -> Vec<u8> {
        loop {
            let Some(socket) = &self.socket else {
                self.signal.recv().await;
                return SIGNAL_LABEL.to_vec();
            };
            tokio::select! {
                _ = self.signal.recv() => return SIGNAL_LABEL.to_vec(),
                accepted = socket.accept() => {
                    if let Ok((stream, _)) = accepted
                        && let Some(label) = label(stream).await
                    {
                        return label;
                    }
                }
            }
        }
    }
}

/// From root or whoever runs the session; nobody else may write into its recording. One that sends nothing in time is left.
async fn label(stream: UnixStream) -> Option<Vec<u8>> {
    const PATIENCE: std::time::Duration = std::time::Duration::from_millis(20);
    let uid = stream.peer_cred().ok()?.uid();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        return None;
    }
    let mut label = Vec::new();
    let mut stream = stream.take(LONGEST_LABEL as u64);
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut label)).await.ok()?.ok()?;
    Some(label)
}
