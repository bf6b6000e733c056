//! Who fills the slab: a session on the caches that grow, for the rest of the window.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    evidence::{
        recording::Reader,
        replay::{self, Query, filter::Filter},
    },
    knowledge::incidents::Incidents,
    output::{Output, Shown},
    session::{self, Options, SessionError, budget::CpuLimit},
    triage::tracing::Tracing,
    view::{By, Snapshot, Sort, build::ReportOptions},
};

/// What the session may take. A guest on a host that has a problem already.
const MAX_MEMORY: u64 = 64 << 20;
const MAX_CPU: CpuLimit = CpuLimit { percent: 25.0 };

const ROWS: usize = 5;

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

/// Traces these caches for so long. Never fails: where it cannot be done, it says why.
pub async fn trace(caches: Vec<String>, duration: Duration) -> Tracing {
    let last = Arc::new(Mutex::new(None));
    let ended = session::run(options(&caches, duration), Box::new(Last(Arc::clone(&last)))).await;
    let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (ended, last) {
        (Ok(()), Some(last)) => Tracing::Done { caches, last: Box::new(last) },
        (Ok(()), None) => Tracing::Failed { caches, why: "tracing ended without a report".to_owned() },
        (Err(error), _) => Tracing::Failed { caches, why: first_sentence(&error) },
    }
}

/// Looks in a recording of the window for who filled these caches.
pub fn recorded(caches: Vec<String>, reader: &Reader, incidents: Incidents) -> Tracing {
    if caches.is_empty() {
        return Tracing::NotNeeded;
    }
    let patterns: Vec<String> = caches.iter().map(|name| glob::Pattern::escape(name)).collect();
    let report = Filter::new(&patterns, &[], &[]).map_err(|error| error.to_string()).and_then(|filter| {
        let ask = Query {
            report_options: report_options(),
            filter,
            incidents,
            from: None,
            to: None,
            call_sites: false,
            nodes: false,
        };
        replay::report(reader, &ask, &mut |_| {}).map_err(|error| error.to_string())
    });
    match report {
        Ok(report) if report.snapshot.caches.is_empty() => {
            let why = "they are not in the recording, which has only the caches of its --cache".to_owned();
            Tracing::Failed { caches, why }
        }
        Ok(report) => Tracing::Done { caches, last: Box::new(report.snapshot) },
        Err(why) => Tracing::Failed { caches, why },
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

fn options(caches: &[String], duration: Duration) -> Options {
    Options {
        caches: caches.to_vec(),
        pids: Vec::new(),
        comms: Vec::new(),
        report_options: report_options(),
        // Only the last report is shown; the others tell how the rows move.
        interval: (duration / REPORTS).max(MIN_INTERVAL).min(duration),
        duration: Some(duration),
        count: None,
        has_early_report: true,
        stacks: None,
        incidents: Incidents::built_in(),
        settle: SETTLE,
        sample: 1,
        max_memory: Some(MAX_MEMORY),
        max_cpu: Some(MAX_CPU),
        verbose: false,
        avoid: Vec::new(),
        ring_bytes: None,
    }
}
