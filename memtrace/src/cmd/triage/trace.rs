//! Who fills the slab: a session on all caches, for as long as the window is open. Nobody knows before which of them will grow.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    evidence::{
        recording::Reader,
        replay::{self, Query},
    },
    knowledge::incidents::Incidents,
    output::{Output, Shown},
    rights::{
        capability::{self, SYS_ADMIN},
        needs::{Needs, Starts},
    },
    select::{Select, filter::Filter},
    session::{self, Options, Readers, SessionError, budget::CpuLimit, options::TakeCensus},
    triage::tracing::Tracing,
    view::{By, Snapshot, Sort, build::ReportOptions},
};

/// What the session may take, as far as that can be measured. A guest on a host that has a problem already.
const MAX_MEMORY: u64 = 64 << 20;
const MAX_CPU: CpuLimit = CpuLimit { percent: 25.0 };

/// What is traced, as after `--cache`.
const ALL: &str = "all";

const ROWS: usize = 10;

/// The verdict needs some.
const REPORTS: u32 = 15;
const MIN_INTERVAL: Duration = Duration::from_millis(300);

/// What is freed late, by RCU, is no leak.
const SETTLE: Duration = Duration::from_millis(500);

/// Keeps the last report of a session.
struct Last(Arc<Mutex<Option<Snapshot>>>);

impl Output for Last {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        if snapshot.is_final {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot.clone());
        }
        Ok(Shown::Yes)
    }
}

/// Traces for so long. Never fails: where it cannot be done, it says why.
pub async fn trace(duration: Duration) -> Tracing {
    let last = Arc::new(Mutex::new(None));
    let ended = session::run(options(duration), Box::new(Last(Arc::clone(&last)))).await;
    let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (ended, last) {
        (Ok(()), Some(last)) => Tracing::done(all(), true, last),
        (Ok(()), None) => failed("tracing ended without a report"),
        (Err(error), _) => failed(first_sentence(&error)),
    }
}

pub fn failed(why: impl Into<String>) -> Tracing {
    Tracing::failed(all(), why)
}

fn all() -> Vec<String> {
    vec![ALL.to_owned()]
}

/// Looks in a recording of the window, which has these caches, and perhaps not all processes.
pub fn recorded(caches: &[String], reader: &Reader, incidents: Incidents) -> Tracing {
    let ask = Query {
        report_options: report_options(),
        filter: Filter::default(),
        incidents,
        from: None,
        to: None,
        call_sites: false,
        nodes: false,
    };
    let (caches, is_whole) = (caches.to_vec(), reader.header.filters.is_empty());
    match replay::report(reader, &ask, &mut |_| {}) {
        Ok(report) => Tracing::done(caches, is_whole, report.snapshot),
        Err(error) => Tracing::failed(caches, error.to_string()),
    }
}

/// Without the command to run instead, which is that of a session.
fn first_sentence(error: &SessionError) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_end_matches(':').to_owned()
}

fn report_options() -> ReportOptions {
    ReportOptions { by: By::Comm.into(), sort: Sort::Bytes, older: None, top: ROWS }
}

fn options(duration: Duration) -> Options {
    Options {
        select: Select::default(),
        report_options: report_options(),
        // Only the last report is shown; the others tell how the rows move.
        interval: (duration / REPORTS).max(MIN_INTERVAL).min(duration),
        duration: Some(duration),
        count: None,
        has_directories: false,
        has_early_report: true,
        stacks: None,
        incidents: Incidents::built_in(),
        // Triage takes its own.
        census: TakeCensus::Never,
        census_every: None,
        settle: SETTLE,
        sample: 1,
        max_memory: Some(MAX_MEMORY),
        max_cpu: SYS_ADMIN.is_in(capability::held()).then_some(MAX_CPU),
        readers: Readers::default(),
        verbose: false,
        avoid: Vec::new(),
        ring_bytes: None,
        // Afterwards all of the host is looked at.
        needs: Some(Needs { starts: Starts::Itself, ..Needs::default() }),
    }
}
