//! Objects that tell where they are: files in directories of all kinds, and connections.

use std::{
    ffi::OsString,
    fs::{self, File},
    net::{TcpListener, TcpStream},
    os::unix::{
        ffi::OsStringExt as _,
        fs::chroot,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde::{Deserialize, Serialize};

use super::{Held, Prepared, objects::MADE};

const OURS: &str = "the test's directory is ours";

/// What to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Place {
    /// Each is one dentry with something of its name, and one inode; gone when they are freed.
    Files { within: PathBuf, names: Vec<Vec<u8>>, of: What },
    /// The same, made by who sees no more than what is below `root`.
    InRoot { root: PathBuf, within: PathBuf, names: Vec<Vec<u8>> },
    /// The same, in the deepest of so many directories, each in the one before.
    Deep { within: PathBuf, levels: usize, names: Vec<Vec<u8>> },
    /// A file, opened so many times, and perhaps removed.
    Opened { file: PathBuf, count: usize, is_removed: bool },
    /// Connections to this port of this host that the other end has closed.
    Closed { port: u16, count: usize },
    /// A socket that listens here, and so many connections to it.
    Bound { path: PathBuf, count: usize },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum What {
    Regular,
    Fifo,
}

pub fn prepare(place: Place) -> Prepared {
    match place {
        Place::Files { within, names, of } => Box::new(move || Box::new(Files::new(&within, names, of))),
        Place::InRoot { root, within, names } => Box::new(move || {
            chroot(&root).expect("root may");
            Box::new(Files::new(&within, names, What::Regular))
        }),
        Place::Deep { within, levels, names } => {
            let deep = Deep::new(&within, levels);
            Box::new(move || {
                let files = Files::new(Path::new("."), names, What::Regular);
                Box::new((files, deep))
            })
        }
        Place::Opened { file, count, is_removed } => Box::new(move || {
            let files: Vec<_> = (0..count).map(|_| File::create(&file).expect(OURS)).collect();
            if is_removed {
                fs::remove_file(&file).expect(OURS);
            }
            Box::new(files)
        }),
        Place::Closed { port, count } => {
            let listener = TcpListener::bind(("127.0.0.1", port)).expect("nobody else wants this port");
            Box::new(move || closed(&listener, count))
        }
        Place::Bound { path, count } => Box::new(move || bound(&path, count)),
    }
}

/// Files that are removed when dropped.
struct Files(Vec<PathBuf>);

impl Files {
    fn new(within: &Path, names: Vec<Vec<u8>>, of: What) -> Self {
        let make = |name| {
            let path = within.join(OsString::from_vec(name));
            match of {
                What::Regular => drop(File::create(&path).expect(OURS)),
                What::Fifo => mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).expect(OURS),
            }
            path
        };
        Self(names.into_iter().map(make).collect())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = fs::remove_file(file);
        }
    }
}

/// Directories in each other, deeper than any path is long. This process is in the deepest.
struct Deep {
    levels: usize,
}

/// What each of them is called.
const LEVEL: &str = "deeper";

impl Deep {
    fn new(within: &Path, levels: usize) -> Self {
        std::env::set_current_dir(within).expect(OURS);
        for _ in 0..levels {
            fs::create_dir(LEVEL).expect(OURS);
            std::env::set_current_dir(LEVEL).expect(OURS);
        }
        Self { levels }
    }
}

impl Drop for Deep {
    fn drop(&mut self) {
        for _ in 0..self.levels {
            std::env::set_current_dir("..").expect(OURS);
            fs::remove_dir(LEVEL).expect(OURS);
        }
    }
}

fn closed(listener: &TcpListener, count: usize) -> Held {
    let address = listener.local_addr().expect("it listens");
    let accept = |_| {
        let there = TcpStream::connect(address).expect(MADE);
        let (here, _) = listener.accept().expect(MADE);
        drop(there);
        // Its end tells that the other one is closed.
        std::io::copy(&mut &here, &mut std::io::sink()).expect("it is closed in order");
        here
    };
    Box::new((0..count).map(accept).collect::<Vec<_>>())
}

fn bound(path: &Path, count: usize) -> Held {
    let listener = UnixListener::bind(path).expect(OURS);
    let connect = |_| {
        let there = UnixStream::connect(path).expect(MADE);
        (there, listener.accept().expect(MADE))
    };
    let connections: Vec<_> = (0..count).map(connect).collect();
    Box::new((connections, listener))
}
