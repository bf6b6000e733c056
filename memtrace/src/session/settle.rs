//! The end of a session. RCU frees many objects some time after their last use: open files, inodes, dentries. Objects that
//! were dropped just before the end would look like a leak, so allocations are detached first, and frees are followed for a while.
//!
//! What a process held until the end and lost because it ended meanwhile is something else, and reports say so: the process had
//! not given it up.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::{
    drain::DRAIN_EVERY,
    error::SessionError,
    record::BlockEnd,
    state::{Session, Stopped},
    wishes::Wishes,
};
use crate::{
    kernel::{attach::Attached, clock, events::Events},
    stream::event::TimeNs,
    view::Settled,
};

/// Surviving objects are inspected this often meanwhile, with this pause.
const MAX_INSPECTIONS: u32 = 10;
const INSPECT_EVERY: Duration = Duration::from_millis(50);

/// Asking the kernel's memory about all that is outstanding takes no longer.
const MAX_VERIFIED: Duration = Duration::from_millis(500);

/// After detaching, probes that were running may still emit: how long to wait for the counts to agree.
const MAX_BALANCE: Duration = Duration::from_secs(1);

impl Session {
    /// Stops tracing allocations, and follows frees for `time`, or until everything is freed, or until a signal.
    pub async fn settle(
        &mut self,
        attached: &mut Attached,
        time: Duration,
        wishes: &mut Wishes,
    ) -> Result<(), SessionError> {
        attached.stop_allocations();
        let at = clock::now();
        self.stopped = Some(Stopped { at, unknown_frees: None });
        if time.is_zero() {
            // What waits for readers would look as if nobody had seen it.
            self.unseen.panel = None;
        } else {
            self.follow_frees(at, attached, time, wishes).await?;
        }
        self.verify_rest(&mut attached.events)
    }

    /// While frees are still traced: one that is not would count as unseen.
    fn verify_rest(&mut self, events: &mut Events) -> Result<(), SessionError> {
        self.catch_up(events)?;
        self.verify_all();
        let deadline = Instant::now() + MAX_VERIFIED;
        while Instant::now() < deadline && self.verify_more(events)? {
            self.drain(events)?;
        }
        self.count_unseen();
        Ok(())
    }

    async fn follow_frees(
        &mut self,
        at: TimeNs,
        attached: &mut Attached,
        time: Duration,
        wishes: &mut Wishes,
    ) -> Result<(), SessionError> {
        let start = Instant::now();
        self.catch_up(&mut attached.events)?;
        let outstanding = self.ledger.outstanding();
        self.note_end(&attached.events)?;
        self.stopped = Some(Stopped { at, unknown_frees: Some(self.ledger.tally().unknown_frees) });
        let mut drain = interval(DRAIN_EVERY);
        drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut inspection = interval(INSPECT_EVERY);
        let mut inspections = 0;
        while self.ledger.outstanding() > 0 {
            tokio::select! {
                biased;
                () = wishes.end() => break,
                () = sleep_until(start + time) => break,
                _ = drain.tick() => {
                    self.drain(&mut attached.events)?;
                }
                _ = inspection.tick(), if inspections < MAX_INSPECTIONS => {
                    self.inspect(&mut attached.events)?;
                    inspections += 1;
                }
            }
        }
        let freed = outstanding.saturating_sub(self.ledger.outstanding()) as u64;
        let freed = self.state.budget.sampling().estimate(freed);
        self.settled = Some(Settled { time: start.elapsed(), freed });
        Ok(())
    }

    /// Notes who holds what. A block of the recording ends here, so that it tells what was freed since.
    fn note_end(&mut self, events: &Events) -> Result<(), SessionError> {
        if self.sink.is_some() {
            let checkpoint = self.checkpoint(events, false)?;
            self.close_block(&checkpoint, BlockEnd::default());
        }
        let processes = &self.state.tasks.processes;
        self.ledger.note_end(|id| processes.lives(id));
        Ok(())
    }

    /// After detaching: drains until every event that the kernel counted has arrived.
    pub async fn drain_rest(&mut self, events: &mut Events) -> Result<(), SessionError> {
        let deadline = Instant::now() + MAX_BALANCE;
        loop {
            while self.drain(events)? > 0 {}
            let counters = events.counters()?;
            let arrived = self.ledger.tally().total() + self.left_out + self.undecodable;
            if counters.emitted.total() == arrived + counters.lost.total() || Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.inspect(events)?;
        Ok(())
    }
}
