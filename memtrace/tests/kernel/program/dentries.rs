//! Dentries of names that do not exist. The kernel keeps them with their directory, and drops them when it is removed.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    process::Child,
    thread,
    time::Duration,
};

use rustix::{
    fs::{Access, access},
    io::Errno,
};

use super::{NameStyle, Prepared, Task, command};

/// The name of the directory.
const DIRECTORY: &str = "db";

/// Short-lived processes that run at the same time.
const AT_ONCE: usize = 8;

/// How long each of them lives.
const LIFETIME: Duration = Duration::from_millis(20);

/// A directory that is removed when dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(within: &Path) -> Self {
        let path = within.join(DIRECTORY);
        fs::create_dir(&path).expect("the test's directory is ours");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

pub fn negative(within: &Path, count: usize, names: NameStyle) -> Prepared {
    let directory = Directory::new(within);
    Box::new(move || {
        look_up(&directory.0, (0..count).map(|number| name(names, number)));
        Box::new(directory)
    })
}

fn look_up(directory: &Path, names: impl Iterator<Item = Vec<u8>>) {
    for name in names {
        let path = directory.join(OsString::from_vec(name));
        assert_eq!(access(&path, Access::EXISTS), Err(Errno::NOENT), "{}", path.display());
    }
}

fn name(style: NameStyle, number: usize) -> Vec<u8> {
    match style {
        NameStyle::DoesNotExist => format!(".{number}_dOeSnotExist_.db").into_bytes(),
        NameStyle::Longest => format!(".{number:06}_{}", "x".repeat(247)).into_bytes(),
        NameStyle::Uuid => format!("{number:08x}-e29b-41d4-a716-446655440000.json").into_bytes(),
        NameStyle::Hostile => [format!("{number}\n\x1b[2J\"'\\").as_bytes(), b"\xff"].concat(),
    }
}

pub fn short_lived(comm: &str, within: &Path, processes: usize, lookups: usize) -> Prepared {
    let directory = Directory::new(within);
    let comm = comm.to_owned();
    Box::new(move || {
        let processes: Vec<usize> = (0..processes).collect();
        for at_once in processes.chunks(AT_ONCE) {
            let children: Vec<Child> = at_once
                .iter()
                .map(|number| {
                    let task = Task::LookUp {
                        directory: directory.0.clone(),
                        first: number * lookups,
                        count: lookups,
                    };
                    command(comm.as_bytes(), &task).spawn().expect("this binary starts again")
                })
                .collect();
            for mut child in children {
                assert!(child.wait().expect("it is our child").success());
            }
        }
        Box::new(directory)
    })
}

/// What one short-lived process does.
pub fn live_shortly(directory: &Path, first: usize, count: usize) {
    look_up(directory, (first..first + count).map(|number| name(NameStyle::DoesNotExist, number)));
    thread::sleep(LIFETIME);
}
