//! The file itself: a tar, compressed with zstd, of mode 0600. It is made beside its place and moved there when it is whole.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use tempfile::{Builder, NamedTempFile};

use super::{Member, RECORDING};

/// zstd's own default. Recordings are compressed already; the rest is small.
const LEVEL: i32 = 3;

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("{path} exists; --force overwrites it", path = .0.display())]
    Exists(PathBuf),
    #[error("{path} is no regular file: a bundle is moved to its place when it is whole", path = .0.display())]
    NoFile(PathBuf),
    #[error("{path} does not name a file", path = .0.display())]
    NoName(PathBuf),
    #[error("cannot write in {path}: {source}", path = .path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot write the bundle: {0}")]
    Write(#[source] io::Error),
}

/// Where a bundle is to be.
#[derive(Clone, Debug)]
pub struct Target {
    path: PathBuf,
    overwrite: bool,
}

impl Target {
    /// Refuses at once what would fail in the end.
    pub fn new(path: &Path, overwrite: bool) -> Result<Self, ArchiveError> {
        if path.file_name().is_none_or(|name| name == "-") {
            return Err(ArchiveError::NoName(path.to_owned()));
        }
        match path.symlink_metadata() {
            Ok(there) if !there.is_file() => return Err(ArchiveError::NoFile(path.to_owned())),
            Ok(_) if !overwrite => return Err(ArchiveError::Exists(path.to_owned())),
            _ => {}
        }
        Ok(Self { path: path.to_owned(), overwrite })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn directory(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// A file beside it, of mode 0600, which goes if it is not kept.
    pub fn beside(&self, end: &str) -> Result<NamedTempFile, ArchiveError> {
        let create = |source| ArchiveError::Create { path: self.directory().to_owned(), source };
        Builder::new().prefix(".memtrace-").suffix(end).tempfile_in(self.directory()).map_err(create)
    }

    /// The directory that is unpacked: several bundles can be unpacked in one place.
    fn root(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let stem = name.split(".t").next().unwrap_or_default();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let stem: String = stem.chars().filter(|&c| is_plain(c)).collect();
        let stem = stem.trim_matches('.');
        if stem.is_empty() { "bundle".to_owned() } else { stem.to_owned() }
    }

    /// Writes all members and the recording, and moves it to its place. Returns its length.
    pub fn write(&self, members: &[Member], recording: &mut File) -> Result<u64, ArchiveError> {
        let mut file = self.beside(".tar.zst")?;
        pack(&self.root(), members, recording, &mut file).map_err(ArchiveError::Write)?;
        file.as_file().sync_all().map_err(ArchiveError::Write)?;
        let len = file.as_file().metadata().map_err(ArchiveError::Write)?.len();
        let moved =
            if self.overwrite { file.persist(&self.path) } else { file.persist_noclobber(&self.path) };
        match moved {
            Ok(_) => Ok(len),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ArchiveError::Exists(self.path.clone()))
            }
            Err(error) => Err(ArchiveError::Create { path: self.path.clone(), source: error.error }),
        }
    }
}

fn pack(root: &str, members: &[Member], recording: &mut File, out: &mut impl Write) -> io::Result<()> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(BufWriter::new(out), LEVEL)?);
    for Member { name, bytes, .. } in members {
        tar.append_data(&mut header(bytes.len() as u64), format!("{root}/{name}"), &bytes[..])?;
    }
    let len = recording.metadata()?.len();
    tar.append_data(&mut header(len), format!("{root}/{RECORDING}"), recording)?;
    tar.into_inner()?.finish()?.flush()
}

fn header(len: u64) -> tar::Header {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut header = tar::Header::new_gnu();
    header.set_size(len);
    header.set_mode(0o600);
    header.set_mtime(now.as_secs());
    header
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read as _, Seek as _},
        os::unix::fs::PermissionsExt as _,
    };

    use super::*;

    fn members() -> Vec<Member> {
        vec![Member::new("README.txt", "", "read me"), Member::new("host/before/slabinfo", "", "slabs")]
    }

    fn recording() -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"recorded").unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn it_is_whole_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("incident.tar.zst");
        let len = Target::new(&path, false).unwrap().write(&members(), &mut recording()).unwrap();
        let metadata = path.metadata().unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (len, 0o600));
        let mut tar = tar::Archive::new(zstd::Decoder::new(File::open(&path).unwrap()).unwrap());
        let mut found = Vec::new();
        for entry in tar.entries().unwrap() {
            let (mut entry, mut text) = (entry.unwrap(), String::new());
            entry.read_to_string(&mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        let expect = [
            ("incident/README.txt", "read me"),
            ("incident/host/before/slabinfo", "slabs"),
            ("incident/recording.mt", "recorded"),
        ];
        assert_eq!(found, expect.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar.zst");
        let early = Target::new(&path, false).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Target::new(&path, false), Err(ArchiveError::Exists(_))));
        // It came while the bundle was made.
        assert!(matches!(early.write(&members(), &mut recording()), Err(ArchiveError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        Target::new(&path, true).unwrap().write(&members(), &mut recording()).unwrap();
        assert_ne!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_place_for_a_file() {
        let target = |path: &str| Target::new(Path::new(path), true).map(drop);
        assert!(matches!(target("/dev/null"), Err(ArchiveError::NoFile(_))));
        assert!(matches!(target("/tmp"), Err(ArchiveError::NoFile(_))));
        assert!(matches!(target("-"), Err(ArchiveError::NoName(_))));
        let nowhere = Target::new(Path::new("/nonexistent/a.tar.zst"), false).unwrap();
        assert!(matches!(nowhere.beside(".mt"), Err(ArchiveError::Create { .. })));
    }

    #[test]
    fn it_unpacks_into_a_directory_of_its_name() {
        let root = |path: &str| Target::new(Path::new(path), true).unwrap().root();
        assert_eq!(root("incident-42.tar.zst"), "incident-42");
        assert_eq!(root("web.prod.tzst"), "web.prod");
        assert_eq!(root("a b/../c d.tar.zst"), "cd");
        assert_eq!(root(".tar.zst"), "bundle");
    }
}
