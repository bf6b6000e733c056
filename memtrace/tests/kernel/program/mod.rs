//! The program that holds a known number of kernel objects, under a command name of the test's choice.
//!
//! It says `ready`, waits for a line, makes the objects, says `done`, waits for a line, frees them, says `released`, and
//! ends when its input does. If the input ends sooner, as when the test dies, it frees what it has and ends.

mod churn;
pub mod crew;
mod dentries;
mod memory;
mod messages;
mod named;
mod objects;
pub mod places;
pub mod requests;
mod undos;

use std::{
    any::Any,
    env,
    ffi::{CString, OsStr},
    io::{self, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{Uid, UnshareFlags, set_thread_res_uid, unshare_unsafe},
};
use serde::{Deserialize, Serialize};

use self::named::Named;
use crate::{host, workload::Workload};

/// The program's first argument; the command name and the task follow, or the name of a [`Named`] workload.
const FLAG: &str = "--workload";

/// How long a named workload holds its objects. Killed before, `flood` leaves an empty directory.
const NAMED_STAYS: Duration = Duration::from_secs(600);

/// What `flood` makes: short-lived processes called `curl` look up a million names.
const FLOOD_PROCESSES: usize = 10_000;
const FLOOD_LOOKUPS: usize = 100;

/// What `files` opens.
const NAMED_FILES: usize = 3_000;

/// Which objects to make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Each is one `filp`.
    OpenFiles(usize),
    /// Each is two `filp`, one `dentry` and one `inode_cache`.
    Pipes(usize),
    /// Each is two of `filp`, `dentry` and `sock_inode_cache`.
    SocketPairs(usize),
    /// Each adds one `fasync_cache` to a socket.
    AsyncSockets(usize),
    /// Each adds one `eventpoll_epi` and one `eventpoll_pwq` to an epoll.
    Watches(usize),
    /// Each is one object of some cache for so many bytes: 48 of header and the payload.
    Messages { count: usize, payload: usize },
    /// Each is one `dentry`, in a directory `db` that the program makes in this one.
    NegativeDentries { within: PathBuf, count: usize, names: NameStyle },
    /// Objects that tell where they are.
    Place(places::Place),
    /// By so many processes of this command name that live 20 ms, each looking up so many names.
    ShortLived { comm: String, within: PathBuf, processes: usize, lookups: usize },
    /// One of these processes.
    LookUp { directory: PathBuf, first: usize, count: usize },
    /// So many bytes of its own memory.
    Heap(usize),
    /// So many bytes of shared memory.
    SharedMemory(usize),
    /// So many bytes of a file, read: the kernel keeps them in its page cache as long as the file is there.
    ReadFile { within: PathBuf, number: usize, bytes: usize },
    /// So many pipes made and closed at once: nothing is held.
    PipeChurn(usize),
    /// So many areas of memory mapped and unmapped, a few at a time.
    Mappings(usize),
    /// So many areas of memory, which are gone with the process.
    Areas(usize),
    /// Each is one `io_kiocb`: a multiple of 64.
    Requests(usize),
    /// [`requests::AT_ONCE`] times one `filp`, which a worker of io_uring makes.
    OpenByWorkers,
    /// Each is one object of some cache for 272 bytes or some more.
    Undos(usize),
    /// So many datagrams sent to itself and received.
    Datagrams(usize),
    /// The same by so many threads at the same time, each with so many pipes.
    Flood { threads: usize, pipes: usize },
    /// Messages that are sent on one CPU and received on the next, all around: on each CPU, so many times as many as
    /// are underway.
    RelayMessages { at_once: usize, laps: usize, payload: usize },
    /// Likewise files, opened on one CPU and closed on the next.
    RelayFiles { at_once: usize, laps: usize },
    /// So many PID namespaces, each in the one before. Nothing is held.
    NestedPids(usize),
    /// Another program does it, which is started at once.
    Child { comm: String, task: Box<Task> },
    /// As the process of another user.
    As { uid: u32, task: Box<Task> },
    /// Pipes are made and closed all the time until it is told to free them; none is held.
    Churn,
    /// Threads of these command names, each with so many open files.
    Threads(Vec<(String, usize)>),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum NameStyle {
    /// `.<n>_dOeSnotExist_.db`
    DoesNotExist,
    /// As long as a name can be.
    Longest,
    Uuid,
    /// What no output may pass on as it is.
    Hostile,
}

#[derive(Clone, Copy)]
pub enum Reply {
    Ready,
    Done,
    Released,
}

impl Reply {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Done => "done",
            Self::Released => "released",
        }
    }
}

/// Objects that are there until it is dropped.
type Held = Box<dyn Any>;

/// Makes the objects. Whatever else is needed was made before.
type Prepared = Box<dyn FnOnce() -> Held>;

/// The program, to be started under a command name.
pub fn command(comm: &[u8], task: &Task) -> Command {
    let task = serde_json::to_string(task).expect("tasks are plain data");
    let mut command = Command::new(env::current_exe().expect("/proc is mounted"));
    command.arg(FLAG).arg(OsStr::from_bytes(comm)).arg(task);
    command
}

