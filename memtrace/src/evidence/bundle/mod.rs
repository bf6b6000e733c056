//! All that a ticket needs in one file: a compressed tar of a recording, the pages made of it, and the host's own figures.
//!
//! Members are made one by one ([`host`], [`pages`], [`readme`]) and packed at the end ([`archive`]).

pub mod archive;
pub mod host;
pub mod pages;
pub mod readme;

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    /// What it is, and how to read it, for the README.
    pub about: &'static str,
    pub bytes: Vec<u8>,
}

impl Member {
    pub fn new(name: impl Into<String>, about: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), about, bytes: bytes.into() }
    }
}

/// What the recording is called in a bundle.
pub const RECORDING: &str = "recording.mt";
pub const ABOUT_RECORDING: &str =
    "the recording; memtrace report and memtrace diff make tables, graphs and parts of it";
