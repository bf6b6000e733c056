//! Sockets to listen on: our own, or those that systemd opened.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::MetadataExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use rustix::{fs::Mode, process::umask};

use super::address::Address;
use crate::{
    procfs::listening::{self, Listening},
    text::escape,
};

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {source}{}", taken_by(holder.as_ref()))]
    Bind { address: Address, holder: Option<Listening>, source: io::Error },
    #[error("cannot listen on unix:{}: another program listens there", escape::path(.0))]
    SocketInUse(PathBuf),
    #[error("cannot listen on unix:{}: it is there already, and nobody listens on it; remove it", escape::path(.0))]
    SocketExists(PathBuf),
    #[error("cannot use the socket that systemd opened: {0}")]
    Inherited(#[source] io::Error),
}

fn taken_by(holder: Option<&Listening>) -> String {
    holder
        .map(|Listening { pid, comm }| format!("; {} (pid {pid}) listens there", escape::terminal(comm)))
        .unwrap_or_default()
}

pub enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An open socket, and what it is called.
pub struct Listener {
    pub socket: Socket,
    pub address: Address,
    /// Ours, which goes with us.
    _file: Option<SocketFile>,
}

/// The file of a socket; removed when this is dropped, if it is still ours.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on all of them, or on none.
pub fn listen(addresses: &[Address]) -> Result<Vec<Listener>, ListenError> {
    addresses.iter().map(Listener::open).collect()
}

/// The sockets that systemd opened for us; empty if it did not.
pub fn inherited() -> Result<Vec<Listener>, ListenError> {
    let mut sockets = ListenFd::from_env();
    (0..sockets.len()).filter_map(|at| take(&mut sockets, at).transpose()).collect()
}

fn take(sockets: &mut ListenFd, at: usize) -> Result<Option<Listener>, ListenError> {
    // What is no socket of the one kind is left for the other.
    if let Ok(Some(socket)) = sockets.take_unix_listener(at) {
        let name = socket.local_addr().map_err(ListenError::Inherited)?;
        let path = name.as_pathname().unwrap_or(Path::new("/")).to_owned();
        return Ok(Some(Listener::unix(socket, path, None)?));
    }
    let Some(socket) = sockets.take_tcp_listener(at).map_err(ListenError::Inherited)? else {
        return Ok(None);
    };
    let address = Address::Tcp(socket.local_addr().map_err(ListenError::Inherited)?);
    socket.set_nonblocking(true).map_err(ListenError::Inherited)?;
    Ok(Some(Listener { socket: Socket::Tcp(socket), address, _file: None }))
}

impl Listener {
    fn open(address: &Address) -> Result<Self, ListenError> {
        match address {
            Address::Tcp(address) => Self::open_tcp(*address),
            Address::Unix(path) => Self::open_unix(path),
        }
    }

    fn open_tcp(address: SocketAddr) -> Result<Self, ListenError> {
        let failed = |source: io::Error| ListenError::Bind {
            address: Address::Tcp(address),
            holder: (source.kind() == ErrorKind::AddrInUse).then(|| listening::on(address.port())).flatten(),
            source,
        };
        let socket = TcpListener::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        // The port that the kernel chose, if it was left to it.
        let address = Address::Tcp(socket.local_addr().map_err(failed)?);
        Ok(Self { socket: Socket::Tcp(socket), address, _file: None })
    }

    fn open_unix(path: &Path) -> Result<Self, ListenError> {
        if UnixStream::connect(path).is_ok() {
            return Err(ListenError::SocketInUse(path.to_owned()));
        }
        if fs::symlink_metadata(path).is_ok() {
            return Err(ListenError::SocketExists(path.to_owned()));
        }
        // Only we may connect, from the beginning. No other thread makes files yet.
        let before = umask(Mode::RWXG | Mode::RWXO);
        let bound = UnixListener::bind(path);
        umask(before);
        let address = Address::Unix(path.to_owned());
        let socket = bound.map_err(|source| ListenError::Bind { address, holder: None, source })?;
        let inode = fs::symlink_metadata(path).map(|file| file.ino()).unwrap_or_default();
        Self::unix(socket, path.to_owned(), Some(SocketFile { path: path.to_owned(), inode }))
    }

    fn unix(socket: UnixListener, path: PathBuf, file: Option<SocketFile>) -> Result<Self, ListenError> {
        socket.set_nonblocking(true).map_err(ListenError::Inherited)?;
        Ok(Self { socket: Socket::Unix(socket), address: Address::Unix(path), _file: file })
    }

    /// Whether it is a file, which goes with it.
    pub fn is_file(&self) -> bool {
        matches!(self.socket, Socket::Unix(_))
    }

    /// Whether other hosts can connect.
    pub fn is_remote(&self) -> bool {
        matches!(self.address, Address::Tcp(address) if !address.ip().to_canonical().is_loopback())
    }

    /// What may be opened in a browser, where it can be.
    pub fn url(&self, is_encrypted: bool) -> String {
        let scheme = if is_encrypted { "https" } else { "http" };
        match &self.address {
            Address::Tcp(address) => format!("{scheme}://{address}/"),
            address @ Address::Unix(_) => address.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_port_that_is_taken_is_said_with_who_has_it() {
        let first = Listener::open(&"127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let error = Listener::open(&first.address).map(drop).expect_err("it is taken").to_string();
        let pid = std::process::id();
        assert!(
            error.contains(&first.address.to_string())
                && error.contains(&format!("(pid {pid}) listens there")),
            "{error}"
        );
    }

    #[test]
    fn a_socket_is_private_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("s");
        let address = Address::Unix(path.clone());
        let listener = Listener::open(&address).expect("nothing is there");
        let mode = fs::symlink_metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(matches!(Listener::open(&address), Err(ListenError::SocketInUse(_))));
        drop(listener);
        assert!(!path.exists());
        // Whatever is there, it is not ours to replace.
        fs::write(&path, "mine").expect("a file");
        assert!(matches!(Listener::open(&address), Err(ListenError::SocketExists(_))));
        assert_eq!(fs::read(&path).expect("it is there still"), b"mine");
    }
}
