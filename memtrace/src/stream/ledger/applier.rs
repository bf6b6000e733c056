//! Applies events to a ledger: by the thread that reads them or, where many wait, by a second one.
//!
//! Where a reader finds many, it lends the ledger to a thread that applies blocks of them in their order, while the next are read.
//! Whoever looks at the ledger takes it back first, with all events applied: nobody else needs to know, and no lock is held.

use std::{
    io, mem,
    panic::resume_unwind,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use super::{Bounds, Ledger, MAX_BATCH, batch::Batch};
use crate::stream::event::Event;

/// Events that the second thread gets at once: some tens of microseconds of work, so that to wake it up costs little beside.
const BLOCK: usize = 1024;

/// It gets nothing before there are so many, or it had some the last time: one thread alone takes less CPU time for an event, as what
/// another CPU has written has to be fetched.
const MANY: usize = 16 * BLOCK;

/// Blocks on their way to it at most.
const BLOCKS: usize = 4;

/// Events on their way to a ledger, in their order.
pub struct Applier {
    batch: Batch,
    /// So many events are enough to go on with.
    enough: usize,
    /// Events since [`Self::finish`] that this thread applied itself.
    applied_here: usize,
    /// As many of these are enough for the second thread to help.
    patience: usize,
    /// None where one thread does all.
    second: Option<SecondThread>,
}

impl Default for Applier {
    fn default() -> Self {
        Self { batch: Batch::default(), enough: MAX_BATCH, applied_here: 0, patience: MANY, second: None }
    }
}

impl Applier {
    /// With a second thread for where many events wait, which has done this first.
    pub fn with_second_thread(at_start: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        Ok(Self { second: Some(SecondThread::start(at_start)?), ..Self::default() })
    }

    /// Adds an event, and applies some when there are enough. Until [`Self::finish`] the ledger may be lent, with room for what is added,
    /// and one without any object in its place.
    #[inline]
    pub fn add(&mut self, event: Event<'_>, ledger: &mut Ledger) {
        self.batch.push(event);
        if self.batch.len() >= self.enough {
            self.pass_on(ledger);
        }
    }

    /// Applies what is left. The ledger is back then.
    pub fn finish(&mut self, ledger: &mut Ledger) {
        let has_helped = self.second.as_mut().is_some_and(|second| second.give_back(ledger));
        self.patience = if has_helped { BLOCK } else { MANY };
        self.batch.apply(ledger);
        (self.enough, self.applied_here) = (MAX_BATCH, 0);
    }

    fn pass_on(&mut self, ledger: &mut Ledger) {
        match &mut self.second {
            None => self.batch.apply(ledger),
            Some(second) if second.has_ledger() => {
                second.apply(&mut self.batch);
                if !second.has_room() {
                    self.finish(ledger);
                }
            }
            Some(second) => {
                self.applied_here += self.batch.len();
                self.batch.apply(ledger);
                if self.applied_here >= self.patience && second.lend(ledger) {
                    self.enough = BLOCK;
                }
            }
        }
    }
}

/// Has the ledger while many events are read.
struct SecondThread {
    /// None when it is to end.
    jobs: Option<SyncSender<Job>>,
    /// Blocks that it has applied.
    applied: Receiver<Batch>,
    given_back: Receiver<Box<Ledger>>,
    thread: Option<JoinHandle<()>>,
    empty: Vec<Batch>,
    /// What is in the ledger's place while it is lent. None then.
    placeholder: Option<Box<Ledger>>,
    /// For how many more events the ledger has room, while it is lent.
    room: Option<usize>,
}

enum Job {
    Take(Box<Ledger>),
    Apply(Batch),
    GiveBack,
}

impl SecondThread {
    fn start(at_start: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        // Nobody waits to send: a block comes back before there are more than these.
        let (jobs, received) = sync_channel(BLOCKS + 2);
        let (done, applied) = sync_channel(BLOCKS);
        let (back, given_back) = sync_channel(1);
        let (begins, begun) = sync_channel::<()>(0);
        let run = move || {
            at_start();
            drop(begins);
            keep(&received, &done, &back);
        };
        let thread = thread::Builder::new().name("ledger".to_owned()).spawn(run)?;
        // Nothing is sent: it ends.
        let _ = begun.recv();
        let placeholder = Ledger::with_bounds(Bounds { objects: 2 * MAX_BATCH, origins: 1, groups: 1 });
        Ok(Self {
            jobs: Some(jobs),
            applied,
            given_back,
            thread: Some(thread),
            empty: (0..BLOCKS).map(|_| Batch::default()).collect(),
            placeholder: Some(Box::new(placeholder)),
            room: None,
        })
    }

    fn has_ledger(&self) -> bool {
        self.room.is_some()
    }

    /// Whether one more block fits into the ledger.
    fn has_room(&self) -> bool {
        self.room.is_some_and(|room| room >= BLOCK)
    }

    /// False where it is nearly full.
    fn lend(&mut self, ledger: &mut Ledger) -> bool {
        let room = ledger.room();
        let Some(mut lent) = self.placeholder.take_if(|_| room >= BLOCK) else { return false };
        mem::swap(ledger, &mut lent);
        self.send(Job::Take(lent));
        self.room = Some(room);
        true
    }

    /// Empties the batch.
    fn apply(&mut self, batch: &mut Batch) {
        self.room = self.room.map(|room| room.saturating_sub(batch.len()));
        let empty = match self.empty.pop() {
            Some(empty) => empty,
            None => self.applied.recv().unwrap_or_else(|_| self.rethrow()),
        };
        let full = mem::replace(batch, empty);
        self.send(Job::Apply(full));
    }

    /// False where it was not lent.
    fn give_back(&mut self, ledger: &mut Ledger) -> bool {
        if self.room.take().is_none() {
            return false;
        }
        self.send(Job::GiveBack);
        let mut back = self.given_back.recv().unwrap_or_else(|_| self.rethrow());
        mem::swap(ledger, &mut back);
        self.placeholder = Some(back);
        self.empty.extend(self.applied.try_iter());
        true
    }

    fn send(&mut self, job: Job) {
        let is_sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !is_sent {
            self.rethrow();
        }
    }

    /// It ends before its time only by a panic.
    fn rethrow(&mut self) -> ! {
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => resume_unwind(panic),
            _ => unreachable!("it waits for jobs until there is nobody to send them"),
        }
    }
}

impl Drop for SecondThread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The second thread's work, until nobody has any for it.
fn keep(jobs: &Receiver<Job>, applied: &SyncSender<Batch>, given_back: &SyncSender<Box<Ledger>>) {
    let mut lent = None;
    for job in jobs {
        let is_heard = match (job, &mut lent) {
            (Job::Take(ledger), _) => {
                lent = Some(ledger);
                true
            }
            (Job::Apply(mut batch), Some(ledger)) => {
                batch.apply(ledger);
                applied.send(batch).is_ok()
            }
            (Job::GiveBack, Some(_)) => lent.take().is_some_and(|ledger| given_back.send(ledger).is_ok()),
            (Job::Apply(_) | Job::GiveBack, None) => unreachable!("it has the ledger"),
        };
        if !is_heard {
            return;
        }
    }
}
