//! Where to listen.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use crate::text::escape;

/// The port that is taken where none is asked for: of those that Prometheus' exporters use, one that was free in 2026.
pub const DEFAULT: &str = "127.0.0.1:9435";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

const UNIX: &str = "unix:";

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix(UNIX) {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err("a socket's path begins with /")
            };
        }
        let of_localhost = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let address = of_localhost.as_deref().unwrap_or(text).parse();
        address
            .map(Self::Tcp)
            .map_err(|_| "not ADDRESS:PORT, as 127.0.0.1:9435 or [::1]:9435, nor unix:/PATH")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", escape::path(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["127.0.0.1:9435", "[::1]:80", "0.0.0.0:0", "unix:/run/memtrace.sock"] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("localhost:1".parse(), Ok(Address::Tcp(([127, 0, 0, 1], 1).into())));
        for text in
            ["", ":9435", "9435", "example.org:80", "127.0.0.1", "unix:", "unix:run", "127.0.0.1:65536"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert!(DEFAULT.parse::<Address>().is_ok());
    }
}
