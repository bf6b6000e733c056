//! Threads that work at the same time, on all CPUs.

use std::{
    os::fd::OwnedFd,
    process,
    sync::{Arc, Barrier, mpsc},
    thread,
};

use rustix::{
    event::{EventfdFlags, eventfd},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use super::{
    Prepared,
    messages::{self, Message, Queue},
    objects::{MADE, make_pipe},
};

/// What one thread does.
type Work = Box<dyn FnOnce() + Send>;

/// Threads that are there already, and start together.
fn crew(works: impl IntoIterator<Item = Work>) -> Prepared {
    let works: Vec<Work> = works.into_iter().collect();
    let start = Arc::new(Barrier::new(works.len() + 1));
    let threads: Vec<_> = works
        .into_iter()
        .map(|work| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                let _together = AllOrNone;
                start.wait();
                work();
            })
        })
        .collect();
    Box::new(move || {
        start.wait();
        for thread in threads {
            thread.join().expect("it did what it was told");
        }
        Box::new(())
    })
}

/// A thread that fails takes the others with it, which may wait for it.
struct AllOrNone;

impl Drop for AllOrNone {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}

pub fn flood(threads: usize, pipes: usize) -> Prepared {
    crew((0..threads).map(|_| -> Work { Box::new(move || (0..pipes).for_each(|_| drop(make_pipe()))) }))
}

/// The CPUs that we may run on.
pub fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("we may ask for our own");
    (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect()
}

fn run_on(cpu: usize) {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).expect("we may run there");
}

/// A place in a circle of threads, one on each CPU, that hand objects on.
trait Place: Send + 'static {
    /// Makes an object, and gives it to the next place.
    fn make(&self);
    /// Takes an object that the place before made, and frees it.
    fn free(&self);
}

/// Has `at_once` objects go around `laps` times: the first place makes them, each other one makes another for each that it
/// gets, and none is left.
fn relay<P: Place>(places: impl IntoIterator<Item = P>, at_once: usize, laps: usize) -> Prepared {
    crew(cpus().into_iter().zip(places).enumerate().map(|(number, (cpu, place))| -> Work {
        let is_first = number == 0;
        Box::new(move || {
            run_on(cpu);
            for _ in 0..laps {
                if is_first {
                    (0..at_once).for_each(|_| place.make());
                }
                for _ in 0..at_once {
                    place.free();
                    if !is_first {
                        place.make();
                    }
                }
            }
        })
    }))
}

struct Messages {
    from: Arc<Queue>,
    to: Arc<Queue>,
    payload: usize,
}

impl Place for Messages {
    fn make(&self) {
        self.to.send(&Message::default(), self.payload).expect("the queue has room");
    }

    fn free(&self) {
        self.from.receive(self.payload).expect("somebody sends");
    }
}

/// Messages of so many bytes, each sent on one CPU and received on the next.
pub fn relay_messages(at_once: usize, laps: usize, payload: usize) -> Prepared {
    messages::unshare();
    let queues: Vec<_> =
        cpus().iter().map(|_| Arc::new(Queue::new().expect("the namespace has none yet"))).collect();
    let places = (0..queues.len()).map(|number| Messages {
        from: Arc::clone(&queues[number]),
        to: Arc::clone(&queues[(number + 1) % queues.len()]),
        payload,
    });
    relay(places.collect::<Vec<_>>(), at_once, laps)
}

struct Files {
    from: mpsc::Receiver<OwnedFd>,
    to: mpsc::Sender<OwnedFd>,
}

impl Place for Files {
    fn make(&self) {
        let file = eventfd(0, EventfdFlags::empty()).expect(MADE);
        self.to.send(file).expect("the next place is there");
    }

    fn free(&self) {
        drop(self.from.recv().expect("somebody makes it"));
    }
}

/// Files, each opened on one CPU and closed on the next.
pub fn relay_files(at_once: usize, laps: usize) -> Prepared {
    let (mut to, from): (Vec<_>, Vec<_>) = cpus().iter().map(|_| mpsc::channel()).unzip();
    to.rotate_left(1);
    relay(from.into_iter().zip(to).map(|(from, to)| Files { from, to }), at_once, laps)
}
