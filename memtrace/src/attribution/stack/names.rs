//! Functions in files, by the files' own symbols.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use blazesym::symbolize::{
    Input, Symbolizer,
    source::{Elf, Source},
};

use super::MappedFile;

#[derive(Default)]
pub struct Names {
    symbolizer: Symbolizer,
    /// Where each file is now; None where it is not to be found.
    places: RefCell<HashMap<MappedFile, Option<PathBuf>>>,
}

impl Names {
    /// The function at this offset in the file, with the file's name; None if unknown.
    pub fn function(&self, file: &MappedFile, offset: u64) -> Option<String> {
        let place = self.places.borrow_mut().entry(file.clone()).or_insert_with(|| place(file)).clone()?;
        let source = Source::Elf(Elf::new(place));
        let symbol = self.symbolizer.symbolize_single(&source, Input::FileOffset(offset)).ok()?;
        let symbol = symbol.into_sym()?;
        Some(format!("{} [{}]", symbol.name, file.name()))
    }
}

/// The same file: below the root of the process that had it, or below ours.
pub(super) fn place(file: &MappedFile) -> Option<PathBuf> {
    let inside = Path::new("/proc").join(file.tgid.to_string()).join("root");
    let relative = file.path.strip_prefix("/").ok()?;
    // Overlays and others report another device than maps do, so the inode has to be enough.
    let is_it =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|found| found.ino() == file.inode && found.is_file());
    [inside.join(relative), file.path.clone()].into_iter().find(is_it)
}
