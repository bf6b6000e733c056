//! How each cache's count of objects in /proc/slabinfo moves.

use std::{collections::HashMap, time::Duration};

use crate::{
    procfs::{
        Files,
        slab::{self, SlabinfoLine},
    },
    view::checkpoint::Slabinfo,
};

/// Reading slabinfo walks lists under the allocator's locks, so it is read at most this often.
const READ_EVERY: Duration = Duration::from_secs(5);

/// The second reading comes as soon as it gives a rate.
const FIRST_RATE_AFTER: Duration = Duration::from_millis(400);

/// The first reading, and the last two.
pub struct SlabinfoSeries {
    files: Files,
    read_at: Duration,
    readings: u32,
    /// When it was, and its counts; empty before.
    first: (Duration, HashMap<String, u64>),
    latest: HashMap<String, Slabinfo>,
    /// The last reading as it was.
    lines: Vec<SlabinfoLine>,
}

impl SlabinfoSeries {
    /// Not read yet.
    pub fn new(files: Files) -> Self {
        Self {
            files,
            read_at: Duration::ZERO,
            readings: 0,
            first: Default::default(),
            latest: HashMap::new(),
            lines: Vec::new(),
        }
    }

    /// How many there were.
    pub fn readings(&self) -> u32 {
        self.readings
    }

    /// The last one, line by line.
    pub fn lines(&self) -> &[SlabinfoLine] {
        &self.lines
    }

    /// Whether it is time to read again.
    pub fn is_due(&self, elapsed: Duration) -> bool {
        let wait = match self.readings {
            0 => Duration::ZERO,
            1 => FIRST_RATE_AFTER,
            _ => READ_EVERY,
        };
        elapsed >= self.read_at + wait
    }

    /// By the cache's name; empty where slabinfo cannot be read.
    pub fn latest(&self) -> &HashMap<String, Slabinfo> {
        &self.latest
    }

    /// With rates since the first reading.
    pub fn since_start(&self) -> HashMap<String, Slabinfo> {
        let (first_at, first) = &self.first;
        let seconds = self.read_at.saturating_sub(*first_at).as_secs_f64();
        let mut caches = self.latest.clone();
        for (name, cache) in &mut caches {
            let before = first.get(name).filter(|_| seconds > 0.0);
            cache.objects_per_s = before.map(|&before| (cache.objects as f64 - before as f64) / seconds);
        }
        caches
    }

    /// False where it cannot be read.
    pub fn read(&mut self, elapsed: Duration) -> bool {
        let Ok(lines) = self.files.slabinfo() else { return false };
        let mut caches: HashMap<String, Slabinfo> = HashMap::new();
        for line in &lines {
            let cache = caches.entry(slab::root_name(&line.name).to_owned()).or_default();
            cache.objects += line.active_objs;
            cache.inexact += line.inexact();
        }
        let seconds = (elapsed - self.read_at).as_secs_f64();
        for (name, cache) in &mut caches {
            let before = self.latest.get(name).filter(|_| seconds > 0.0);
            cache.objects_per_s =
                before.map(|before| (cache.objects as f64 - before.objects as f64) / seconds);
        }
        if self.readings == 0 {
            let counts = caches.iter().map(|(name, cache)| (name.clone(), cache.objects));
            self.first = (elapsed, counts.collect());
        }
        self.latest = caches;
        self.lines = lines;
        self.read_at = elapsed;
        self.readings += 1;
        true
    }
}

#[cfg(test)]
mod tests;
