//! Who listens on a TCP port: /proc/net/tcp and /proc/net/tcp6 have the sockets, /proc/PID/fd whose they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    pub pid: u32,
    pub comm: Vec<u8>,
}

/// TCP_LISTEN of include/net/tcp_states.h.
const LISTEN: &str = "0A";

/// None where nobody does in our network namespace, or whose it is may not be seen.
pub fn on(port: u16) -> Option<Listening> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes: Vec<u64> = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| inodes(&text, port))
        .collect();
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let holds = |pid: &u32| sockets(*pid).any(|inode| inodes.contains(&inode));
    let pid = pids.filter(|_| !inodes.is_empty()).find(holds)?;
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Listening { pid, comm: comm.trim_ascii_end().to_vec() })
}

/// The sockets of a table that listen on a port.
fn inodes(table: &str, port: u16) -> Vec<u64> {
    let inode = |line: &str| {
        let mut words = line.split_whitespace();
        let (_, local_port) = words.nth(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local_port, 16) == Ok(port) && words.nth(1)? == LISTEN;
        is_it.then(|| words.nth(5)?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(inode).collect()
}

fn sockets(pid: u32) -> impl Iterator<Item = u64> {
    let files = fs::read_dir(PathBuf::from(format!("/proc/{pid}/fd")));
    files.into_iter().flatten().flatten().filter_map(|file| socket(&fs::read_link(file.path()).ok()?))
}

/// `socket:[12345]`
fn socket(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_listen_are_found_by_their_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:24DB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 ffff 100 0 0 10 0
   1: 0100007F:24DB 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 ffff 100 0 0 10 0
   2: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 ffff 100 0 0 10 0
   3: garbage
";
        assert_eq!(inodes(table, 0x24db), [4711]);
        assert_eq!(inodes(table, 22), [4713]);
        assert!(inodes(table, 80).is_empty() && inodes("", 80).is_empty());
    }

    #[test]
    fn a_listener_of_ours_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = socket.local_addr().expect("it is bound").port();
        assert_eq!(on(port).map(|listening| listening.pid), Some(std::process::id()));
    }
}
