//! What a command waits for.

use std::{path::PathBuf, sync::mpsc::Sender};

use clap::Args;

use super::conditions::{ConditionError, watches};
use crate::{
    cmd::exit::{Exit, Failure},
    condition::{self, Condition},
    evidence::output_file::FileError,
    procfs::Files,
    session::until::{Copies, Then, Until},
};

#[derive(Args, Clone, Debug)]
pub struct UntilArgs {
    /// Stop when this holds: 'dentry > 10G', 'slab > 40%', 'SUnreclaim +500M/1h', 'available lasts < 10m', finding; may be repeated
    ///
    /// Names are those of slab caches, globs of them, and lines of /proc/meminfo. A share is one of all memory, of 'pressure > 10%' one
    /// of the time. `finding` is somebody who leaks or floods. See docs/conditions.md.
    #[arg(long = "until", value_name = "CONDITION", value_parser = condition::parse)]
    pub conditions: Vec<Condition>,

    /// Do not stop when it holds: set a mark, keep a copy of the ring beside it (FILE.1, FILE.2, five at most), and go on
    #[arg(long, requires = "ring", requires = "conditions")]
    pub keep_going: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum UntilError {
    #[error(transparent)]
    Condition(#[from] ConditionError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl Failure for UntilError {
    fn exit(&self) -> Exit {
        match self {
            Self::Condition(error) => error.exit(),
            Self::File(error) => error.exit(),
        }
    }
}

impl UntilArgs {
    /// What to wait for on this host; None where nothing is. Copies stand beside `ring`.
    pub fn until(&self, ring: &Copied<'_>, told: Sender<String>) -> Result<Option<Until>, UntilError> {
        if self.conditions.is_empty() {
            return Ok(None);
        }
        let watches = watches("--until", &self.conditions, &Files::live())?;
        let then = if self.keep_going { Then::Keep(ring.copies()?) } else { Then::End };
        Ok(Some(Until::new(watches, then, told)))
    }
}

/// A ring that is copied, and whether its copies may replace files.
pub struct Copied<'a> {
    pub path: &'a PathBuf,
    pub force: bool,
}

impl Copied<'_> {
    /// At once, and not in the night when they are made: what exists is refused.
    fn copies(&self) -> Result<Copies, FileError> {
        let copies = Copies::of(self.path, self.force);
        let existing = copies.paths().find(|path| !self.force && path.symlink_metadata().is_ok());
        existing.map_or(Ok(copies), |path| Err(FileError::Exists(path)))
    }
}
