//! Who leaks: objects of each kind that a program can hold, slowly and fast, alone and beside churn.

use std::{
    ffi::CString,
    fs::{self, File},
    io,
    net::{TcpListener, UdpSocket},
    os::fd::{FromRawFd as _, OwnedFd},
    os::unix::net::UnixStream,
    thread,
};

use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    fs::{MemfdFlags, memfd_create},
};

use super::{Scene, stage::Stage};

pub const SCENES: &[Scene] = &[
    Scene::leak("files", |stage| stage.hold(200.0, |_| open_null())),
    Scene::leak("files-slow", |stage| stage.hold(5.0, |_| open_null())).from(30),
    Scene::leak("files-20", |stage| stage.hold(20.0, |_| open_null())).from(12),
    Scene::leak("areas-fast", areas),
    Scene::leak("pipes", |stage| stage.hold(100.0, |_| io::pipe().expect("a pipe"))),
    Scene::leak("unix", |stage| stage.hold(100.0, |_| UnixStream::pair().expect("a pair"))),
    Scene::leak("tcp", |stage| stage.hold(50.0, |_| TcpListener::bind("127.0.0.1:0").expect("a port"))),
    Scene::leak("udp", |stage| stage.hold(50.0, |_| UdpSocket::bind("127.0.0.1:0").expect("a port"))),
    Scene::leak("netlink", |stage| stage.hold(100.0, |_| socket(libc::AF_NETLINK, libc::SOCK_RAW))),
    Scene::leak("packet", |stage| stage.hold(50.0, |_| socket(libc::AF_PACKET, libc::SOCK_RAW))),
    Scene::leak("epoll", |stage| stage.hold(100.0, |_| watched())),
    Scene::leak("timerfd", |stage| stage.hold(100.0, |_| timer())),
    Scene::leak("eventfd", |stage| stage.hold(200.0, |_| eventfd(0, EventfdFlags::CLOEXEC).expect("one"))),
    // It makes the files first.
    Scene::leak("inotify", inotify).from(12),
    Scene::leak("memfd", |stage| stage.hold(50.0, |_| memfd_create("sc", MemfdFlags::CLOEXEC).expect("one"))),
    Scene::leak("deleted", |stage| stage.hold(50.0, |number| deleted(stage, number))),
    Scene::leak("shm", |stage| stage.hold(40.0, |_| SharedMemory::new())),
    Scene::leak("semaphores", |stage| stage.hold(100.0, |_| Semaphores::new())),
    Scene::leak("messages", |stage| stage.hold(100.0, |_| Queue::with_messages())),
    Scene::leak("keys", keys),
    Scene::leak("threads", threads),
    Scene::leak("zombies", |stage| stage.each(25.0, |_| _ = child(|| ()))),
    Scene::leak("locks", locks),
    Scene::leak("uts", uts_namespaces),
    Scene::leak("mounts", mounts),
    Scene::leak("bpf-maps", |stage| stage.hold(50.0, |_| bpf_map())),
    Scene::leak("io-uring", |stage| stage.hold(20.0, |_| io_uring())).from(12),
    Scene::leak("posix-timers", |stage| stage.hold(100.0, |_| posix_timer())),
    Scene::leak("churning", beside_churn),
    Scene::leak("bursts", |stage| stage.to(|seconds| seconds.floor() * 100.0, keep_null)),
    Scene::leak("two-fast", |stage| stage.hold(220.0, |_| open_null())),
    Scene::leak("two-slow", |stage| stage.hold(180.0, |_| open_null())),
    Scene::leak("brief", brief),
];

fn open_null() -> File {
    File::open("/dev/null").expect("it is there")
}

fn keep_null(_: u64) {
    std::mem::forget(open_null());
}

fn owned(descriptor: i64) -> OwnedFd {
    assert!(descriptor >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the system call has just made it, for nobody else.
    unsafe { OwnedFd::from_raw_fd(descriptor as i32) }
}

fn socket(family: i32, kind: i32) -> OwnedFd {
    // SAFETY: no pointers.
    owned(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) }.into())
}

