//! Files that commands write: the one place where they are made.
//!
//! - A new file has mode 0600 whatever the umask, and belongs to us. A filesystem that cannot promise that is refused.
//! - It has no name until it is [published](NewFile::publish), so whatever ends the process before leaves nothing behind. Where
//!   the filesystem has no O_TMPFILE (NFS, for one), it has a hidden name that SIGKILL leaves behind.
//! - What exists is refused, or replaced by a rename if the user said `--force`: the new file never has the old one's owner,
//!   mode or readers. Symbolic links are not followed: they exist, and `--force` replaces the link itself.
//! - A character device, a FIFO of our own and `-` take bytes as they come; so do /dev/stdout and /dev/fd/N, for the shell's
//!   `>(command)`. They need no `--force`: nothing is lost.
//! - A file that the command reads is refused, with `--force` too.

use std::{
    fs::{File, Metadata, OpenOptions, Permissions},
    io::{self, BufWriter, IsTerminal, Seek as _, Write},
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, OFlags},
    io::Errno,
};
use tempfile::TempPath;

use crate::{rights::sandbox::Sandbox, text::escape};

/// What is on the command line for standard output.
pub const STANDARD_OUTPUT: &str = "-";

/// How the names of temporary files begin.
pub const HIDDEN: &str = ".memtrace-";

/// Read and written by its owner only: it names programs, files and command lines.
const MODE: u32 = 0o600;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{} already exists; --force replaces it", escape::path(.0))]
    Exists(PathBuf),
    #[error("{} is the file that is being read; write to another one", escape::path(.0))]
    IsInput(PathBuf),
    #[error("cannot write to {}: it is a {kind}", escape::path(path))]
    NotAFile { path: PathBuf, kind: &'static str },
    #[error("cannot write to '{}': it does not name a file", escape::path(.0))]
    NoName(PathBuf),
    #[error("cannot write to {}: the FIFO belongs to user {owner}", escape::path(path))]
    OthersFifo { path: PathBuf, owner: u32 },
    #[error("cannot write to {}: no process reads from it; start the reader first", escape::path(.0))]
    NoReader(PathBuf),
    #[error(
        "cannot write to {}: on this filesystem the file would belong to user {owner} and have mode {mode:03o}; \
        to write it there all the same, redirect standard output",
        escape::path(path)
    )]
    NotPrivate { path: PathBuf, owner: u32, mode: u32 },
    #[error("cannot write to {}: {source}", escape::path(path))]
    Io { path: PathBuf, source: io::Error },
    #[error("refusing to write binary data to a terminal; name a file, or pipe the output to a command")]
    Terminal,
    #[error("cannot write to standard output: {0}")]
    Stdout(#[source] io::Error),
}

/// What a command is asked to write.
pub struct Target<'a> {
    pub path: &'a Path,
    /// `--force`
    pub replace: bool,
    /// The files that the command reads.
    pub inputs: &'a [&'a Path],
    /// Terminals are spared what is not text.
    pub is_binary: bool,
}

/// Where a command writes.
pub enum Destination {
    /// Standard output, a device, a FIFO: bytes are gone once they are written.
    Stream(Box<dyn Write + Send>),
    File(NewFile),
}

impl Target<'_> {
    /// Checks what can be checked before the work begins.
    pub fn open(&self) -> Result<Destination, FileError> {
        let path = self.path;
        if is_stdout(path) {
            self.check_terminal(&io::stdout())?;
            return Ok(Destination::Stream(Box::new(io::stdout())));
        }
        let found = if is_descriptor(path) { path.metadata() } else { path.symlink_metadata() };
        match found {
            Ok(found) if self.inputs.iter().any(|input| is_same(&found, input)) => {
                Err(FileError::IsInput(path.to_owned()))
            }
            Ok(found) if found.file_type().is_fifo() || found.file_type().is_char_device() => {
                let stream = open_stream(path)?;
                self.check_terminal(&stream)?;
                Ok(Destination::Stream(Box::new(stream)))
            }
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(FileError::Io { path: path.to_owned(), source })
            }
            _ => Ok(Destination::File(NewFile::create(path, self.replace)?)),
        }
    }

    fn check_terminal(&self, stream: &impl IsTerminal) -> Result<(), FileError> {
        if self.is_binary && stream.is_terminal() { Err(FileError::Terminal) } else { Ok(()) }
    }
}

