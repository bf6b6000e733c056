//! How old objects are, and what survives of each part of the session.

use crate::{
    Test,
    program::Task,
    session::Session,
    snapshot::Row,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    tests![Tracing, Once: survivors_are_of_the_part_in_which_they_were_allocated]
}

/// 1,000 files, and 500 more when the session is three times as old; beside somebody who keeps nothing.
fn survivors_are_of_the_part_in_which_they_were_allocated() {
    let [opens, churns] = ["opens", "churn"].map(unique);
    let [mut first, mut second] = [1000, 500].map(|files| Workload::start(&opens, &Task::OpenFiles(files)));
    let mut churning = Workload::start(&churns, &Task::Churn);
    let mut session = Session::start(&["--cache", "filp", "--comm", &opens, "--comm", &churns]);
    churning.begin();
    first.go();
    let first_seen = session.until_objects(&opens, 1000).elapsed_ns;
    let middle = session.until("time goes by", |report| report.elapsed_ns > 3 * first_seen).elapsed_ns;
    second.go();
    session.until_objects(&opens, 1500);
    let last = session.interrupt();

    let row = last.row(&opens);
    // There are five parts at least, so one ends between the two.
    let of = |row: &Row, is_early: bool| {
        let parts = row.generations.iter().filter(|part| (part.from_ns < first_seen) == is_early);
        parts.fold((0, 0), |(allocs, survivors), part| (allocs + part.allocs, survivors + part.survivors))
    };
    assert_eq!((of(&row, true), of(&row, false)), ((1000, 1000), (500, 500)), "{:?}", row.generations);

    assert_eq!(row.ages.iter().map(|bucket| bucket.objects).sum::<u64>(), 1500);
    let [since_first, since_middle] = [first_seen, middle].map(|moment| last.elapsed_ns - moment);
    for bucket in &row.ages {
        let most = match bucket.less_than_ns {
            Some(end) if end <= since_first => 500,
            _ if bucket.at_least_ns > since_middle => 1000,
            _ => 1500,
        };
        assert!(bucket.objects <= most, "{bucket:?} after {since_first} and {since_middle} ns");
    }
    let held: u64 = last.caches.iter().map(|cache| cache.outstanding_objects).sum();
    assert_eq!(last.ages.iter().map(|bucket| bucket.objects).sum::<u64>(), held);

    let churn = last.row(&churns).generations;
    let (_, before) = churn.split_last().expect("there is a part");
    assert!(before.iter().filter(|part| part.allocs > 0).count() > 1, "{churn:?}");
    assert!(before.iter().all(|part| part.survivors == 0), "{churn:?}");
}
