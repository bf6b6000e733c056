//! A socket: its protocol, who it talks to, and its state.
//!
//! Of a connection one end is the service, and what leaks has that in common, while the other end's port is another each time. So
//! sockets go by their service: `:443` of this host's, `->10.0.0.1:443` of another's. That is the end with the lower port.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::Range,
};

use super::{field::Field, part::Part};
use crate::{
    kernel::{
        memory::{Memory, Readable as _},
        types::KernelTypes,
    },
    stream::event::Address,
};

/// Ephemeral ports start here (`ip_local_port_range` by default).
const FIRST_EPHEMERAL: u16 = 32_768;

/// `SS_*` and `TCP_*` of the kernel; other protocols use some of them.
const STATES: [&str; 13] = [
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];
const LISTEN: &str = "LISTEN";

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

const MAX_UNIX_PATH: usize = 108;

/// `struct sock`, most of it in `struct sock_common` at its beginning.
#[derive(Clone, Debug, Default)]
pub struct SockFields {
    /// Of `struct sock_common`.
    pub span: Range<u32>,
    pub family: Field,
    pub state: Field,
    pub local_port: Field,
    pub remote_port: Field,
    pub local_v4: Field,
    pub remote_v4: Field,
    pub local_v6: Field,
    pub remote_v6: Field,
    pub protocol: Field,
    pub protocol_name: Field,
    pub protocol_cache: Field,
    /// `sock.sk_type` and `sock.sk_protocol`, of 16 bits.
    pub kind: Field,
    pub number: Field,
    pub unix_address: Field,
    pub unix_address_len: Field,
    pub unix_address_name: Field,
    /// The socket that belongs to an inode of sockfs: `socket.sk` in its object.
    pub of_inode: Field,
}

impl SockFields {
    pub fn find(types: &KernelTypes) -> Self {
        let field = |structure, path| types.offset(structure, path).ok();
        let common = |path| field("sock_common", path);
        Self {
            span: 0..types.size("sock_common").unwrap_or_default(),
            family: common("skc_family"),
            state: common("skc_state"),
            local_port: common("skc_num"),
            remote_port: common("skc_dport"),
            local_v4: common("skc_rcv_saddr"),
            remote_v4: common("skc_daddr"),
            local_v6: common("skc_v6_rcv_saddr"),
            remote_v6: common("skc_v6_daddr"),
            protocol: common("skc_prot"),
            protocol_name: field("proto", "name"),
            protocol_cache: field("proto", "slab"),
            kind: field("sock", "sk_type"),
            number: field("sock", "sk_protocol"),
            unix_address: field("unix_sock", "addr"),
            unix_address_len: field("unix_address", "len"),
            unix_address_name: field("unix_address", "name"),
            of_inode: types
                .first_offset(&[("sockfs_inode", "socket.sk"), ("socket_alloc", "socket.sk")])
                .ok(),
        }
    }
}

/// A socket as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sock {
    /// `tcp`, `udp`, `unix stream`, ...
    pub protocol: String,
    /// What it has in common with sockets like it; None where its name shows that.
    pub pattern: Option<String>,
    pub name: Vec<u8>,
}

impl Sock {
    /// None where there is none that can be read, or it is of a protocol whose sockets are not from this cache.
    pub fn read(
        memory: &Memory,
        fields: &SockFields,
        address: Address,
        cache: Option<Address>,
    ) -> Option<Self> {
        let part = Part::read(memory, address, &fields.span)?;
        let protocol = part.u64(fields.protocol)?;
        if let (Some(cache), Some(slab)) = (cache, fields.protocol_cache)
            && memory.u64(protocol.checked_add(slab.into())?).ok()? != cache
        {
            return None;
        }
        let name = memory.string(protocol.checked_add(fields.protocol_name?.into())?).ok()?;
        let protocol = protocol_of(&name)?;
        let state = STATES.get(usize::from(part.u8(fields.state)?)).copied().unwrap_or_default();
        match part.u16(fields.family)? {
            AF_UNIX => Some(unix(memory, fields, address, state)),
            AF_INET => Some(Ends::v4(&part, fields)?.sock(protocol, state)),
            AF_INET6 => Some(Ends::v6(&part, fields)?.sock(protocol, state)),
            _ => {
                let number = sock_u16(memory, address, fields.number);
                let name = number.map_or_else(String::new, |number| format!("protocol {number}"));
                Some(Self { protocol, pattern: Some(name.clone()), name: name.into_bytes() })
            }
        }
    }
}

/// `TCPv6` is tcp.
fn protocol_of(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| name.trim_end_matches("v6").to_ascii_lowercase())
}

/// Both ends of an internet socket, as shown, and their ports.
struct Ends {
    local: String,
    remote: String,
    local_port: u16,
    remote_port: u16,
}

impl Ends {
    fn v4(part: &Part, fields: &SockFields) -> Option<Self> {
        let address = |field| Some(Ipv4Addr::from(part.bytes::<4>(field)?).to_string());
        Self::new(part, fields, address(fields.local_v4)?, address(fields.remote_v4)?)
    }

    fn v6(part: &Part, fields: &SockFields) -> Option<Self> {
        let address = |field| {
            let address = Ipv6Addr::from(part.bytes::<16>(field)?);
            // One of IPv4 on a socket that takes both.
            Some(address.to_ipv4_mapped().map_or_else(|| format!("[{address}]"), |v4| v4.to_string()))
        };
        Self::new(part, fields, address(fields.local_v6)?, address(fields.remote_v6)?)
    }