impl Destination {
    /// What it takes yet, beside what is open.
    pub fn sandbox(&self) -> Sandbox {
        match self {
            Self::Stream(_) => Sandbox::default(),
            Self::File(file) => Sandbox::default().names_in(directory(&file.path)),
        }
    }

    /// Writes all of it. A file is there as a whole afterwards, or not at all. `path` is what errors call it.
    pub fn write(
        self,
        path: &Path,
        write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let (stream, file) = match self {
            Self::Stream(stream) => (stream, None),
            Self::File(file) => (Box::new(file.handle()?) as Box<dyn Write + Send>, Some(file)),
        };
        let mut out = BufWriter::new(stream);
        write(&mut out).and_then(|()| out.flush()).map_err(|source| match is_stdout(path) {
            true => FileError::Stdout(source),
            false => FileError::Io { path: path.to_owned(), source },
        })?;
        file.map_or(Ok(()), |mut file| file.publish())
    }
}

/// Whether this is how a command line names standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new(STANDARD_OUTPUT) || path == Path::new("/dev/stdout")
}

/// Whether the path is one of the links to our own descriptors, which are followed: the shell's `>(command)` and `<(command)`.
pub fn is_descriptor(path: &Path) -> bool {
    path == Path::new("/dev/stderr")
        || ["/dev/fd", "/proc/self/fd"].iter().any(|directory| path.parent() == Some(Path::new(directory)))
}

fn is_same(file: &Metadata, path: &Path) -> bool {
    let path = if path == Path::new(STANDARD_OUTPUT) { Path::new("/dev/stdin") } else { path };
    path.metadata().is_ok_and(|other| (other.dev(), other.ino()) == (file.dev(), file.ino()))
}

/// Opens a device or a FIFO. One that belongs to somebody else is a trap: /tmp is full of names that can be guessed.
fn open_stream(path: &Path) -> Result<File, FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    let follow = if is_descriptor(path) { OFlags::empty() } else { OFlags::NOFOLLOW };
    // Without blocking, since a FIFO without a reader would never open.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | follow;
    let file = match OpenOptions::new().write(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {
            return Err(FileError::NoReader(path.to_owned()));
        }
        opened => opened.map_err(io)?,
    };
    let opened = file.metadata().map_err(io)?;
    let is_ours = is_descriptor(path) || opened.uid() == rustix::process::geteuid().as_raw();
    if opened.file_type().is_fifo() && !is_ours {
        return Err(FileError::OthersFifo { path: path.to_owned(), owner: opened.uid() });
    }
    let flags = rustix::fs::fcntl_getfl(&file).map_err(|error| io(error.into()))?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK).map_err(|error| io(error.into()))?;
    Ok(file)
}

/// A file of ours that nobody else sees until it is published.
pub struct NewFile {
    file: File,
    path: PathBuf,
    replace: bool,
    /// How it gets its name; None once it has it.
    unpublished: Option<Unpublished>,
}

enum Unpublished {
    /// It has none: O_TMPFILE.
    Nameless,
    /// Where the filesystem needs one.
    Hidden(TempPath),
}

impl NewFile {
    /// Refuses at once what would fail in the end.
    pub fn create(path: &Path, replace: bool) -> Result<Self, FileError> {
        if path.file_name().is_none() {
            return Err(FileError::NoName(path.to_owned()));
        }
        match path.symlink_metadata() {
            Ok(found) => check_replaceable(path, &found, replace)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(FileError::Io { path: path.to_owned(), source }),
        }
        Self::beside(path, replace)
    }

    /// A file that only serves to make the one at `path`, in the same directory. It is never published by itself.
    pub fn scratch(path: &Path) -> Result<Self, FileError> {
        let mut scratch = Self::beside(path, false)?;
        if let Some(Unpublished::Hidden(hidden)) = scratch.unpublished.take() {
            // Without its name it is gone however the process ends.
            let io = |source| FileError::Io { path: path.to_owned(), source };
            hidden.close().map_err(io)?;
        }
        Ok(scratch)
    }

