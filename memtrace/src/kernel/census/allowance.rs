//! How long a census may go on.
//!
//! What it costs the host is time of a CPU, so that is what is bounded. Time that passes while others have the CPUs costs nobody
//! anything: on a starved host a census that ends by the clock has seen next to nothing.

use std::time::{Duration, Instant};

use super::{PATIENCE, plan::Pilot, sample::Cut};
use crate::kernel::clock;

pub struct Allowance<'a> {
    start: Instant,
    cpu_start: Duration,
    cpu_time: Duration,
    goes_on: &'a mut dyn FnMut() -> bool,
}

impl<'a> Allowance<'a> {
    /// From now on, for what this thread does. `goes_on` says whether somebody still wants the census.
    pub fn begin(cpu_time: Duration, goes_on: &'a mut dyn FnMut() -> bool) -> Self {
        Self { start: Instant::now(), cpu_start: clock::of_this_thread(), cpu_time, goes_on }
    }

    /// A pilot is short, and without it there is no census: it ends only with the patience.
    pub fn ends_pilot(&mut self) -> Option<Cut> {
        if !(self.goes_on)() {
            return Some(Cut::Asked);
        }
        let waited = self.start.elapsed();
        (waited >= self.cpu_time * PATIENCE).then(|| Cut::Starved { waited, cpu_time: self.spent() })
    }

    pub fn ends(&mut self) -> Option<Cut> {
        self.ends_pilot().or_else(|| self.left().is_zero().then_some(Cut::Spent))
    }

    /// Time of a CPU that it took.
    pub fn spent(&self) -> Duration {
        clock::of_this_thread().saturating_sub(self.cpu_start)
    }

    /// What is left of the time of a CPU.
    fn left(&self) -> Duration {
        self.cpu_time.saturating_sub(self.spent())
    }

    /// What the pilot took, and what is there for all of the census.
    pub fn pilot(&self, drawn: u64, pages: u64) -> Pilot {
        Pilot { drawn, pages, spent: self.spent() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_so_much_was_spent() {
        const TIME: Duration = Duration::from_millis(20);
        let mut goes_on = || true;
        let mut allowance = Allowance::begin(TIME, &mut goes_on);
        let cut = loop {
            if let Some(cut) = allowance.ends() {
                break cut;
            }
        };
        // On a machine that does nothing for us, it is not spent in time.
        assert!(
            matches!(cut, Cut::Starved { .. }) || (cut == Cut::Spent && allowance.spent() >= TIME),
            "{cut:?}"
        );
    }

    #[test]
    fn patience_has_an_end() {
        let mut goes_on = || true;
        let mut allowance = Allowance::begin(Duration::from_micros(100), &mut goes_on);
        std::thread::sleep(Duration::from_millis(1));
        let Some(Cut::Starved { waited, cpu_time }) = allowance.ends_pilot() else { panic!("1 ms is over") };
        assert!(cpu_time < waited);
    }

    #[test]
    fn who_asked_may_end_it() {
        let mut goes_on = || false;
        let mut allowance = Allowance::begin(Duration::from_secs(1), &mut goes_on);
        assert_eq!((allowance.ends_pilot(), allowance.ends()), (Some(Cut::Asked), Some(Cut::Asked)));
    }
}
