//! The sandbox of commands that read recordings. Recordings come from other hosts and other people, and a mistake in a decoder or a
//! decompressor is found by whoever makes the file.
//!
//! It begins when the files are open, before the first byte of them is understood, and before there are threads. What is left is
//! what is open: no other file can be opened, nothing can be sent, and no program can be run. Where a command opens more
//! later, its folder is named.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, make_bitflags,
};

use super::calls;

/// The newest that was tested. Kernels that know less enforce what they know.
const NEWEST: ABI = ABI::V7;

/// The window's size is asked of it, whatever standard output is.
const TERMINAL: &str = "/dev/tty";

/// Keys of hash tables come from there in a program that is linked statically: the crate `getrandom` looks for the C library's function by
/// name, and finds none. It waits at the first until the second has enough of it.
const RANDOM: [&str; 2] = ["/dev/random", "/dev/urandom"];

/// What is needed yet, beside what is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    read: Vec<PathBuf>,
    named: Vec<PathBuf>,
    written: Vec<PathBuf>,
}

/// What the kernel enforces of it.
#[derive(Debug)]
pub struct Confined {
    /// Of files, ports and signals.
    pub files: Result<RulesetStatus, RulesetError>,
    /// Of system calls.
    pub calls: Result<(), seccompiler::Error>,
}

impl Sandbox {
    /// Files in this folder are opened for reading.
    pub fn reads_in(mut self, folder: &Path) -> Self {
        self.read.push(folder.to_owned());
        self
    }

    /// Files that are open get their names in this folder.
    pub fn names_in(mut self, folder: &Path) -> Self {
        self.named.push(folder.to_owned());
        self
    }

    /// Files are made in this folder.
    pub fn writes_in(mut self, folder: &Path) -> Self {
        self.written.push(folder.to_owned());
        self
    }

    /// Enters it for good: this thread, and those that it starts. A kernel that knows no sandbox is no reason not to read.
    pub fn enter(&self) -> Confined {
        // The calls that shut away files are none of those that are left then.
        let files = self.shut_files_away();
        Confined { files, calls: calls::only_reading() }
    }

    fn shut_files_away(&self) -> Result<RulesetStatus, RulesetError> {
        let read = make_bitflags!(AccessFs::{ReadFile});
        let name = make_bitflags!(AccessFs::{MakeReg | RemoveFile});
        let make = name | AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
        let terminal = make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev});
        let Self { read: readable, named, written } = self;
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?
            .add_rules(rules(readable, read))?
            .add_rules(rules(named, name))?
            .add_rules(rules(written, make))?
            .add_rules(rules(&[TERMINAL.into()], terminal))?
            .add_rules(rules(&RANDOM.map(PathBuf::from), read))?;
        Ok(ruleset.restrict_self()?.ruleset)
    }
}

/// What does not exist needs no rule: it is not found either way.
fn rules(
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> impl Iterator<Item = Result<PathBeneath<PathFd>, RulesetError>> {
    paths.iter().filter_map(move |path| Some(Ok(PathBeneath::new(PathFd::new(path).ok()?, access))))
}

#[cfg(test)]
mod tests;
