//! Scenes with a known truth: programs that leak, flood, or do neither, and what memtrace says of them.
//!
//! Each scene is this same binary under the command name `sc-NAME`. Several are played at once in one session, and judged by its
//! findings after 6, 12, 30 and 60 seconds.

mod floods;
mod innocents;
mod judge;
mod leaks;
mod stage;

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

use rustix::process::{Resource, Rlimit, setrlimit};

pub use self::judge::{few, main};
use self::stage::Stage;

/// The program's first argument; the scene's name and its directory follow.
const FLAG: &str = "--scene";

/// Files that a scene may have open: what kernels allow root, unless somebody allows more.
const MOST_FILES: u64 = 1 << 20;

/// As far as this process may.
fn raise_file_limit() {
    let files = Some(MOST_FILES);
    if setrlimit(Resource::Nofile, Rlimit { current: files, maximum: files }).is_err() {
        crate::program::raise_file_limit();
    }
}

/// What the scene's process does to the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Leak,
    Flood,
    Nobody,
}

impl Truth {
    fn as_str(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Flood => "flood",
            Self::Nobody => "nobody",
        }
    }
}

/// A program and its truth.
#[derive(Clone, Copy)]
pub struct Scene {
    name: &'static str,
    truth: Truth,
    /// Before so many seconds, its objects are too few to tell.
    from: u64,
    play: fn(&Stage),
}

impl Scene {
    const fn leak(name: &'static str, play: fn(&Stage)) -> Self {
        Self { name, truth: Truth::Leak, from: 0, play }
    }

    const fn flood(name: &'static str, play: fn(&Stage)) -> Self {
        Self { name, truth: Truth::Flood, from: 0, play }
    }

    const fn innocent(name: &'static str, play: fn(&Stage)) -> Self {
        Self { name, truth: Truth::Nobody, from: 0, play }
    }

    const fn from(self, seconds: u64) -> Self {
        Self { from: seconds, ..self }
    }

    /// 15 bytes at most.
    fn comm(&self) -> String {
        format!("sc-{}", self.name)
    }
}

fn all() -> Vec<Scene> {
    [leaks::SCENES, floods::SCENES, innocents::SCENES].concat()
}

/// The scene's program, to be started in a directory of its own.
fn command(scene: &Scene, directory: &Path) -> Command {
    let mut command = Command::new(env::current_exe().expect("/proc is mounted"));
    command.arg(FLAG).arg(scene.name).arg(directory);
    command
}

/// Plays a scene if the arguments ask for one.
pub fn play_if_asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != FLAG {
        return None;
    }
    let (name, directory) = (arguments.next()?, arguments.next()?);
    let scene = all().into_iter().find(|scene| name == scene.name).expect("we named it");
    raise_file_limit();
    crate::program::set_comm(scene.comm().as_bytes());
    (scene.play)(&Stage::new(directory.into()));
    Some(ExitCode::SUCCESS)
}
