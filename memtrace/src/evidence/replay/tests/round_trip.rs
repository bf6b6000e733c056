//! A ledger that read a file equals the one that saw the events.

use std::{fs, sync::Arc, time::SystemTime};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    evidence::{
        recording::{
            Header, Progress, Recorder,
            definitions::Definitions,
            file::Sink,
            footer::BlockFooter,
            header::Ring,
            tests::{
                entries::{Owned, likely_entry},
                script::{self, Pipe, STARTED, Stretch},
            },
        },
        redact::recording::rewrite,
        replay::window::{WindowError, wall},
    },
    output,
    stream::{event::Free, ledger::OriginDetail},
    view::{Checkpoint, Settled},
};

/// The ledger that applies these.
fn ledger<'a>(stretches: impl IntoIterator<Item = &'a Stretch>, tells_call_sites: bool) -> Ledger {
    let mut ledger = Ledger::new(script::header().ledger_bytes as usize);
    ledger.set_detail(OriginDetail { call_sites: tells_call_sites, ..OriginDetail::default() });
    let entries = stretches.into_iter().flat_map(|stretch| &stretch.entries);
    // It only rises.
    let mut period = 1;
    for entry in entries {
        match entry {
            Owned::Period(next) if *next <= period => continue,
            Owned::Period(next) => period = *next,
            _ => {}
        }
        script::apply(&mut ledger, &entry.entry());
    }
    ledger
}

fn end_of(stretch: &Stretch) -> u64 {
    stretch.footer.checkpoint.now
}

/// Stretches of these entries, a second each.
fn stretches(of: Vec<Vec<Owned>>) -> Vec<Stretch> {
    let count = of.len() as u64;
    let stretch = |(number, entries): (u64, Vec<Owned>)| Stretch {
        entries,
        definitions: Definitions::default(),
        footer: BlockFooter {
            checkpoint: Checkpoint {
                now: script::START_NS + (number + 1) * script::STEP_NS,
                is_final: number + 1 == count,
                ..Checkpoint::default()
            },
            is_report: true,
            ..BlockFooter::default()
        },
    };
    (0..).zip(of).map(stretch).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_window_is_what_happened_in_it(
        of in vec(vec(likely_entry(), 0..60), 1..5),
        by in proptest::sample::select(&[By::Comm, By::CallSite][..]),
    ) {
        let stretches = stretches(of);
        let (_directory, path) = place();
        let written = script::record_to(&path, None, &stretches);
        prop_assert_eq!(written.blocks, stretches.len() as u64);
        prop_assert_eq!(written.bytes, fs::metadata(&path).unwrap().len());
        for first in 0..stretches.len() {
            for end in first + 1..=stretches.len() {
                let mut ask = ask(by);
                ask.from = first.checked_sub(1).map(|before| at(end_of(&stretches[before])));
                ask.to = (end < stretches.len()).then(|| at(end_of(&stretches[end - 1])));
                let report = replay(&path, &ask);
                let direct = ledger(&stretches[first..end], by == By::CallSite);
                assert_same(&report.state.ledger, &direct);
                prop_assert_eq!(report.to, wall(&script::header(), end_of(&stretches[end - 1])));
                prop_assert!(report.snapshot.is_final && report.snapshot.notes.is_empty(), "{:?}", report.snapshot.notes);
            }
        }
    }
}

#[test]
fn a_session_is_replayed_with_its_names_and_reports() {
    let stretches = script::session(1, 6, 3000);
    let (_directory, path) = place();
    let written = script::record_to(&path, None, &stretches);
    assert_eq!(written.entries, 6 * 3000 + 1);
    let report = replay(&path, &ask(By::Comm));
    assert_same(&report.state.ledger, &ledger(&stretches, false));
    let snapshot = &report.snapshot;
    // Of its frees, which were made up by chance.
    assert!(snapshot.notes.iter().all(|note| note.starts_with("partial: ")), "{:?}", snapshot.notes);
    assert_eq!(snapshot.trust.applied, script::events(&stretches));
    let comms: Vec<&[u8]> = snapshot.rows.iter().map(|row| &row.keys[0][..]).collect();
    assert!(comms.contains(&&b"curl"[..]) && comms.contains(&&b"[kworker/0:1]"[..]), "{comms:?}");
    let curl = snapshot.rows.iter().find(|row| row.keys[0] == b"curl").unwrap();
    let info = curl.process.as_ref().unwrap();
    assert_eq!((&info.program[..], &info.command_line[..]), (&b"/usr/bin/x"[..], &b"x -v"[..]));
    assert!(curl.stacks.iter().any(|stack| stack.frames[1] == "main"), "{:?}", curl.stacks);
    assert!(curl.names.iter().any(|name| name.path.as_deref() == Some(b"/var/spool")), "{:?}", curl.names);
    assert_eq!((report.series.points.len(), &report.series.marks[0].label[..]), (6, &b"deploy"[..]));
}

