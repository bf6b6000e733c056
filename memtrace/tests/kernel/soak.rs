//! A long session beside a leak and churn: `cargo xtask soak`. What is exact stays exact, and memtrace does not grow by itself.

use std::{
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    exact::CACHES_OF_PIPES,
    program::Task,
    session::Session,
    snapshot::Snapshot,
    workload::{Workload, unique},
};

/// The program's first argument; for how many minutes follows.
pub const FLAG: &str = "--soak";

/// The leak: another process with so many files, so often.
const FILES: u64 = 500;
const LEAK_EVERY: Duration = Duration::from_secs(10);

/// Until then memtrace gets what it needs.
const WARM_UP: Duration = Duration::from_secs(20);

/// What memtrace may take more after that: for each object that is outstanding more, and by chance.
const BYTES_PER_OBJECT: u64 = 64;
const SLACK_BYTES: u64 = 16 << 20;
const SLACK_FILES: usize = 4;

/// Runs if the arguments ask for it.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != FLAG {
        return None;
    }
    let minutes: u64 = arguments.next()?.parse().expect("a number of minutes");
    soak(Duration::from_secs(60 * minutes));
    Some(ExitCode::SUCCESS)
}

/// How memtrace stood when it was warm.
struct Before {
    rss: u64,
    objects: u64,
    files: usize,
}

fn soak(time: Duration) {
    let (leak, churn) = (unique("leak"), unique("churn"));
    let mut session = Session::start(&[&CACHES_OF_PIPES[..], &["--by", "comm,cache"]].concat());
    let churning = churning(&churn);
    let start = Instant::now();
    let (mut leaking, mut before) = (Vec::new(), None);
    while start.elapsed() < time {
        leaking.push(Workload::start(&leak, &Task::OpenFiles(FILES as usize)));
        leaking.last_mut().expect("one was started").go();
        let held = FILES * leaking.len() as u64;
        session.until_objects(&of(&leak), held);
        let until = Instant::now() + LEAK_EVERY;
        while Instant::now() < until {
            // That misses never fall is checked of each report.
            session.until("a report", |_| true);
            assert_eq!(session.last.objects(&of(&leak)), held, "the leak is exact");
        }
        let now = standing(&session);
        if start.elapsed() > WARM_UP {
            check(before.get_or_insert_with(|| standing(&session)), &now);
        }
        tell(start.elapsed(), held, &session.last, &now);
    }
    churning.end();
    let held = FILES * leaking.len() as u64;
    let last = session.interrupt();
    assert_eq!((last.objects(&of(&leak)), last.row(&of(&leak)).frees), (held, 0), "the leak is exact");
    println!("{held} files leaked, {} events, {:?}: all in order", last.trust.emitted, last.trust);
}

/// Their row.
fn of(comm: &str) -> String {
    format!("{comm}, filp")
}

fn churning(comm: &str) -> Workload {
    let mut churn = Workload::start(comm, &Task::Churn);
    churn.go();
    churn
}

fn standing(session: &Session) -> Before {
    let files = fs::read_dir(format!("/proc/{}/fd", session.pid())).expect("it runs").count();
    let objects = session.last.rows.iter().map(|row| row.objects).sum();
    Before { rss: session.last.own_cost.rss_bytes.expect("/proc is mounted"), objects, files }
}

fn check(before: &Before, now: &Before) {
    let more = BYTES_PER_OBJECT * now.objects.saturating_sub(before.objects);
    let most = before.rss + more + SLACK_BYTES;
    assert!(now.rss <= most, "memtrace takes {} bytes, and took {}: {most} at most", now.rss, before.rss);
    assert!(
        now.files <= before.files + SLACK_FILES,
        "memtrace has {} files open, and had {}",
        now.files,
        before.files
    );
}

fn tell(after: Duration, held: u64, last: &Snapshot, now: &Before) {
    println!(
        "{:4} s: {held} leaked, {} outstanding, {} events, {} missed, RSS {} KiB, {} files",
        after.as_secs(),
        now.objects,
        last.trust.emitted,
        last.trust.recursion_misses,
        now.rss >> 10,
        now.files
    );
}
