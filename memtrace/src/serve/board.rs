//! What the session has to say at present, for whoever asks.

use std::{
    io,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use sd_notify::NotifyState;
use tokio::sync::oneshot;

use crate::{
    kernel::cost,
    output::{
        Output, Shown,
        metrics::{Config, Exposed, Places, Process, Recordings},
    },
    session::requests::{Asker, OwnProfile, Request},
    text::human,
    view::Snapshot,
};

/// The last report, and the way to ask the session for a profile.
pub struct Board {
    latest: Mutex<Option<Posted>>,
    asker: Asker,
    adjustable: Mutex<Adjustable>,
    /// None where nobody is armed.
    recordings: Mutex<Option<Recordings>>,
    started: SystemTime,
}

/// What may change while it serves.
#[derive(Clone, Copy, Debug)]
pub struct Adjustable {
    /// Between two reports.
    pub interval: Duration,
    /// Of each metric by process, at most.
    pub series: NonZeroUsize,
    /// None where there is no file.
    pub config: Option<Config>,
}

#[derive(Clone)]
struct Posted {
    exposed: Arc<Exposed>,
    at: Instant,
}

/// How the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Good,
    /// There was no report yet.
    Starting,
    /// There was none for so long.
    Stuck(Duration),
    /// It was the last one.
    Ended,
}

/// After so many intervals without a report something is wrong; after a few seconds at the earliest.
const MISSED_REPORTS: u32 = 3;
const GRACE: Duration = Duration::from_secs(10);

impl Board {
    pub fn new(asker: Asker, adjustable: Adjustable) -> Self {
        let (latest, adjustable) = (Mutex::new(None), Mutex::new(adjustable));
        Self { latest, asker, adjustable, recordings: Mutex::new(None), started: SystemTime::now() }
    }

    pub fn change(&self, change: impl FnOnce(&mut Adjustable)) {
        change(&mut self.adjustable.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn adjustable(&self) -> Adjustable {
        *self.adjustable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was recorded so far.
    pub fn tell(&self, recordings: &Recordings) {
        *self.recordings.lock().unwrap_or_else(PoisonError::into_inner) = Some(recordings.clone());
    }

    fn recordings(&self) -> Option<Recordings> {
        self.recordings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// None before the first report.
    pub fn latest(&self) -> Option<Arc<Exposed>> {
        self.posted().map(|posted| posted.exposed)
    }

    pub fn health(&self) -> Health {
        let Some(posted) = self.posted() else { return Health::Starting };
        if posted.exposed.snapshot.is_final {
            return Health::Ended;
        }
        let silent = posted.at.elapsed();
        let allowed = self.adjustable().interval.saturating_mul(MISSED_REPORTS).saturating_add(GRACE);
        if silent > allowed { Health::Stuck(silent) } else { Health::Good }
    }

    /// Of all that is outstanding now. None if the session is at its end.
    pub async fn profile(&self) -> Option<OwnProfile> {
        let (reply, answer) = oneshot::channel();
        self.asker.ask(Request::Profile(reply));
        answer.await.ok()
    }

    fn post(&self, exposed: Exposed) {
        let posted = Posted { exposed: Arc::new(exposed), at: Instant::now() };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(posted);
    }

    fn posted(&self) -> Option<Posted> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Puts each report on the board, and tells systemd that the session lives: a report is made by the loop that drains the rings, so
/// that a loop that hangs is noticed.
pub struct Publisher {
    board: Arc<Board>,
    places: Places,
    is_ready: bool,
}

impl Publisher {
    pub fn new(board: Arc<Board>) -> Self {
        let places = Places::new(board.adjustable().series.get());
        Self { board, places, is_ready: false }
    }
}

impl Output for Publisher {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        let status = status(snapshot);
        let Adjustable { series, config, .. } = self.board.adjustable();
        self.places.allow(series.get());
        let recordings = self.board.recordings();
        let process = Process { started: self.board.started, cpu: cost::cpu_time(), config, recordings };
        self.board.post(Exposed::new(snapshot.clone(), &mut self.places, process));
        let ready = (!self.is_ready).then_some(NotifyState::Ready);
        self.is_ready = true;
        let states: Vec<_> =
            ready.into_iter().chain([NotifyState::Status(&status), NotifyState::Watchdog]).collect();
        // Where systemd does not listen, nobody waits for it.
        let _ = sd_notify::notify(&states);
        Ok(Shown::Yes)
    }
}

fn status(snapshot: &Snapshot) -> String {
    let totals = snapshot.totals();
    let leaks = snapshot.verdict.iter().flat_map(|verdict| verdict.accused()).count();
    format!(
        "{} objects outstanding ({}), {leaks} findings, {} events, {} lost",
        human::grouped(totals.objects),
        human::bytes(totals.bytes),
        human::grouped(snapshot.trust.applied),
        human::grouped(snapshot.trust.lost()),
    )
}