/// It comes in one of the first blocks, and once more at the end; parts of the recording before it know nothing of it.
#[test]
fn a_census_is_of_the_whole_session() {
    let mut stretches = script::session(1, 5, 100);
    let census = Arc::new(output::sample::census::wreck().as_recorded());
    for at in [1, 4] {
        stretches[at].footer.checkpoint.census = Some(Arc::clone(&census));
    }
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let of = |to: Option<usize>| {
        let to = to.map(|last| at(end_of(&stretches[last])));
        replay(&path, &Query { to, ..ask(By::Comm) }).snapshot.census
    };
    assert_eq!((of(None), of(Some(2)), of(Some(0))), (Some(Arc::clone(&census)), Some(census), None));
}

/// With tokens for names, and nothing else changed.
#[test]
fn a_census_is_redacted() {
    let mut stretches = script::session(1, 3, 100);
    stretches[2].footer.checkpoint.census = Some(Arc::new(output::sample::census::wreck().as_recorded()));
    let (directory, path) = place();
    script::record_to(&path, None, &stretches);
    let copy = directory.path().join("copy");
    let mut sink = Sink::create(&copy, false, None).unwrap();
    let redactor = crate::evidence::redact::Redactor::default();
    rewrite(&Reader::open(&path).unwrap(), &mut sink, &redactor, &mut |_| {}).unwrap();
    let redacted = replay(&copy, &ask(By::Comm)).snapshot.census.unwrap();
    let text =
        format!("{redacted:?}{:?}", redacted.rows.iter().map(|row| &row.traits.place).collect::<Vec<_>>());
    assert!(!text.contains("nssdb") && !text.contains("web-1"), "{text}");
    let place = redacted.rows[0].traits.place.as_ref().unwrap();
    assert!(place.directory.starts_with(b"/etc/") && place.pattern.starts_with(b".<n>_"), "{place:?}");
    assert_eq!(redacted.rows[0].bytes, output::sample::census::wreck().rows[0].bytes);
}

/// What one process gave up comes late; what the other lost as it ended, it held until the end.
#[test]
fn what_was_held_until_the_end_is_told_from_what_is_freed_late() {
    let mut stretches = script::session(4, 3, 500);
    let before = ledger(&stretches[..2], false);
    let outstanding = |comm: &str| {
        let of_comm = before.origins().filter(|origin| origin.key.task.comm.as_bytes() == comm.as_bytes());
        of_comm.map(|origin| origin.outstanding()).sum::<u64>()
    };
    let end = stretches[1].footer.checkpoint.clone();
    stretches[1].footer.is_report = false;
    let definitions = stretches[0].definitions.clone();
    let last = &mut stretches[2];
    last.entries =
        before.objects().map(|held| Owned::Free(Free { ptr: held.object.ptr, cache: None })).collect();
    let settled = Some(Settled { time: Duration::from_millis(141), freed: before.outstanding() as u64 });
    last.footer.checkpoint = Checkpoint { is_final: true, settled, ..end };
    last.definitions = definitions;
    last.definitions.processes.retain(|process| process.comm.as_bytes() == b"curl");
    last.definitions.processes[0].has_ended = true;
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let snapshot = replay(&path, &ask(By::Comm)).snapshot;
    let counts = |key: &str| {
        let row = snapshot.rows.iter().find(|row| row.keys[0] == key.as_bytes()).unwrap();
        (row.objects, row.objects_until_end)
    };
    assert!(outstanding("curl") > 0 && outstanding("sshd") > 0);
    assert_eq!((counts("curl"), counts("sshd")), ((0, outstanding("curl")), (0, 0)));
}

#[test]
fn the_same_session_makes_the_same_bytes_through_a_pipe_too() {
    let stretches = script::session(2, 4, 1000);
    let (directory, path) = place();
    script::record_to(&path, None, &stretches);
    let again = directory.path().join("b.mt");
    script::record_to(&again, None, &stretches);
    let pipe = Pipe::default();
    script::record(Sink::stream(pipe.clone()), &stretches).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes, fs::read(&again).unwrap());
    assert_eq!(bytes, *pipe.0.lock().unwrap());
    fs::write(&again, bytes).unwrap();
    assert_same(&replay(&again, &ask(By::Comm)).state.ledger, &ledger(&stretches, false));
}

