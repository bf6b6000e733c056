//! The censuses of a session: one at its start, and further ones from time to time, beside it.

use std::{mem, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{
    budget::CpuLimit,
    census::{self, AtStart, CensusError, CensusOptions, Further, Taking},
    options::Options,
};
use crate::{
    kernel::discover::Kernel,
    view::{Census, census::By},
};

/// Of a CPU, for a census and on average: 1 s in 5 minutes.
const MOST_TIME: Duration = Duration::from_secs(1);
const MOST_SHARE: f64 = 1.0 / 300.0;
/// However long one took.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// Of what `--max-cpu` allows.
const SHARE_OF_LIMIT: f64 = 0.1;

pub struct Censuses {
    at_start: Option<Taking<AtStart>>,
    further: Option<Taking<Further>>,
    /// None: there are no further ones.
    every: Option<Duration>,
    max_cpu: Option<CpuLimit>,
    /// When the next one is due.
    due: Instant,
    /// One was being taken since somebody asked.
    was_on: bool,
}

/// What is to be done about censuses.
pub enum Next {
    /// Another one is due.
    Begin,
    TakenAtStart(Box<AtStart>),
    Taken(Result<Arc<Census>, CensusError>),
}

impl Censuses {
    pub fn start(options: &Options, at_start: Option<Taking<AtStart>>) -> Self {
        let Options { census_every: every, max_cpu, .. } = *options;
        let due = Instant::now() + every.unwrap_or_default();
        Self { was_on: at_start.is_some(), at_start, further: None, every, max_cpu, due }
    }

    /// From now on.
    pub fn change(&mut self, options: &Options) {
        self.max_cpu = options.max_cpu;
        if self.every != options.census_every {
            self.every = options.census_every;
            self.due = Instant::now() + self.every.unwrap_or_default();
        }
    }

    /// Waits for one that is being taken, else until the next one is due: for ever, where there is none.
    pub async fn next(&mut self) -> Next {
        if let Some(taking) = &mut self.at_start {
            let result = taking.result().await;
            self.at_start = None;
            return Next::TakenAtStart(Box::new(result));
        }
        if let Some(taking) = &mut self.further {
            let Further { census, took } = taking.result().await;
            self.further = None;
            self.due = self.due.max(Instant::now() + pause(took, self.max_cpu));
            return Next::Taken(census.map(Arc::new));
        }
        match self.every {
            Some(_) => sleep_until(self.due).await,
            None => std::future::pending().await,
        }
        Next::Begin
    }

    /// Whether there are further ones.
    pub fn are_repeated(&self) -> bool {
        self.every.is_some()
    }

    /// Begins the next one.
    pub fn begin(&mut self, options: &Options, kernel: &Kernel) {
        let Some(every) = self.every else { return };
        let options = CensusOptions {
            by: vec![By::Cache, By::Cgroup],
            cpu_time: allowance(every, self.max_cpu),
            ..census::options_of(options)
        };
        self.further = Some(census::further(options, kernel));
        self.due = Instant::now() + every;
        self.was_on = true;
    }

    /// Ends what is being taken. Of the one at the start, what was seen so far.
    pub async fn end(&mut self) -> Option<AtStart> {
        if let Some(taking) = &self.further {
            taking.end();
        }
        let mut taking = self.at_start.take()?;
        taking.end();
        Some(taking.result().await)
    }

    fn is_on(&self) -> bool {
        self.at_start.is_some() || self.further.is_some()
    }

    /// Whether one was being taken since this was asked last.
    pub fn were_on(&mut self) -> bool {
        let is_on = self.is_on();
        mem::replace(&mut self.was_on, is_on) || is_on
    }
}

/// Of a CPU, that censuses may take on average.
fn share(max_cpu: Option<CpuLimit>) -> f64 {
    let limited = max_cpu.map_or(MOST_SHARE, |limit| limit.percent / 100.0 * SHARE_OF_LIMIT);
    limited.min(MOST_SHARE)
}

/// The time of a CPU that one census may take, of those that come this often.
fn allowance(every: Duration, max_cpu: Option<CpuLimit>) -> Duration {
    MOST_TIME.min(every.mul_f64(share(max_cpu)))
}

/// How long there is none after one that took so much: each takes something however little it may, and that counts too.
fn pause(took: Duration, max_cpu: Option<CpuLimit>) -> Duration {
    let pause = Duration::try_from_secs_f64(took.as_secs_f64() / share(max_cpu));
    pause.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_census_takes_a_second_in_five_minutes() {
        let five_minutes = Duration::from_secs(300);
        assert_eq!(allowance(five_minutes, None), Duration::from_secs(1));
        assert_eq!(allowance(2 * five_minutes, None), Duration::from_secs(1));
        assert_eq!(allowance(five_minutes, Some(CpuLimit { percent: 1.0 })), Duration::from_millis(300));
        assert_eq!(allowance(five_minutes, Some(CpuLimit { percent: 200.0 })), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn censuses_take_no_more_than_their_share(every_ms in 1_u64..1_000_000_000, percent in proptest::option::of(0.001..1e6_f64)) {
            let every = Duration::from_millis(every_ms);
            let max_cpu = percent.map(|percent| CpuLimit { percent });
            let time = allowance(every, max_cpu).as_secs_f64();
            // Rounded to nanoseconds.
            let share = (time - 1e-9) / every.as_secs_f64();
            prop_assert!(time <= 1.0 && share <= MOST_SHARE, "{time} {share}");
            prop_assert!(percent.is_none_or(|percent| share <= percent / 1000.0), "{share}");
        }

        /// Whatever one took, and whatever it was allowed.
        #[test]
        fn they_take_no_more_on_average(took_us in 0_u64..10_000_000, percent in proptest::option::of(1e-9..1e6_f64)) {
            let (took, max_cpu) = (Duration::from_micros(took_us), percent.map(|percent| CpuLimit { percent }));
            let pause = pause(took, max_cpu);
            let is_long_enough = took.as_secs_f64() <= (pause.as_secs_f64() + 1e-9) * share(max_cpu) * (1.0 + 1e-9);
            prop_assert!(is_long_enough || pause == LONGEST_PAUSE, "{pause:?}");
        }
    }
}
