//! The file itself: a tar, compressed with zstd.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use super::{Member, RECORDING};

/// zstd's own default. Recordings are compressed already; the rest is small.
const LEVEL: i32 = 3;

/// The directory that is unpacked: several bundles can be unpacked in one place.
pub fn root(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let stem = name.split(".t").next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let stem: String = stem.chars().filter(|&c| is_plain(c)).collect();
    let stem = stem.trim_matches(['.', '-']);
    if stem.is_empty() { "bundle".to_owned() } else { stem.to_owned() }
}

/// Writes all members and the recording. Returns how many bytes that took.
pub fn write(root: &str, members: &[Member], recording: &mut File, out: impl Write) -> io::Result<u64> {
    let out = Counted { out, bytes: 0 };
    let mut tar = tar::Builder::new(zstd::Encoder::new(out, LEVEL)?);
    for Member { name, bytes, .. } in members {
        tar.append_data(&mut header(bytes.len() as u64), format!("{root}/{name}"), &bytes[..])?;
    }
    let len = recording.metadata()?.len();
    tar.append_data(&mut header(len), format!("{root}/{RECORDING}"), recording)?;
    let mut out = tar.into_inner()?.finish()?;
    out.flush()?;
    Ok(out.bytes)
}

struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
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
    use std::io::{Read as _, Seek as _};

    use super::*;

    #[test]
    fn it_has_all_members_and_the_recording() {
        let members =
            [Member::new("README.txt", "", "read me"), Member::new("host/before/slabinfo", "", "slabs")];
        let mut recording = tempfile::tempfile().unwrap();
        recording.write_all(b"recorded").unwrap();
        recording.rewind().unwrap();
        let mut out = Vec::new();
        let len = write("incident", &members, &mut recording, &mut out).unwrap();
        assert_eq!(len, out.len() as u64);
        let mut tar = tar::Archive::new(zstd::Decoder::new(&out[..]).unwrap());
        let mut found = Vec::new();
        for entry in tar.entries().unwrap() {
            let (mut entry, mut text) = (entry.unwrap(), String::new());
            entry.read_to_string(&mut text).unwrap();
            assert_eq!(entry.header().mode().unwrap(), 0o600);
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        let expect = [
            ("incident/README.txt", "read me"),
            ("incident/host/before/slabinfo", "slabs"),
            ("incident/recording.mt", "recorded"),
        ];
        assert_eq!(found, expect.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn it_unpacks_into_a_directory_of_its_name() {
        let root = |path: &str| root(Path::new(path));
        assert_eq!(root("incident-42.tar.zst"), "incident-42");
        assert_eq!(root("web.prod.tzst"), "web.prod");
        assert_eq!(root("a b/../c d.tar.zst"), "cd");
        assert_eq!(root(".tar.zst"), "bundle");
        assert_eq!(root("-"), "bundle");
    }
}
