//! What a recording waits for, and what is done where a condition begins to hold.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::mpsc::Sender,
};

use crate::condition::Watch;

/// Each may be as large as the recording.
pub const MAX_COPIES: u32 = 5;

pub struct Until {
    pub watches: Vec<Watch>,
    pub then: Then,
    /// Takes what happened, a sentence each.
    pub told: Sender<String>,
    /// Readings of slabinfo that were taken into account.
    pub slabinfo_readings: u32,
}

impl Until {
    /// `told` takes what happens.
    pub fn new(watches: Vec<Watch>, then: Then, told: Sender<String>) -> Self {
        Self { watches, then, told, slabinfo_readings: 0 }
    }
}

/// What is done where a condition begins to hold. A mark is set in any case.
pub enum Then {
    /// The session ends.
    End,
    /// It goes on; what the ring has by then is copied.
    Keep(Copies),
}

/// Copies of a ring, numbered.
pub struct Copies {
    ring: PathBuf,
    /// Files that exist are replaced.
    pub replace: bool,
    made: u32,
}

impl Copies {
    pub fn of(ring: &Path, replace: bool) -> Self {
        Self { ring: ring.to_owned(), replace, made: 0 }
    }

    /// All that there may be.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        (1..=MAX_COPIES).map(|number| numbered(&self.ring, number))
    }

    /// Where the next one goes; None behind the last.
    pub fn take(&mut self) -> Option<PathBuf> {
        let number = (self.made < MAX_COPIES).then_some(self.made + 1)?;
        self.made = number;
        Some(numbered(&self.ring, number))
    }
}

/// `incident.mt`, `incident.1.mt`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(format!(".{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_numbered_and_not_without_end() {
        let mut copies = Copies::of(Path::new("/var/tmp/incident.mt"), false);
        let names: Vec<PathBuf> = std::iter::from_fn(|| copies.take()).collect();
        assert_eq!(names.len(), MAX_COPIES as usize);
        assert_eq!(names, copies.paths().collect::<Vec<_>>());
        assert_eq!(names[0], Path::new("/var/tmp/incident.1.mt"));
        assert_eq!(numbered(Path::new("a"), 2), Path::new("a.2"));
        assert_eq!(numbered(Path::new("x/a.b.c"), 3), Path::new("x/a.b.3.c"));
    }
}