#[test]
fn times_can_be_told_in_every_way() {
    let stretches = script::session(3, 5, 500);
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let events = |from: Option<When>, to: Option<When>| {
        let ask = Query { from, to, ..ask(By::Comm) };
        report(&Reader::open(&path).unwrap(), &ask, &mut |_| {}).map(|report| report.snapshot.trust.applied)
    };
    let of = |range: std::ops::Range<usize>| Ok(script::events(&stretches[range]));
    let second = Duration::from_secs(1);
    assert_eq!(events(Some(When::After(2 * second)), None), of(2..5));
    assert_eq!(events(Some(When::BeforeEnd(2 * second)), None), of(3..5));
    assert_eq!(events(None, Some(When::At(SystemTime::UNIX_EPOCH + STARTED + 3 * second))), of(0..3));
    // It is in the third, just before its end.
    assert_eq!(events(Some(When::Mark("deploy".to_owned())), None), of(2..5));
    assert_eq!(events(None, Some(When::After(3_500_000_000 * Duration::from_nanos(1)))), of(0..3));
    let no_mark = WindowError::NoMark("x".to_owned(), vec!["deploy".to_owned()]);
    assert_eq!(events(Some(When::Mark("x".to_owned())), None), Err(no_mark));
    let outside = |when: When| matches!(events(Some(when), None), Err(WindowError::Outside { .. }));
    assert!(outside(When::After(6 * second)));
    assert!(outside(When::After(Duration::MAX)) && outside(When::BeforeEnd(Duration::MAX)));
    // In nanoseconds it would go round 64 bits, into the recording.
    let round = Duration::from_nanos(u64::MAX) + 2 * second;
    assert!(outside(When::At(SystemTime::UNIX_EPOCH + STARTED + round)) && outside(When::After(round)));
    assert!(outside(When::At(SystemTime::UNIX_EPOCH)));
    assert_eq!(events(Some(When::After(3 * second)), Some(When::After(3 * second))), Err(WindowError::Empty));
    assert_eq!(events(None, Some(When::After(Duration::ZERO))), Err(WindowError::Empty));
    // By what was outstanding at the blocks' ends.
    let objects = |end: usize| ledger(&stretches[..end], false).outstanding();
    let most = (1..=5).map(objects).max().unwrap();
    let peak = replay(&path, &Query { to: Some(When::Peak), ..ask(By::Comm) });
    assert!(peak.state.ledger.outstanding() * 10 > most * 9, "{} of {most}", peak.state.ledger.outstanding());
}