    fn new(part: &Part, fields: &SockFields, local: String, remote: String) -> Option<Self> {
        let remote_port = u16::from_be_bytes(part.bytes(fields.remote_port)?);
        Some(Self { local, remote, local_port: part.u16(fields.local_port)?, remote_port })
    }

    fn sock(&self, protocol: String, state: &str) -> Sock {
        let Self { local, remote, local_port, remote_port } = self;
        // Without connections, such as UDP's, CLOSE only says that.
        let state =
            if state.is_empty() || protocol.starts_with("udp") { String::new() } else { format!(" {state}") };
        let (pattern, name) = match (local_port, remote_port) {
            (0, 0) => ("unbound".to_owned(), "unbound".to_owned()),
            (port, 0) => (format!(":{port}"), format!("{local}:{port}")),
            (own, other) => {
                let pattern = match own.min(other) {
                    FIRST_EPHEMERAL.. => format!("->{remote}:<n>"),
                    port if port == other => format!("->{remote}:{port}"),
                    port => format!(":{port}"),
                };
                (pattern, format!("{local}:{own}->{remote}:{other}"))
            }
        };
        Sock { protocol, pattern: Some(pattern + &state), name: (name + &state).into_bytes() }
    }
}

/// A field behind what all sockets have in common.
fn sock_u16(memory: &Memory, address: Address, field: Field) -> Option<u16> {
    let mut bytes = [0; 2];
    memory.read(address.checked_add(field?.into())?, &mut bytes).ok()?;
    Some(u16::from_ne_bytes(bytes))
}

/// A bound one goes by its path; `@` begins the name of one in the abstract namespace.
fn unix(memory: &Memory, fields: &SockFields, address: Address, state: &str) -> Sock {
    let protocol = match sock_u16(memory, address, fields.kind) {
        Some(1) => "unix stream",
        Some(2) => "unix dgram",
        Some(5) => "unix seqpacket",
        _ => "unix",
    };
    let path = unix_path(memory, fields, address).unwrap_or_default();
    let shown = if state == LISTEN || path.is_empty() { state } else { "" };
    let separator: &[u8] = if path.is_empty() || shown.is_empty() { b"" } else { b" " };
    let name = [&path[..], separator, shown.as_bytes()].concat();
    Sock { protocol: protocol.to_owned(), pattern: None, name }
}

fn unix_path(memory: &Memory, fields: &SockFields, address: Address) -> Option<Vec<u8>> {
    let bound =
        memory.u64(address.checked_add(fields.unix_address?.into())?).ok().filter(|&bound| bound != 0)?;
    let len = memory.u32(bound.checked_add(fields.unix_address_len?.into())?).ok()? as usize;
    // Behind the family.
    let len = len.checked_sub(2)?.min(MAX_UNIX_PATH);
    let mut path = vec![0; len];
    memory.read(bound.checked_add(u64::from(fields.unix_address_name?) + 2)?, &mut path).ok()?;
    if let [0, rest @ ..] = &path[..] {
        return Some([b"@", rest].concat());
    }
    let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
    path.truncate(end);
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(local_port: u16, remote_port: u16, protocol: &str, state: &str) -> (String, String) {
        let ends =
            Ends { local: "10.0.0.5".to_owned(), remote: "10.0.0.1".to_owned(), local_port, remote_port };
        let sock = ends.sock(protocol.to_owned(), state);
        (sock.pattern.unwrap(), String::from_utf8(sock.name).unwrap())
    }

    #[test]
    fn sockets_go_by_their_service() {
        let check = |(local, remote), protocol, state, expect: &str, name: &str| {
            assert_eq!(pattern(local, remote, protocol, state), (expect.to_owned(), name.to_owned()));
        };
        check(
            (443, 51_000),
            "tcp",
            "CLOSE_WAIT",
            ":443 CLOSE_WAIT",
            "10.0.0.5:443->10.0.0.1:51000 CLOSE_WAIT",
        );
        let away = "10.0.0.5:51000->10.0.0.1:443 ESTABLISHED";
        check((51_000, 443), "tcp", "ESTABLISHED", "->10.0.0.1:443 ESTABLISHED", away);
        let peers = "10.0.0.5:51000->10.0.0.1:40000 CLOSE_WAIT";
        check((51_000, 40_000), "tcp", "CLOSE_WAIT", "->10.0.0.1:<n> CLOSE_WAIT", peers);
        check((22, 0), "tcp", "LISTEN", ":22 LISTEN", "10.0.0.5:22 LISTEN");
        check((0, 0), "tcp", "CLOSE", "unbound CLOSE", "unbound CLOSE");
        check((53, 0), "udp", "CLOSE", ":53", "10.0.0.5:53");
        check((0, 0), "udp", "CLOSE", "unbound", "unbound");
        check((40_000, 53), "udp", "ESTABLISHED", "->10.0.0.1:53", "10.0.0.5:40000->10.0.0.1:53");
    }

    #[test]
    fn protocols_have_one_name_for_both_versions() {
        let name = |name: &[u8]| protocol_of(name);
        assert_eq!(name(b"TCPv6").as_deref(), Some("tcp"));
        assert_eq!(name(b"UNIX-STREAM").as_deref(), Some("unix-stream"));
        assert_eq!((name(b""), name(b"\x80"), name(b"a b")), (None, None, None));
    }
}