fn watched() -> (OwnedFd, OwnedFd) {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("one");
    let event = eventfd(0, EventfdFlags::CLOEXEC).expect("one");
    epoll::add(&epoll, &event, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
        .expect("it can be watched");
    (epoll, event)
}

fn timer() -> OwnedFd {
    // SAFETY: no pointers.
    owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) }.into())
}

/// Mappings, which cannot become one: every other page may be written.
fn areas(stage: &Stage) {
    const BYTES: usize = 1 << 30;
    let protection = rustix::mm::ProtFlags::READ;
    // SAFETY: a mapping of our own, at an address that the kernel chooses.
    let all = unsafe {
        rustix::mm::mmap_anonymous(std::ptr::null_mut(), BYTES, protection, rustix::mm::MapFlags::PRIVATE)
    };
    let all = all.expect("addresses are free").cast::<u8>();
    // Each is two areas more, and the kernel allows 65,530 of a process: enough for 90 s.
    stage.each(350.0, |number| {
        let writable = rustix::mm::MprotectFlags::READ | rustix::mm::MprotectFlags::WRITE;
        // SAFETY: within the mapping, which nobody uses.
        let _ =
            unsafe { rustix::mm::mprotect(all.add(number as usize % 100_000 * 8192).cast(), 4096, writable) };
    });
}

/// Watches on files that were made before.
fn inotify(stage: &Stage) {
    let path = |number: u64| stage.directory.join(format!("watched-{}", number % 8000));
    (0..8000).for_each(|number| fs::write(path(number), "").expect("the directory is ours"));
    // SAFETY: no pointers.
    let inotify = unsafe { libc::inotify_init1(libc::IN_CLOEXEC) };
    stage.each(100.0, |number| {
        let path = CString::new(path(number).into_os_string().into_encoded_bytes()).expect("no NUL");
        // SAFETY: the path is a string that lives until the call returns.
        unsafe { libc::inotify_add_watch(inotify, path.as_ptr(), libc::IN_ACCESS) };
    });
}

fn deleted(stage: &Stage, number: u64) -> File {
    let path = stage.directory.join(format!("deleted-{number}"));
    let file = File::create(&path).expect("the directory is ours");
    fs::remove_file(path).expect("it was made just now");
    file
}

/// System V's, which outlive their process.
struct SharedMemory(i32);

impl SharedMemory {
    fn new() -> Self {
        // SAFETY: no pointers.
        Self(unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) })
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: to remove it needs no buffer.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

struct Semaphores(i32);

impl Semaphores {
    fn new() -> Self {
        // SAFETY: no pointers.
        Self(unsafe { libc::semget(libc::IPC_PRIVATE, 4, 0o600) })
    }
}

impl Drop for Semaphores {
    fn drop(&mut self) {
        // SAFETY: to remove them needs no argument.
        unsafe { libc::semctl(self.0, 0, libc::IPC_RMID) };
    }
}

struct Queue(i32);

impl Queue {
    fn with_messages() -> Self {
        Self::with_messages_of(libc::IPC_PRIVATE, 0)
    }

    fn with_messages_of(key: i32, flags: i32) -> Self {
        // SAFETY: no pointers.
        let queue = unsafe { libc::msgget(key, 0o600 | flags) };
        let message = [1_u64; 32];
        for _ in 0..4 {
            // SAFETY: the message is a type, which is not zero, and so many bytes.
            unsafe { libc::msgsnd(queue, message.as_ptr().cast(), 200, libc::IPC_NOWAIT) };
        }
        Self(queue)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: to remove it needs no buffer.
        unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// In a keyring of the process: all go with it.
fn keys(stage: &Stage) {
    const PROCESS_KEYRING: i32 = -2;
    stage.each(100.0, |number| {
        let name = CString::new(format!("sc-{number}")).expect("no NUL");
        // SAFETY: two strings and four bytes, which live until the call returns.
        unsafe {
            libc::syscall(
                libc::SYS_add_key,
                c"user".as_ptr(),
                name.as_ptr(),
                c"data".as_ptr(),
                4,
                PROCESS_KEYRING,
            )
        };
    });
}

fn threads(stage: &Stage) {
    let parked = || thread::Builder::new().stack_size(64 << 10).spawn(thread::park).expect("a thread");
    stage.hold(25.0, |_| parked());
    std::process::exit(0);
}

/// Locks of single bytes of one file, every other one: no two become one.
fn locks(stage: &Stage) {
    let file = File::create(stage.directory.join("locked")).expect("the directory is ours");
    stage.each(200.0, |number| {
        let lock = libc::flock {
            l_type: libc::F_WRLCK as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: number as i64 * 2,
            l_len: 1,
            l_pid: 0,
        };
        // SAFETY: the kernel reads the structure, which lives until the call returns.
        unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&file), libc::F_OFD_SETLK, &lock) };
    });
}

