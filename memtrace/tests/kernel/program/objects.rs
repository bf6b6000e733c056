//! Objects that hang on file descriptors: closing these frees them.

use std::{
    fs::File,
    os::fd::OwnedFd,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    fs::{OFlags, fcntl_setfl},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pipe::pipe,
};

use super::{Held, Prepared, set_comm};

pub const MADE: &str = "the system's limits leave room for it";

/// Makes `count` of something.
fn each<T: 'static>(count: usize, make: impl Fn() -> T + 'static) -> Prepared {
    Box::new(move || Box::new((0..count).map(|_| make()).collect::<Vec<T>>()))
}

pub fn open_files(count: usize) -> Prepared {
    each(count, open_file)
}

fn open_file() -> File {
    File::open("/").expect(MADE)
}

pub fn make_pipe() -> (OwnedFd, OwnedFd) {
    pipe().expect(MADE)
}

pub fn pipes(count: usize) -> Prepared {
    each(count, make_pipe)
}

pub fn pipe_churn(count: usize) -> Prepared {
    Box::new(move || {
        for _ in 0..count {
            drop(make_pipe());
        }
        Box::new(())
    })
}

pub fn churn() -> Prepared {
    Box::new(|| {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                drop(pipe().expect(MADE));
            }
        });
        Box::new(Churning { is_over, thread: Some(thread) }) as Held
    })
}

/// A thread that makes and closes pipes.
struct Churning {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Churning {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()), "the thread failed");
    }
}

fn socket_pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None).expect(MADE)
}

pub fn socket_pairs(count: usize) -> Prepared {
    each(count, socket_pair)
}

pub fn async_sockets(count: usize) -> Prepared {
    let sockets: Vec<_> = (0..count).map(|_| socket_pair()).collect();
    Box::new(move || {
        for (socket, _) in &sockets {
            fcntl_setfl(socket, OFlags::ASYNC).expect(MADE);
        }
        Box::new(sockets)
    })
}

pub fn watches(count: usize) -> Prepared {
    let epoll = epoll::create(epoll::CreateFlags::empty()).expect(MADE);
    let watched: Vec<_> = (0..count).map(|_| eventfd(0, EventfdFlags::empty()).expect(MADE)).collect();
    Box::new(move || {
        for (number, fd) in watched.iter().enumerate() {
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, fd, data, epoll::EventFlags::IN).expect(MADE);
        }
        Box::new((epoll, watched))
    })
}

pub fn threads(threads: Vec<(String, usize)>) -> Prepared {
    Box::new(move || {
        let made = Arc::new(Barrier::new(threads.len() + 1));
        let release = Arc::new(Barrier::new(threads.len() + 1));
        for (comm, count) in threads {
            let (made, release) = (Arc::clone(&made), Arc::clone(&release));
            thread::spawn(move || {
                set_comm(comm.as_bytes());
                let files: Vec<File> = (0..count).map(|_| open_file()).collect();
                made.wait();
                release.wait();
                drop(files);
            });
        }
        made.wait();
        Box::new(Waiting(release)) as Held
    })
}

/// Threads that wait to free what they have.
struct Waiting(Arc<Barrier>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.wait();
    }
}
