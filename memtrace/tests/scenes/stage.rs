//! Where a scene is played: its directory, its time, and when it is over.

use std::{
    io::Read as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::host;

pub struct Stage {
    pub directory: PathBuf,
    is_over: Arc<AtomicBool>,
    start: Instant,
}

/// An emulated machine does no more of anything in a second.
const MOST_EMULATED: f64 = 60.0;

/// How often a scene looks at the clock.
const STEP: Duration = Duration::from_millis(10);

impl Stage {
    /// It is over when the input ends, as it does if whoever judges it dies.
    pub fn new(directory: PathBuf) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        thread::spawn(move || {
            let _ = std::io::stdin().read(&mut [0]);
            over.store(true, Ordering::Relaxed);
        });
        Self { directory, is_over, start: Instant::now() }
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// So many, or a tenth of them on an emulated machine.
    pub fn many(&self, count: usize) -> usize {
        if host::is_our_own() { count / 10 } else { count }
    }

    /// Waits until it is over.
    pub fn rest(&self) {
        while !self.is_over() {
            thread::sleep(STEP);
        }
    }

    /// Does it so many times a second, until it is over; gives the number of the time.
    pub fn each(&self, per_s: f64, act: impl FnMut(u64)) {
        let per_s = if host::is_our_own() { per_s.min(MOST_EMULATED) } else { per_s };
        self.to(|seconds| seconds * per_s, act);
        self.rest();
    }

    /// Does it as often as the function of the seconds says, until it is over.
    pub fn to(&self, times: impl Fn(f64) -> f64, mut act: impl FnMut(u64)) {
        let mut done = 0;
        while !self.is_over() {
            while (done as f64) < times(self.seconds()) && !self.is_over() {
                act(done);
                done += 1;
            }
            thread::sleep(STEP);
        }
    }

    /// Makes one thing so many times a second, and holds all.
    pub fn hold<T>(&self, per_s: f64, mut make: impl FnMut(u64) -> T) {
        let mut held = Vec::new();
        self.each(per_s, |number| held.push(make(number)));
    }
}
