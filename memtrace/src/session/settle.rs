//! The end of a session. Many objects are freed by RCU, some time after they were given up: an open file, an inode, a
//! dentry. What was given up just before the end would look like a leak, so allocations are detached first, and frees
//! are followed for a while.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{DRAIN_EVERY, Session, SessionError, Signals};
use crate::{
    kernel::{attach::Attached, clock, events::Events},
    stream::event::TimeNs,
    view::Settled,
};

/// Objects are looked at meanwhile: so often, with this between.
const MAX_INSPECTED: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// After detaching, probes that were running may still emit; so long is waited for the counts to agree.
const BALANCE_MOST: Duration = Duration::from_secs(1);

/// Allocations are not traced any more.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    pub at: TimeNs,
    /// Frees of unknown objects until then: those that follow are mostly of objects that were allocated since.
    pub unknown_frees: Option<u64>,
}

impl Session {
    /// Stops tracing allocations, and follows frees for `time`, or until nothing is left to be freed. A signal cuts it
    /// short.
    pub(super) async fn settle(
        &mut self,
        attached: &mut Attached,
        time: Duration,
        signals: &mut Signals,
    ) -> Result<(), SessionError> {
        attached.stop_allocations();
        let at = clock::now();
        self.stopped = Some(Stopped { at, unknown_frees: None });
        if time.is_zero() {
            return Ok(());
        }
        let start = Instant::now();
        self.catch_up(&mut attached.events)?;
        let outstanding = self.ledger.outstanding();
        self.stopped = Some(Stopped { at, unknown_frees: Some(self.ledger.tally().unknown_frees) });
        let mut drain = interval(DRAIN_EVERY);
        drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval(LOOK_EVERY);
        let mut looks = 0;
        while self.ledger.outstanding() > 0 {
            tokio::select! {
                biased;
                () = signals.any() => break,
                () = sleep_until(start + time) => break,
                _ = drain.tick() => {
                    self.drain(&mut attached.events)?;
                }
                _ = look.tick(), if looks < MAX_INSPECTED => {
                    self.inspect(&mut attached.events)?;
                    looks += 1;
                }
            }
        }
        let freed = outstanding.saturating_sub(self.ledger.outstanding()) as u64;
        let freed = self.state.budget.sampling().estimate(freed);
        self.settled = Some(Settled { time: start.elapsed(), freed });
        Ok(())
    }

    /// After detaching: drains until every event that the kernel counted has arrived.
    pub(super) async fn drain_rest(&mut self, events: &mut Events) -> Result<(), SessionError> {
        let deadline = Instant::now() + BALANCE_MOST;
        loop {
            while self.drain(events)? > 0 {}
            let counters = events.counters()?;
            let arrived = self.ledger.tally().total() + self.undecodable;
            if counters.emitted.total() == arrived + counters.lost.total() || Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.inspect(events)?;
        Ok(())
    }
}
