//! Who leaks, and who only looks like it.

use crate::{
    Test,
    host::{self, directory_on_disk},
    program::Task,
    scenes,
    session::Session,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Disk, OneKernel: a_leaker_is_named_with_its_place_and_what_helps];
    tests.extend(tests![Tracing, OneKernel: who_churns_or_stays_is_no_leaker]);
    tests.extend(tests![Disk, EachKernel: a_dozen_scenes_are_judged_right]);
    tests
}

fn a_dozen_scenes_are_judged_right() {
    scenes::few();
}

/// Processes that live 20 ms, one after the other, as a probe script starts them.
fn a_leaker_is_named_with_its_place_and_what_helps() {
    let comm = if host::is_running("curl") { unique("curl") } else { "curl".to_owned() };
    let starter = unique("probe");
    let disk = directory_on_disk();
    let within = disk.path().to_owned();
    // For the six seconds that a verdict needs, and more; on an emulated machine each takes longer.
    let processes = if host::is_our_own() { 900 } else { 2200 };
    let task = Task::ShortLived { comm: comm.clone(), within, processes, lookups: 20 };
    let mut probe = Workload::start(&starter, &task);
    let session = Session::start(&["--cache", "dentry", "--comm", &comm, "--fail-on-finding"]);
    probe.go();
    let last = session.interrupt_with_finding();
    let verdict = last.verdict.as_ref().unwrap_or_else(|| panic!("none: {last}"));
    assert_eq!(
        (verdict.is.as_str(), last.row(&comm).trend.as_str()),
        ("flood", "grows"),
        "{verdict:?}: {last}"
    );
    assert_eq!((verdict.comm.as_ref(), verdict.cache.as_deref()), (Some(&comm), Some("dentry")));
    assert_eq!(verdict.started_by.first(), Some(&starter), "{verdict:?}");
    let place = verdict.place.as_ref().unwrap_or_else(|| panic!("{verdict:?}"));
    assert_eq!(place.pattern, ".<n>_dOeSnotExist_.db");
    let directory = disk.path().join("db");
    assert_eq!(place.path.as_deref(), directory.to_str(), "{verdict:?}");
    assert!(verdict.negative_share.is_some_and(|share| share > 0.9), "{verdict:?}");
    let nss = verdict.known.iter().find(|known| known.id == "nss-does-not-exist");
    assert!(
        nss.is_some_and(|nss| nss.for_good.iter().any(|it| it.contains("NSS_SDB_USE_CACHE"))),
        "{verdict:?}"
    );
}

fn who_churns_or_stays_is_no_leaker() {
    let [churns, stays] = ["churns", "stays"].map(unique);
    let mut churning = Workload::start(&churns, &Task::Churn);
    let mut staying = Workload::start(&stays, &Task::OpenFiles(3000));
    let mut session =
        Session::start(&["--cache", "filp", "--comm", &churns, "--comm", &stays, "--fail-on-finding"]);
    churning.begin();
    staying.go();
    // At first nobody knows; what grew at once may look like growth for a report or two.
    session.until("both are what they are", |report| {
        report.row(&churns).trend == "churns"
            && ["burst", "flat"].contains(&report.row(&stays).trend.as_str())
    });
    // Where it took some time to open them all, that it is over is said too.
    let is_calm = |is: &str| ["nothing", "ended"].contains(&is);
    let report =
        session.until("no claim", |report| report.verdict.as_ref().is_some_and(|it| is_calm(&it.is)));
    assert_eq!(report.objects(&stays), 3000);
    session.interrupt();
}
