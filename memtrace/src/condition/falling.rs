//! How long what is left of something lasts, if it goes on falling as it does.
//!
//! The question is asked of windows: one of half the time that is waited for, and of a half and a quarter of that, since what lasts
//! for a quarter of the time has to be seen in less. A window has four quarters, and each counts by the median of what was read in it, so
//! that single readings mean nothing. It falls where each median is below the one before, by at least a third of what the whole
//! fall comes to: one step, however deep, is no trend, and neither is what comes and goes.
//!
//! To last for less than twice the window, more than a third has to be gone within the window. What moves within a quarter of its height never
//! counts as falling.

use std::{collections::VecDeque, time::Duration};

/// Windows, as parts of the time that is waited for.
const WINDOWS: [u32; 3] = [2, 4, 8];

/// Readings that are kept of the longest, at most.
const MOST: u32 = 64;

const QUARTERS: usize = 4;

/// A step from one median to the next is at least this part of an average one.
const STEADY: f64 = 1.0 / 3.0;

/// What was read of a figure lately.
#[derive(Clone, Debug)]
pub struct Falling {
    /// What is waited for.
    within: Duration,
    readings: VecDeque<(Duration, u64)>,
}

/// A quarter of a window.
#[derive(Clone, Copy, Debug)]
struct Quarter {
    /// The middle of its readings, in seconds.
    at: f64,
    median: f64,
}

impl Falling {
    pub fn of(within: Duration) -> Self {
        Self { within, readings: VecDeque::new() }
    }

    /// Takes note of a value. Returns how long it lasts, if that is shorter than what is waited for.
    pub fn add(&mut self, at: Duration, value: u64) -> Option<Duration> {
        let longest = self.within / WINDOWS[0];
        let apart = (longest / MOST).max(Duration::from_nanos(1));
        let is_due = self.readings.back().is_none_or(|(last, _)| at.saturating_sub(*last) >= apart);
        if is_due {
            self.readings.push_back((at, value));
        }
        while self.readings.front().is_some_and(|(first, _)| at.saturating_sub(*first) > longest) {
            self.readings.pop_front();
        }
        WINDOWS.into_iter().find_map(|part| {
            let window = self.within / part;
            self.lasts(at, window).filter(|lasts| *lasts < window * WINDOWS[0])
        })
    }

    /// None where it does not fall, or not steadily, or too little of the window was seen.
    fn lasts(&self, now: Duration, window: Duration) -> Option<Duration> {
        let quarters = self.quarters(now, window)?;
        let [first, .., last] = quarters;
        let rate = (first.median - last.median) / (last.at - first.at);
        let is_steady = quarters.windows(2).all(|pair| {
            let least = rate * (pair[1].at - pair[0].at) * STEADY;
            pair[0].median - pair[1].median >= least
        });
        if rate <= 0.0 || !is_steady {
            return None;
        }
        let left = last.median - rate * (now.as_secs_f64() - last.at);
        Duration::try_from_secs_f64((left / rate).max(0.0)).ok()
    }

    /// None where there was no reading in one of them.
    fn quarters(&self, now: Duration, window: Duration) -> Option<[Quarter; QUARTERS]> {
        let start = now.checked_sub(window)?;
        let mut values: [Vec<(f64, u64)>; QUARTERS] = Default::default();
        for (at, value) in &self.readings {
            let Some(since) = at.checked_sub(start) else { continue };
            let quarter = (QUARTERS as f64 * since.as_secs_f64() / window.as_secs_f64()) as usize;
            values[quarter.min(QUARTERS - 1)].push((at.as_secs_f64(), *value));
        }
        let quarters: Vec<Quarter> = values.iter_mut().filter_map(|values| quarter(values)).collect();
        quarters.try_into().ok()
    }
}

/// Of readings in the order of their times.
fn quarter(readings: &mut [(f64, u64)]) -> Option<Quarter> {
    let middle = |readings: &[(f64, u64)]| {
        let upper = readings.len() / 2;
        let lower = if readings.len().is_multiple_of(2) { upper.checked_sub(1)? } else { upper };
        Some((*readings.get(lower)?, *readings.get(upper)?))
    };
    let (before, after) = middle(readings)?;
    let at = before.0.midpoint(after.0);
    readings.sort_unstable_by_key(|(_, value)| *value);
    let (less, more) = middle(readings)?;
    Some(Quarter { at, median: (less.1 as f64).midpoint(more.1 as f64) })
}

#[cfg(test)]
mod tests;