fn uts_namespaces(stage: &Stage) {
    stage.hold(50.0, |_| {
        // SAFETY: its name is the only thing that a UTS namespace has.
        unsafe { libc::unshare(libc::CLONE_NEWUTS) };
        File::open("/proc/self/ns/uts").expect("it is ours")
    });
}

/// In a mount namespace of its own.
fn mounts(stage: &Stage) {
    // SAFETY: nothing else of the process looks at mounts.
    let unshared = unsafe { libc::unshare(libc::CLONE_NEWNS) };
    assert_eq!(unshared, 0, "root may");
    let private = libc::MS_PRIVATE | libc::MS_REC;
    // SAFETY: a change of propagation takes only the path.
    unsafe { libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()) };
    let at = CString::new(stage.directory.clone().into_os_string().into_encoded_bytes()).expect("no NUL");
    stage.each(20.0, |_| {
        // SAFETY: strings that live until the call returns, and no data.
        unsafe { libc::mount(c"sc".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null()) };
    });
}

/// An array of one value.
fn bpf_map() -> OwnedFd {
    const BPF_MAP_CREATE: i32 = 0;
    const ARRAY: u32 = 2;
    let attributes: [u32; 18] = {
        let mut attributes = [0; 18];
        attributes[..4].copy_from_slice(&[ARRAY, 4, 8, 1]);
        attributes
    };
    // SAFETY: the kernel reads so many bytes of attributes.
    owned(unsafe {
        libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, attributes.as_ptr(), size_of_val(&attributes))
    })
}

fn io_uring() -> OwnedFd {
    let mut parameters = [0_u8; 120];
    // SAFETY: the kernel reads and writes its parameters' 120 bytes.
    owned(unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr()) })
}

fn posix_timer() -> i32 {
    let mut timer = std::ptr::null_mut();
    // SAFETY: without an event it signals; the timer's number is written to where it is asked for.
    unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, std::ptr::null_mut(), &mut timer) }
}

/// Of a hundred files that it opens, it forgets to close one.
fn beside_churn(stage: &Stage) {
    stage.hold(50.0, |_| {
        (0..stage.many(100)).for_each(|_| drop(open_null()));
        open_null()
    });
}

/// Thousands of processes, each of which leaves a queue of messages behind.
fn brief(stage: &Stage) {
    let first = 0x5c00_0000 | (std::process::id() & 0xfff) << 12;
    let key = |number: u64| (first + number as u32) as i32;
    let mut queues = 0;
    stage.each(40.0, |number| {
        queues = number + 1;
        let child = child(|| std::mem::forget(Queue::with_messages_of(key(number), libc::IPC_CREAT)));
        // SAFETY: nobody asks for its status.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    });
    // SAFETY: no pointers.
    (0..queues).for_each(|number| drop(Queue(unsafe { libc::msgget(key(number), 0o600) })));
}

/// A process that does this and ends at once.
pub fn child(act: impl FnOnce()) -> i32 {
    // SAFETY: there is no other thread that holds a lock which the child needs: it only makes system calls.
    let child = unsafe { libc::fork() };
    if child == 0 {
        act();
        // SAFETY: without what the parent would do at its end.
        unsafe { libc::_exit(0) };
    }
    child
}
