use std::{fs, os::unix::fs::symlink};

use rustix::fs::{Mode, mkfifoat};

use super::*;

fn target(path: &Path, replace: bool) -> Target<'_> {
    Target { path, replace, inputs: &[], is_binary: false }
}

fn write(target: &Target<'_>, text: &str) -> Result<(), FileError> {
    target.open()?.write(target.path, |out| out.write_all(text.as_bytes()))
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn a_new_file_is_private_and_appears_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new");
    let destination = target(&path, false).open().unwrap();
    destination
        .write(&path, |out| {
            out.write_all(b"half")?;
            assert_eq!(files(directory.path()), 0);
            out.write_all(b" and whole")
        })
        .unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"half and whole".to_vec(), MODE));
}

#[test]
fn what_fails_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new");
    let failed = target(&path, false).open().unwrap().write(&path, |_| Err(io::Error::other("no room")));
    assert_eq!(failed.unwrap_err().to_string(), format!("cannot write to {}: no room", path.display()));
    assert_eq!(files(directory.path()), 0);
}

#[test]
fn what_exists_is_replaced_by_another_file_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let (mut reader, before) = (File::open(&path).unwrap(), path.metadata().unwrap().ino());
    assert!(matches!(write(&target(&path, false), "new"), Err(FileError::Exists(_))));
    write(&target(&path, true), "new").unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), MODE));
    assert_ne!(path.metadata().unwrap().ino(), before);
    assert_eq!(io::read_to_string(&mut reader).unwrap(), "old", "who had it open reads nothing new");
    assert_eq!(files(directory.path()), 1);
}

#[test]
fn what_comes_meanwhile_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let destination = target(&path, false).open().unwrap();
    fs::write(&path, "mine").unwrap();
    assert!(matches!(destination.write(&path, |_| Ok(())), Err(FileError::Exists(_))));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn links_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let [precious, link, nowhere] = ["precious", "link", "nowhere"].map(|name| directory.path().join(name));
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, &link).unwrap();
    symlink("gone", &nowhere).unwrap();
    for link in [&link, &nowhere] {
        assert!(matches!(write(&target(link, false), "new"), Err(FileError::Exists(_))));
        write(&target(link, true), "new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_file());
    }
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(files(directory.path()), 3);
}

#[test]
fn an_input_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let [path, other] = ["a.mt", "b.mt"].map(|name| directory.path().join(name));
    fs::write(&path, "recorded").unwrap();
    fs::hard_link(&path, &other).unwrap();
    for path in [&path, &other] {
        let target = Target { inputs: &[&directory.path().join("a.mt")], ..target(path, true) };
        assert!(matches!(target.open(), Err(FileError::IsInput(_))));
    }
}

#[test]
fn devices_and_fifos_take_bytes_as_they_come() {
    write(&target(Path::new("/dev/null"), false), "away").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    mkfifoat(CWD, &path, Mode::RWXU).unwrap();
    assert!(matches!(target(&path, true).open(), Err(FileError::NoReader(_))));
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut reader = OpenOptions::new().read(true).custom_flags(flags).open(&path).unwrap();
    write(&target(&path, false), "through").unwrap();
    assert_eq!(io::read_to_string(&mut reader).unwrap(), "through");
    let descriptor =
        PathBuf::from(format!("/dev/fd/{}", File::options().write(true).open(&path).unwrap().as_raw_fd()));
    assert!(is_descriptor(&descriptor) && !is_descriptor(&path));
}

#[test]
fn what_is_no_place_for_a_file_is_said() {
    let said = |path: &str| target(Path::new(path), true).open().map(drop).unwrap_err().to_string();
    assert_eq!(said("/tmp"), "cannot write to /tmp: it is a directory");
    assert_eq!(said("/"), "cannot write to '/': it does not name a file");
    assert_eq!(
        said("/nonexistent/\u{1b}[31m"),
        "cannot write to /nonexistent/\\x1b[31m: No such file or directory (os error 2)"
    );
}

#[test]
fn a_scratch_file_has_no_name_until_it_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut scratch = NewFile::scratch(&directory.path().join("bundle")).unwrap();
    scratch.handle().unwrap().write_all(b"recorded").unwrap();
    scratch.publish().unwrap();
    assert_eq!(files(directory.path()), 0);
    let kept = scratch.keep(".mt").unwrap();
    assert_eq!((fs::read(&kept).unwrap(), mode(&kept)), (b"recorded".to_vec(), MODE));
    assert!(kept.starts_with(directory.path()) && kept.extension().is_some_and(|end| end == "mt"));
}

/// As on NFS, which has no O_TMPFILE.
#[test]
fn a_file_with_a_hidden_name_is_published_and_kept_likewise() {
    let directory = tempfile::tempdir().unwrap();
    let hidden = || {
        let named = tempfile::Builder::new().prefix(HIDDEN).tempfile_in(directory.path()).unwrap();
        let (file, path) = named.into_parts();
        (file, Some(Unpublished::Hidden(path)))
    };
    let path = directory.path().join("a");
    for replace in [false, true] {
        let (mut file, unpublished) = hidden();
        file.write_all(b"new").unwrap();
        NewFile { file, path: path.clone(), replace, unpublished }.publish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), MODE));
    }
    let (file, unpublished) = hidden();
    let mut refused = NewFile { file, path, replace: false, unpublished };
    assert!(matches!(refused.publish(), Err(FileError::Exists(_))));
    drop(refused);
    assert_eq!(files(directory.path()), 1);
    let (mut file, path) = (tempfile::tempfile().unwrap(), directory.path().join("b"));
    file.write_all(b"recorded").unwrap();
    let unlinked = NewFile { file, path, replace: false, unpublished: None };
    assert_eq!(fs::read(unlinked.keep(".mt").unwrap()).unwrap(), b"recorded");
}