#[test]
fn hostile_figures_are_survived() {
    let entry = |time: u64, ptr: u64| {
        let Owned::Alloc(alloc) = script::session(4, 1, 40)[0]
            .entries
            .iter()
            .find(|entry| matches!(entry, Owned::Alloc(_)))
            .unwrap()
            .clone()
        else {
            unreachable!()
        };
        Owned::Alloc(crate::stream::event::Alloc { time, ptr, ..alloc })
    };
    let free = |ptr: u64| Owned::Free(crate::stream::event::Free { ptr, cache: None });
    let mut stretches = script::session(4, 3, 200);
    // Times that go back and out of all bounds; objects that leave in another order.
    stretches[0].entries.extend([
        entry(u64::MAX, 8),
        entry(0, 16),
        entry(u64::MAX / 2, 24),
        entry(1, 32),
        Owned::Read(u64::MAX),
        Owned::Mark(u64::MAX, b"late".to_vec()),
    ]);
    stretches[1].entries.extend([free(8), free(24), free(16), Owned::Period(u32::MAX), Owned::Period(0)]);
    stretches[1].entries.extend((0..2000).map(|number| entry(number, 8 * number)));
    for (index, info) in stretches[0].definitions.caches.iter_mut().enumerate() {
        info.1.object_size = u64::MAX - index as u64;
        info.1.slack = Some(u64::MAX);
    }
    for (stretch, (now, elapsed)) in
        stretches.iter_mut().zip([(u64::MAX, u64::MAX), (0, 0), (5, u64::MAX - 1)])
    {
        let checkpoint = &mut stretch.footer.checkpoint;
        (checkpoint.now, checkpoint.elapsed) = (now, Duration::from_nanos(elapsed));
        checkpoint.trust.lost_allocs = u64::MAX;
        checkpoint.trust.lost_frees = u64::MAX;
        checkpoint.trust.emitted = u64::MAX;
        checkpoint.trust.recursion_misses = u64::MAX;
        checkpoint.own_cost.userspace_cpu = Some(f64::NAN);
        checkpoint.own_cost.probe_ns_per_event = Some(f64::NEG_INFINITY);
        let losses = crate::view::checkpoint::Losses { allocs: u64::MAX, frees: u64::MAX };
        checkpoint.losses =
            (0..9).map(|cache| (cache, losses)).chain([(stretches_cache(), losses)]).collect();
        let growth = crate::view::reconcile::Growth {
            slabinfo: i64::MIN,
            traced: i64::MAX,
            slack: u64::MAX,
            outstanding: u64::MAX,
            reused: u64::MAX,
        };
        checkpoint.growth.insert("dentry".to_owned(), growth);
        let meminfo = checkpoint.meminfo.as_mut().unwrap();
        (meminfo.slab, meminfo.available) = (u64::MAX, Some(u64::MAX));
        stretch.footer.outstanding.bytes = u64::MAX;
    }
    let header =
        Header { period: u32::MAX, ledger_bytes: u64::MAX, started_ns: u64::MAX, ..script::header() };
    for header in [header, script::header(), Header { ledger_bytes: 0, period: 0, ..script::header() }] {
        let (_directory, path) = place();
        let mut recorder = Recorder::start(
            header,
            Sink::create(&path, false, None).unwrap(),
            None,
            std::sync::Arc::new(Progress::default()),
        )
        .unwrap();
        for Stretch { entries, definitions, footer } in &stretches {
            recorder.define(definitions.clone());
            entries.iter().for_each(|entry| recorder.push(&entry.entry()));
            recorder.close(footer.clone());
        }
        recorder.finish().unwrap();
        for older in [None, Some(Duration::from_secs(1))] {
            let mut ask = ask(By::Comm);
            ask.report_options.older = older;
            show(&path, &ask);
        }
        // Where the times make no window, that is said.
        let reader = Reader::open(&path).unwrap();
        let _ = report(&reader, &Query { from: Some(When::Peak), ..ask(By::Comm) }, &mut |_| {});
        let _ =
            report(&reader, &Query { to: Some(When::Mark("late".to_owned())), ..ask(By::Comm) }, &mut |_| {});
    }
}

fn stretches_cache() -> u64 {
    script::session(4, 1, 1)[0].definitions.caches[0].0
}

/// As everything that a report can be shown as.
fn show(path: &Path, ask: &Query) {
    use crate::{
        output::render::terminal::{Frame, Style},
        output::{documents, json, ndjson, render, tables},
        view::profile::Profile,
    };
    let reader = Reader::open(path).unwrap();
    let Ok(report) = report(&reader, ask, &mut |_| {}) else { return };
    let snapshot = &report.snapshot;
    json::line(snapshot).unwrap();
    ndjson::report(snapshot).unwrap();
    render::csv::text(&tables::rows::table(snapshot)).unwrap();
    render::markdown::text(&documents::report::page(snapshot));
    render::terminal::text(&documents::report::block(snapshot), Frame::default(), Style::Plain);
    report.state.with_lookups(|known| {
        Profile::new(&report.state.ledger, &report.checkpoint, known, ask.report_options.older)
    });
}

#[test]
fn a_ring_that_is_nowhere_is_no_ring() {
    let stretches = script::session(5, 3, 300);
    let (_directory, path) = place();
    script::record_to(&path, None, &stretches);
    let bytes = fs::read(&path).unwrap();
    let first = blocks(&bytes)[0].1 as usize;
    for (start, end) in [(u64::MAX, u64::MAX), (u64::MAX - 1, 0), (0, 0), (1 << 40, 1 << 41)] {
        let header = Header { ring: Some(Ring { start, end }), ..script::header() };
        let mut made_up = header.to_bytes();
        assert!(made_up.len() <= first);
        made_up.resize(first, 0);
        // Without the index, so that blocks are searched.
        made_up.extend(&bytes[first..bytes.len() - 16]);
        fs::write(&path, made_up).unwrap();
        assert_same(&replay(&path, &ask(By::Comm)).state.ledger, &ledger(&stretches, false));
    }
}
