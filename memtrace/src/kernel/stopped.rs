//! A program that is started and stopped before its first step: its process exists, so the probes can be told of it, and runs
//! nothing of the program before it is let go.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    io::{self, PipeWriter, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::{
    fs::{Access, access},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
    thread::{Gid, Uid, set_name, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use tokio::sync::oneshot;

use crate::{rights::needs, stream::event::Comm};

/// Where programs are, as libc has it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// As whom; None as ourselves.
    pub identity: Option<Identity>,
}

/// Of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Set in the program's environment.
    pub variables: Vec<(&'static str, String)>,
}

/// The process, while it waits. If it is dropped, the process ends without having run anything.
pub struct Stopped {
    pub pid: u32,
    go: PipeWriter,
    handle: OwnedFd,
    started: oneshot::Receiver<io::Result<()>>,
    ended: oneshot::Receiver<()>,
}

/// The process, while it runs.
pub struct Running {
    handle: OwnedFd,
    ended: oneshot::Receiver<()>,
}

/// How it ended.
pub struct Ending {
    waiter: JoinHandle<Option<ExitStatus>>,
    has_ended: Arc<AtomicBool>,
}

impl Ending {
    /// None where it never ran, or still runs.
    pub fn status(self) -> Option<ExitStatus> {
        if self.has_ended.load(Ordering::Acquire) { self.wait() } else { None }
    }

