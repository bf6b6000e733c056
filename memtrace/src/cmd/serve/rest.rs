//! After a session that took more of the host than it may: nothing is traced for a while, and whoever asks is told so.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::time::{Instant, interval, sleep_until};

use super::super::shared::runtime::block_on;
use crate::{
    session::{Hangup, SessionError, Signals},
    text::human,
};

/// Whoever starts it again, as systemd does, does so after this time: the start of a session and its census take a second or two of a
/// CPU.
const REST: Duration = Duration::from_secs(5 * 60);

/// systemd hears so often that the process lives.
const TELL_EVERY: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rested {
    /// All the time.
    Whole,
    /// Until somebody ended it.
    Ended,
}

/// `why` it rests is said first.
pub fn rest(why: &str, hangup: Hangup) -> Result<Rested, SessionError> {
    block_on(wait(why, hangup)).map_err(SessionError::Runtime)?
}

async fn wait(why: &str, hangup: Hangup) -> Result<Rested, SessionError> {
    let mut signals = Signals::new().map_err(SessionError::Signals)?;
    if hangup == Hangup::IsElsewhere {
        signals.leave_hangup();
    }
    let status = format!("{why}; rests for {}", human::duration(REST));
    // Nowhere to complain if even standard error is closed.
    let _ = writeln!(io::stderr(), "memtrace: {status}");
    let (mut tell, over) = (interval(TELL_EVERY), Instant::now() + REST);
    loop {
        tokio::select! {
            () = signals.end() => return Ok(Rested::Ended),
            () = sleep_until(over) => return Ok(Rested::Whole),
            _ = tell.tick() => {
                // Where systemd does not listen, nobody waits for it.
                let _ = sd_notify::notify(&[NotifyState::Status(&status), NotifyState::Watchdog]);
            }
        }
    }
}
