//! Who fills the slab: a session on the caches that grow, for the rest of the window.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{
    suspect::{is_much_slab, usual_slab_growth},
    window::CacheRow,
};
use crate::{
    knowledge::incidents::Incidents,
    output::{Output, Shown},
    recording::Reader,
    replay::{self, Ask, filter::Filter},
    session::{self, Options, SessionError, budget::CpuLimit},
    view::{By, Snapshot, Sort, build::Request},
};

/// Caches that are traced, at most: each costs the host something.
const MOST_CACHES: usize = 6;

/// In the first seconds of a long window everything seems to grow fast.
const LEAST_SHARE: f64 = 1.0 / 16.0;

/// What the session may take. A guest on a host that has a problem already.
const MAX_MEMORY: u64 = 64 << 20;
const MAX_CPU: CpuLimit = CpuLimit { percent: 25.0 };

const ROWS: usize = 5;

/// The verdict needs some.
const REPORTS: u32 = 15;
const LEAST_INTERVAL: Duration = Duration::from_millis(300);

/// What is freed late, by RCU, is no leak.
const SETTLE: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Tracing {
    /// No slab cache grew, and slab memory is not unusual.
    NotNeeded,
    /// Why there was none.
    Failed {
        caches: Vec<String>,
        why: String,
    },
    Done {
        caches: Vec<String>,
        last: Box<Snapshot>,
    },
}

/// The caches worth tracing after a first look at how they grow: `grown` since its start, which was the `share` of the whole
/// window, on a host of so much memory.
pub fn candidates(grown: &[CacheRow], share: f64, slab: u64, total: u64) -> Vec<String> {
    let usual = usual_slab_growth(total) as f64 * share.max(LEAST_SHARE);
    let grows = |cache: &&CacheRow| cache.growth as f64 >= usual;
    let mut growing: Vec<_> = grown.iter().filter(grows).collect();
    growing.sort_by_key(|cache| std::cmp::Reverse(cache.growth));
    let mut big: Vec<_> = if is_much_slab(slab, total) { grown.iter().collect() } else { Vec::new() };
    // A fourth of it at least: three of them, or the one that is meant.
    big.retain(|cache| cache.bytes >= slab / 4);
    big.sort_by_key(|cache| std::cmp::Reverse(cache.bytes));
    let mut names: Vec<String> = Vec::new();
    for cache in growing.into_iter().chain(big) {
        if names.len() < MOST_CACHES && !names.contains(&cache.name) {
            names.push(cache.name.clone());
        }
    }
    names
}

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
        (Ok(()), None) => Tracing::Failed { caches, why: "the session made no report".to_owned() },
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
        let ask = Ask {
            request: request(),
            filter,
            incidents,
            from: None,
            to: None,
            call_sites: false,
            nodes: false,
        };
        replay::report(reader, &ask, &mut |_, _| {}).map_err(|error| error.to_string())
    });
    match report {
        Ok(report) if report.snapshot.caches.is_empty() => {
            let why =
                "the recording has nothing of them: it follows what it was asked for (--cache)".to_owned();
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

fn request() -> Request {
    Request { by: By::Comm.into(), sort: Sort::Bytes, older: None, top: ROWS }
}

fn options(caches: &[String], duration: Duration) -> Options {
    Options {
        caches: caches.to_vec(),
        pids: Vec::new(),
        comms: Vec::new(),
        request: request(),
        // Only the last report is shown; the others tell how the rows move.
        interval: (duration / REPORTS).max(LEAST_INTERVAL).min(duration),
        duration: Some(duration),
        count: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(name: &str, bytes: u64, growth: i64) -> CacheRow {
        CacheRow { name: name.to_owned(), bytes, growth, ..CacheRow::default() }
    }

    #[test]
    fn caches_that_grow_first_then_those_that_are_big() {
        let total = 1 << 30;
        let grown = [
            cache("a", 1 << 20, 400_000),
            cache("b", 200 << 20, -5),
            cache("c", 9 << 20, 900_000),
            cache("d", 1, 0),
        ];
        // A sixth of a window: 2 MiB are usual in a whole one.
        assert_eq!(candidates(&grown, 1.0 / 6.0, 200 << 20, total), ["c", "a"]);
        assert_eq!(candidates(&grown, 1.0, 100 << 20, total), [""; 0]);
        assert_eq!(candidates(&grown, 1.0 / 6.0, 300 << 20, total), ["c", "a", "b"]);
        let many: Vec<_> = (0..20).map(|n| cache(&n.to_string(), 1, (9 << 20) + n)).collect();
        assert_eq!(candidates(&many, 1.0, 20, total).len(), MOST_CACHES);
    }
}