    fn wait(self) -> Option<ExitStatus> {
        self.waiter.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Makes the process. Not to be called on an event loop: it waits for the process.
pub fn start(program: Program) -> io::Result<(Stopped, Ending)> {
    check(program.words.first().ok_or(io::ErrorKind::InvalidInput)?)?;
    let (mut pid, tell_pid) = io::pipe()?;
    let (wait, go) = io::pipe()?;
    let (tell_started, started) = oneshot::channel::<io::Result<()>>();
    let (tell_ended, ended) = oneshot::channel();
    let mut command = command(program)?;
    let others_end = go.as_raw_fd();
    let (mut tell_pid, mut wait) = (Some(tell_pid), Some(wait));
    let stop = move || {
        // SAFETY: the child has its own copy of this descriptor, and nobody else there uses it. While it is open, the pipe
        // would not tell when memtrace is gone.
        unsafe { libc::close(others_end) };
        stop(tell_pid.take(), wait.take())
    };
    // SAFETY: between fork and exec it makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(stop) };
    let has_ended = Arc::new(AtomicBool::new(false));
    let note_end = Arc::clone(&has_ended);
    let waiter = thread::spawn(move || {
        let child = command.spawn();
        // Its ends of the pipes: if the child could not be made, nobody waits for its number.
        drop(command);
        needs::keep_only_files_here(false);
        let (child, result) = match child {
            Ok(child) => (Some(child), Ok(())),
            Err(error) => (None, Err(error)),
        };
        let _ = tell_started.send(result);
        let status = child.and_then(|mut child| child.wait().ok());
        note_end.store(true, Ordering::Release);
        let _ = tell_ended.send(());
        status
    });
    let mut number = [0; 4];
    if let Err(error) = pid.read_exact(&mut number) {
        return Err(started.blocking_recv().ok().and_then(Result::err).unwrap_or(error));
    }
    let pid = u32::from_ne_bytes(number);
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let handle = pidfd_open(raw, PidfdFlags::empty())?;
    Ok((Stopped { pid, go, handle, started, ended }, Ending { waiter, has_ended }))
}

/// Says at once what exec would say in the end.
fn check(program: &OsStr) -> io::Result<()> {
    let is_path = program.as_bytes().contains(&b'/');
    let path = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let found: Vec<PathBuf> = match is_path {
        true => vec![program.into()],
        false => env::split_paths(&path).map(|directory| directory.join(program)).collect(),
    };
    let found: Vec<PathBuf> = found.into_iter().filter(|path| path.exists()).collect();
    let may_run = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if found.iter().any(may_run) {
        return Ok(());
    }
    let error = if found.is_empty() { Errno::NOENT } else { Errno::ACCESS };
    Err(error.into())
}

fn command(program: Program) -> io::Result<Command> {
    let Program { words, identity } = program;
    let (path, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let name = Path::new(path).file_name().unwrap_or(path);
    let name = CString::new(Comm::truncated(name.as_bytes()).as_bytes())?;
    let mut command = Command::new(path);
    command.args(arguments);
    let variables = identity.iter().flat_map(|identity| &identity.variables);
    command.envs(variables.map(|(name, value)| (name, value)));
    let identity = identity.map(|Identity { uid, gid, groups, .. }| {
        let groups: Vec<Gid> = groups.into_iter().map(Gid::from_raw).collect();
        (Uid::from_raw(uid), Gid::from_raw(gid), groups)
    });
    let become_it = move || {
        if let Some((uid, gid, groups)) = &identity {
            set_thread_groups(groups)?;
            set_thread_res_gid(*gid, *gid, *gid)?;
            set_thread_res_uid(*uid, *uid, *uid)?;
        }
        // Memtrace ignores it, and what is ignored would stay so.
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
        // What exec itself allocates is the program's, under its name.
        Ok(set_name(&name)?)
    };
    // SAFETY: as below: system calls only.
    unsafe { command.pre_exec(become_it) };
    Ok(command)
}

/// Tells its number, and waits until it is let go. In the child, before exec.
fn stop(tell_pid: Option<PipeWriter>, wait: Option<io::PipeReader>) -> io::Result<()> {
    let (Some(mut tell_pid), Some(mut wait)) = (tell_pid, wait) else { return Ok(()) };
    tell_pid.write_all(&std::process::id().to_ne_bytes())?;
    drop(tell_pid);
    wait.read_exact(&mut [0])
}

impl Stopped {
    /// Lets it run the program. An error says why the program cannot be run.
    pub async fn go(self) -> io::Result<Running> {
        let Self { mut go, handle, started, ended, .. } = self;
        // Where it is gone, there is no start either.
        let _ = go.write_all(&[1]);
        match started.await {
            Ok(started) => started.map(|()| Running { handle, ended }),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Running {
    /// Waits for its end.
    pub async fn end(&mut self) {
        // A sender that is gone has nothing more to tell.
        let _ = (&mut self.ended).await;
    }

    pub fn signal(&self, signal: Signal) {
        // It may have ended a moment ago.
        let _ = pidfd_send_signal(&self.handle, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::process::ExitStatusExt as _};

    use super::*;
    use crate::testing;

    fn program(words: &[&str]) -> Program {
        Program { words: words.iter().map(OsString::from).collect(), identity: None }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn it_runs_when_it_is_let_go() {
        let (stopped, ending) = start(program(&["sh", "-c", "exit 7"])).unwrap();
        let comm = fs::read_to_string(format!("/proc/{}/comm", stopped.pid)).unwrap();
        assert_eq!(comm, "sh\n");
        block_on(async {
            let mut running = stopped.go().await.unwrap();
            running.end().await;
        });
        assert_eq!(ending.status().and_then(|status| status.code()), Some(7));
    }

    #[test]
    fn it_runs_nothing_when_nobody_lets_it_go() {
        let file = tempfile::tempdir().unwrap().path().join("made");
        let (stopped, ending) = start(program(&["touch", file.to_str().unwrap()])).unwrap();
        drop(stopped);
        assert_eq!(ending.wait(), None);
        assert!(!file.exists());
    }

    #[test]
    fn what_cannot_run_says_why() {
        let kind = |words: &[&str]| match start(program(words)) {
            Ok(_) => panic!("{words:?} can run"),
            Err(error) => error.kind(),
        };
        assert_eq!(kind(&["/nowhere/to/be/found"]), io::ErrorKind::NotFound);
        assert_eq!(kind(&["memtrace-nowhere-to-be-found"]), io::ErrorKind::NotFound);
        assert_eq!(kind(&["/etc/passwd"]), io::ErrorKind::PermissionDenied);
        assert_eq!(kind(&["/etc"]), io::ErrorKind::PermissionDenied);
        assert_eq!(kind(&[]), io::ErrorKind::InvalidInput);
    }

    /// What only exec finds out.
    #[test]
    fn what_is_no_program_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let path = testing::executable(directory.path(), "#!/nowhere/to/be/found\n");
        let (stopped, ending) = start(program(&[path.to_str().unwrap()])).unwrap();
        assert_eq!(block_on(stopped.go()).err().unwrap().kind(), io::ErrorKind::NotFound);
        assert_eq!(ending.wait(), None);
    }

    #[test]
    fn it_gets_signals() {
        let (stopped, ending) = start(program(&["sleep", "60"])).unwrap();
        block_on(async {
            let mut running = stopped.go().await.unwrap();
            running.signal(Signal::TERM);
            running.end().await;
        });
        assert_eq!(ending.status().and_then(|status| status.signal()), Some(libc::SIGTERM));
    }
}
