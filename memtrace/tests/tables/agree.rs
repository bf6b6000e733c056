//! The events of a recording, and what its ledger comes to.

use std::{
    collections::{BTreeMap, HashMap},
    io,
};

use memtrace::{
    evidence::{
        recording::Reader,
        replay::{self, Query, events::EventQuery},
    },
    knowledge::incidents::Incidents,
    output::events::EventOutput,
    select::filter::Filter,
    stream::event::Address,
    view::{
        By, Sort,
        build::ReportOptions,
        event::{EventKind, EventView},
    },
};
use proptest::{collection::vec, prelude::*};

use crate::recordings::{DENTRY, FILP, Tape, alloc, free, monday, task};

/// What whoever reads nothing but the events thinks.
#[derive(Default)]
struct Follower {
    /// By address: cache, comm, pid.
    outstanding: HashMap<Address, Owner>,
    allocs: u64,
    frees: u64,
    unknown_frees: u64,
    reused: u64,
}

type Owner = (Option<String>, Option<Vec<u8>>, Option<u32>);

impl EventOutput for Follower {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()> {
        let allocated = &event.allocated;
        let owner = (allocated.cache.map(str::to_owned), allocated.comm.clone(), allocated.pid);
        match (event.kind, event.object) {
            (EventKind::Alloc, Some(object)) => {
                self.allocs += 1;
                self.reused += u64::from(self.outstanding.insert(object, owner).is_some());
            }
            (EventKind::Free, Some(object)) => {
                self.frees += 1;
                match self.outstanding.remove(&object) {
                    Some(known) => assert_eq!(known, owner, "the free tells what the allocation told"),
                    None => self.unknown_frees += 1,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Alloc {
        at: u64,
        cache: bool,
        pid: u32,
    },
    /// One that may have been told before.
    Again {
        at: u64,
        cache: bool,
        pid: u32,
    },
    Free {
        at: u64,
        cache: Option<bool>,
    },
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let (at, pid) = (0..40_u64, 500..503_u32);
    prop_oneof![
        4 => (at.clone(), any::<bool>(), pid.clone()).prop_map(|(at, cache, pid)| Step::Alloc { at, cache, pid }),
        1 => (at.clone(), any::<bool>(), pid).prop_map(|(at, cache, pid)| Step::Again { at, cache, pid }),
        4 => (at, any::<Option<bool>>()).prop_map(|(at, cache)| Step::Free { at, cache }),
        1 => Just(Step::Close),
    ]
}

fn cache(is_dentry: bool) -> Address {
    if is_dentry { DENTRY } else { FILP }
}

fn object(at: u64) -> Address {
    0xffff_8882_0000_0000 + at * 256
}

fn recorded(steps: &[Step], path: &std::path::Path) {
    let mut tape = Tape::start(path, "web-01", monday());
    let mut time = 0;
    for &step in steps {
        time += 1_000_000;
        tape.read(time);
        match step {
            Step::Alloc { at, cache: of, pid } => {
                tape.alloc(alloc(object(at), cache(of), time, task(pid, b"curl")));
            }
            Step::Again { at, cache: of, pid } => {
                let again = alloc(object(at), cache(of), time, task(pid, b"curl"));
                tape.alloc(memtrace::stream::event::Alloc { may_repeat: true, ..again });
            }
            Step::Free { at, cache: of } => tape.free(free(object(at), of.map(cache))),
            Step::Close => tape.close(time, false),
        }
    }
    tape.finish(time + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_files_events_and_its_ledger_agree(steps in vec(step(), 1..200)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.rec");
        recorded(&steps, &path);
        let reader = Reader::open(&path).unwrap();
        let mut follower = Follower::default();
        let choice = EventQuery { filter: Filter::default(), kinds: Vec::new(), from: None, to: None };
        replay::events::events(&reader, &choice, &mut follower, &mut |_| {}).unwrap();
        let ask = Query {
            report_options: ReportOptions { by: By::Pid.into(), sort: Sort::Bytes, older: None, top: 20 },
            filter: Filter::default(),
            incidents: Incidents::built_in(),
            from: None,
            to: None,
            call_sites: true,
            nodes: false,
        };
        let report = replay::report(&reader, &ask, &mut |_| {}).unwrap();
        let ledger = &report.state.ledger;
        let tally = ledger.tally();
        let of_ledger: BTreeMap<Address, Owner> = ledger
            .objects()
            .map(|held| {
                let cache = report.state.caches[&held.origin.cache].name.clone();
                let task = held.origin.task;
                (held.object.ptr, (Some(cache), Some(task.comm.as_bytes().to_vec()), Some(task.tgid)))
            })
            .collect();
        prop_assert_eq!(follower.outstanding.into_iter().collect::<BTreeMap<_, _>>(), of_ledger);
        prop_assert_eq!(follower.reused, tally.reused_pointers);
        prop_assert_eq!(follower.unknown_frees, tally.unknown_frees);
        let released = follower.frees - follower.unknown_frees + follower.reused;
        prop_assert_eq!(follower.allocs, released + ledger.outstanding() as u64);
    }
}
