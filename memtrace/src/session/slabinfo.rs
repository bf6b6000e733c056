//! How the kernel's own count of each cache's objects moves.

use std::{collections::HashMap, time::Duration};

use crate::{slab, view::build::Slabinfo};

/// Reading slabinfo walks lists under the allocator's locks, so it is read at most this often.
const READ_EVERY: Duration = Duration::from_secs(5);

/// But a second time as soon as the first rate can be told.
const FIRST_RATE_AFTER: Duration = Duration::from_millis(400);

/// The last two readings.
pub struct SlabinfoSeries {
    host: slab::Host,
    objects: HashMap<String, u64>,
    read_at: Duration,
    readings: u32,
    latest: HashMap<String, Slabinfo>,
}

impl SlabinfoSeries {
    /// Takes the first reading.
    pub fn start(host: slab::Host) -> Self {
        let mut series = Self {
            host,
            objects: HashMap::new(),
            read_at: Duration::ZERO,
            readings: 0,
            latest: HashMap::new(),
        };
        series.read(Duration::ZERO);
        series
    }

    /// Reads again if it is time to.
    pub fn update(&mut self, elapsed: Duration) {
        let wait = if self.readings < 2 { FIRST_RATE_AFTER } else { READ_EVERY };
        if elapsed >= self.read_at + wait {
            self.read(elapsed);
        }
    }

    /// By the cache's name; empty where slabinfo cannot be read.
    pub fn latest(&self) -> &HashMap<String, Slabinfo> {
        &self.latest
    }

    fn read(&mut self, elapsed: Duration) {
        let Ok(lines) = self.host.slabinfo() else { return };
        let mut objects: HashMap<String, u64> = HashMap::new();
        for line in lines {
            *objects.entry(slab::root_name(&line.name).to_owned()).or_default() += line.active_objs;
        }
        let seconds = (elapsed - self.read_at).as_secs_f64();
        let rate = |name: &str, now: u64| {
            let before = *self.objects.get(name)?;
            (seconds > 0.0).then(|| (now as f64 - before as f64) / seconds)
        };
        self.latest = objects
            .iter()
            .map(|(name, &now)| (name.clone(), Slabinfo { objects: now, objects_per_s: rate(name, now) }))
            .collect();
        self.objects = objects;
        self.read_at = elapsed;
        self.readings += 1;
    }
}

#[cfg(test)]
mod tests;