    fn beside(path: &Path, replace: bool) -> Result<Self, FileError> {
        let io = |source| FileError::Io { path: path.to_owned(), source };
        let (file, unpublished) = create_in(directory(path)).map_err(io)?;
        file.set_permissions(Permissions::from_mode(MODE)).map_err(io)?;
        let created = file.metadata().map_err(io)?;
        let (owner, mode) = (created.uid(), created.mode() & 0o777);
        if (owner, mode) != (rustix::process::geteuid().as_raw(), MODE) {
            return Err(FileError::NotPrivate { path: path.to_owned(), owner, mode });
        }
        Ok(Self { file, path: path.to_owned(), replace, unpublished: Some(unpublished) })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// For whoever writes it.
    pub fn handle(&self) -> Result<File, FileError> {
        self.file.try_clone().map_err(|source| FileError::Io { path: self.path.clone(), source })
    }

    /// Gives it its name. What is written afterwards goes to the same file.
    pub fn publish(&mut self) -> Result<(), FileError> {
        let Some(unpublished) = self.unpublished.take() else { return Ok(()) };
        // A name must not outlive a power cut without what it names.
        let published = self.file.sync_data().and_then(|()| match unpublished {
            Unpublished::Nameless if self.replace => link_over(&self.file, &self.path),
            Unpublished::Nameless => link(&self.file, &self.path),
            Unpublished::Hidden(hidden) if self.replace => hidden.persist(&self.path).map_err(|e| e.error),
            Unpublished::Hidden(hidden) => hidden.persist_noclobber(&self.path).map_err(|e| e.error),
        });
        published.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists(self.path.clone()),
            _ => FileError::Io { path: self.path.clone(), source },
        })
    }

    /// Saves what a [scratch](Self::scratch) file has under a name of its own, which ends like this.
    pub fn keep(&self, end: &str) -> io::Result<PathBuf> {
        let mut hidden = tempfile::Builder::new();
        hidden.prefix(HIDDEN).suffix(end);
        match hidden.make_in(directory(&self.path), |path| link(&self.file, path)) {
            Ok(linked) => Ok(linked.into_temp_path().keep()?),
            // One that had a name once cannot have another.
            Err(_) => {
                let (mut copy, path) = hidden.tempfile_in(directory(&self.path))?.into_parts();
                io::copy(&mut rewound(&self.file)?, &mut copy)?;
                Ok(path.keep()?)
            }
        }
    }
}

fn check_replaceable(path: &Path, found: &Metadata, replace: bool) -> Result<(), FileError> {
    let kind = found.file_type();
    let not_a_file = |kind| Err(FileError::NotAFile { path: path.to_owned(), kind });
    match kind {
        _ if kind.is_dir() => not_a_file("directory"),
        _ if kind.is_socket() => not_a_file("socket"),
        _ if kind.is_block_device() => not_a_file("block device"),
        _ if !replace => Err(FileError::Exists(path.to_owned())),
        _ => Ok(()),
    }
}

/// The directory that a file is in.
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn create_in(directory: &Path) -> io::Result<(File, Unpublished)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE).custom_flags(OFlags::TMPFILE.bits().cast_signed());
    match options.open(directory).map_err(|error| (Errno::from_io_error(&error), error)) {
        Ok(file) => Ok((file, Unpublished::Nameless)),
        // The filesystem has no such files, or the kernel takes the flag for O_DIRECTORY.
        Err((Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL), _)) => {
            let (file, path) = tempfile::Builder::new().prefix(HIDDEN).tempfile_in(directory)?.into_parts();
            Ok((file, Unpublished::Hidden(path)))
        }
        Err((_, error)) => Err(error),
    }
}

/// Gives a nameless file a name that nothing has yet.
fn link(file: &File, path: &Path) -> io::Result<()> {
    // AT_EMPTY_PATH needs CAP_DAC_READ_SEARCH before Linux commit 42bd2af59504 ("vfs: relax linkat() AT_EMPTY_PATH - aka
    // flink() - requirements") (in v6.10).
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// Only a file with a name can replace another: it has a hidden one for a moment.
fn link_over(file: &File, path: &Path) -> io::Result<()> {
    let mut hidden = tempfile::Builder::new();
    let linked = hidden.prefix(HIDDEN).make_in(directory(path), |hidden| link(file, hidden))?;
    linked.into_temp_path().persist(path).map_err(|error| error.error)
}

/// To be read from its beginning.
pub fn rewound(file: &File) -> io::Result<File> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