/// Runs the workload if the arguments ask for one.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != FLAG {
        return None;
    }
    let (comm, task) = match (arguments.next()?, arguments.next()) {
        (name, None) => return Some(run_named(&name)),
        (comm, Some(task)) => (comm, task),
    };
    let task = serde_json::from_slice(task.as_bytes()).expect("the test wrote it");
    set_comm(comm.as_bytes());
    match task {
        Task::LookUp { directory, first, count } => {
            dentries::live_shortly(&directory, first, count);
            return Some(ExitCode::SUCCESS);
        }
        Task::NestedPids(levels) => {
            nest(comm.as_bytes(), levels);
            return Some(ExitCode::SUCCESS);
        }
        _ => {}
    }
    raise_file_limit();
    obey(prepare(task)).expect("the test reads and writes until we end");
    Some(ExitCode::SUCCESS)
}

/// Lets this process open as many files as its hard limit allows.
pub fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("this raises no maximum");
}

/// Makes the objects of a workload that a person asked for, and holds them for a while.
fn run_named(name: &OsStr) -> ExitCode {
    let Some(named) = Named::ALL.into_iter().find(|named| name == named.name()) else {
        eprintln!("unknown workload {}; known: {}", name.display(), Named::ALL.map(Named::name).join(", "));
        return ExitCode::from(2);
    };
    raise_file_limit();
    let _held: Held = match named {
        Named::Flood => {
            let disk = host::directory_on_disk();
            let held = dentries::short_lived("curl", disk.path(), FLOOD_PROCESSES, FLOOD_LOOKUPS)();
            Box::new((held, disk))
        }
        Named::Churn => objects::churn()(),
        Named::Files => objects::open_files(NAMED_FILES)(),
    };
    thread::sleep(NAMED_STAYS);
    ExitCode::SUCCESS
}

fn prepare(task: Task) -> Prepared {
    match task {
        Task::OpenFiles(count) => objects::open_files(count),
        Task::Pipes(count) => objects::pipes(count),
        Task::SocketPairs(count) => objects::socket_pairs(count),
        Task::AsyncSockets(count) => objects::async_sockets(count),
        Task::Watches(count) => objects::watches(count),
        Task::Heap(bytes) => memory::heap(bytes),
        Task::SharedMemory(bytes) => memory::shared(bytes),
        Task::ReadFile { within, number, bytes } => memory::read_file(&within, number, bytes),
        Task::PipeChurn(count) => objects::pipe_churn(count),
        Task::Mappings(count) => churn::mappings(count),
        Task::Areas(count) => churn::areas(count),
        Task::Requests(count) => requests::requests(count),
        Task::OpenByWorkers => requests::open_by_workers(),
        Task::Undos(count) => undos::undos(count),
        Task::Datagrams(count) => churn::datagrams(count),
        Task::Flood { threads, pipes } => crew::flood(threads, pipes),
        Task::RelayMessages { at_once, laps, payload } => crew::relay_messages(at_once, laps, payload),
        Task::RelayFiles { at_once, laps } => crew::relay_files(at_once, laps),
        Task::Churn => objects::churn(),
        Task::Threads(threads) => objects::threads(threads),
        Task::Messages { count, payload } => messages::send(count, payload),
        Task::NegativeDentries { within, count, names } => dentries::negative(&within, count, names),
        Task::Place(place) => places::prepare(place),
        Task::ShortLived { comm, within, processes, lookups } => {
            dentries::short_lived(&comm, &within, processes, lookups)
        }
        Task::Child { comm, task } => {
            let mut child = Workload::start(comm, &task);
            Box::new(move || {
                child.go();
                Box::new(child)
            })
        }
        Task::As { uid, task } => {
            let uid = Uid::from_raw(uid);
            set_thread_res_uid(uid, uid, uid).expect("root may become anybody");
            prepare(*task)
        }
        Task::LookUp { .. } | Task::NestedPids(_) => {
            unreachable!("they have no objects of their own to hold")
        }
    }
}

/// Starts the program again, as the first process of a namespace, for the next level.
fn nest(comm: &[u8], levels: usize) {
    let Some(levels) = levels.checked_sub(1) else { return };
    // SAFETY: only file descriptors and memory must not be unshared behind other code's back.
    let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWPID) };
    unshared.expect("root may have a PID namespace of its own");
    let nested = command(comm, &Task::NestedPids(levels)).status();
    assert!(nested.expect("this binary starts again").success());
}

fn obey(prepared: Prepared) -> io::Result<()> {
    say(Reply::Ready)?;
    if !is_told_to_go_on()? {
        return Ok(());
    }
    let held = prepared();
    say(Reply::Done)?;
    if !is_told_to_go_on()? {
        return Ok(());
    }
    drop(held);
    say(Reply::Released)?;
    is_told_to_go_on().map(drop)
}

fn say(reply: Reply) -> io::Result<()> {
    writeln!(io::stdout(), "{}", reply.as_str())
}

/// Waits for a line; false at the end of the input.
fn is_told_to_go_on() -> io::Result<bool> {
    Ok(io::stdin().read_line(&mut String::new())? > 0)
}

pub fn set_comm(comm: &[u8]) {
    let comm = CString::new(comm).expect("a command name has no NUL");
    rustix::thread::set_name(&comm).expect("a thread may name itself");
}
