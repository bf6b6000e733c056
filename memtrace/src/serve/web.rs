//! TLS and users, by a file of Prometheus' own format.
//!
//! The file, and those that it names, are looked at for each connection and each request, and read again if they have changed, as
//! Prometheus' exporters do. What is wrong by then does not end TLS or let anybody in: what held goes on to hold.

mod file;
mod tls;
mod users;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;

pub use self::file::WebError;
use self::users::{Gate, Users};

/// What a file says.
#[derive(Default)]
pub struct Config {
    /// None: connections are not encrypted.
    pub tls: Option<Arc<ServerConfig>>,
    /// Of each answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    users: Users,
    asks_for_certificates: bool,
}

impl Config {
    /// Whether it asks nobody for a password or a certificate.
    pub fn lets_in_everybody(&self) -> bool {
        self.has_no_users() && !self.asks_for_certificates
    }

    fn has_no_users(&self) -> bool {
        self.users.is_empty()
    }
}

/// The file as it is now.
pub struct Web {
    path: Option<PathBuf>,
    current: Mutex<Current>,
    gate: Gate,
}

struct Current {
    config: Arc<Config>,
    /// Of the files that it came from.
    stamps: Vec<Stamp>,
}

/// Changes where a file is written, or another one takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    /// None where it cannot be read.
    state: Option<(u64, u64, i64, i64)>,
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let state = fs::metadata(path).ok();
        let state = state.map(|file| (file.ino(), file.len(), file.ctime(), file.ctime_nsec()));
        Self { path: path.to_owned(), state }
    }
}

/// Whether a file has the right form, whatever is in it.
pub fn check_form(bytes: &[u8]) -> Result<(), String> {
    file::parse(bytes).map(drop)
}

impl Web {
    /// Without a file there is no TLS, and nobody is asked for a password.
    pub fn open(path: Option<&Path>) -> Result<Self, WebError> {
        let (config, stamps) = match path {
            Some(path) => {
                // Before it is read: what is written meanwhile is read once more.
                let own = Stamp::of(path);
                let read = file::read(path)?;
                let stamps = std::iter::once(own).chain(read.files.iter().map(|path| Stamp::of(path)));
                let stamps = stamps.collect();
                (read.into_config(path)?, stamps)
            }
            None => (Config::default(), Vec::new()),
        };
        let current = Mutex::new(Current { config: Arc::new(config), stamps });
        Ok(Self { path: path.map(Path::to_owned), current, gate: Gate::default() })
    }

    pub fn current(&self) -> Arc<Config> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = self.path.as_deref().filter(|_| current.has_changed()) {
            current.read_again(path);
        }
        Arc::clone(&current.config)
    }

    /// Whether this request may be answered.
    pub async fn admits(&self, config: &Config, authorization: Option<&HeaderValue>) -> bool {
        config.has_no_users() || self.gate.admits(&config.users, authorization).await
    }
}

impl Current {
    fn has_changed(&self) -> bool {
        self.stamps.iter().any(|stamp| Stamp::of(&stamp.path) != *stamp)
    }

    fn read_again(&mut self, path: &Path) {
        for stamp in &mut self.stamps {
            *stamp = Stamp::of(&stamp.path);
        }
        match Web::open(Some(path))
            .map(|web| web.current.into_inner().unwrap_or_else(PoisonError::into_inner))
        {
            Ok(new) => *self = new,
            // Nowhere to complain if even standard error is closed. Said once, until something changes.
            Err(error) => drop(writeln!(io::stderr(), "memtrace: the old web configuration stays: {error}")),
        }
    }
}

#[cfg(test)]
mod tests;
