//! What reading takes is bounded by the file's length, far above what recorders write.

use super::*;
use crate::{
    evidence::{
        recording::{
            TooMuch,
            file::{Sink, WriteError},
            limits::{Bound, Limits},
            tests::{
                entries::Owned,
                script::{self, Stretch},
            },
        },
        redact::{Redactor, recording::rewrite},
        replay::{
            events::{EventQuery, StreamError, events},
            window::WindowError,
        },
    },
    output::events::text::{Clock, Text},
    stream::event::Comm,
    view::event::{EventKind, Source},
};

const ENTRIES: u64 = 300;

fn recorded(stretches: &[Stretch]) -> (tempfile::TempDir, Reader) {
    let (directory, path) = place();
    script::record_to(&path, None, stretches);
    (directory, Reader::open(&path).unwrap())
}

fn replayed(reader: &Reader, to: Option<When>) -> Result<Report, WindowError> {
    report(reader, &Query { to, ..ask(By::Comm) }, &mut |_| {})
}

#[test]
fn each_event_definition_and_row_is_a_step() {
    let (_directory, mut reader) = recorded(&script::session(8, 3, ENTRIES));
    let taken = replayed(&reader, None).unwrap().state.steps.taken();
    assert!((3 * ENTRIES..9 * ENTRIES).contains(&taken), "{taken}");
    let with = |steps| Limits { steps, ..Limits::NONE };
    reader.limits = with(taken);
    assert!(replayed(&reader, None).is_ok());
    reader.limits = with(taken - 1);
    let refused = WindowError::TooMuch(TooMuch(Bound::Steps(taken - 1)));
    assert_eq!(replayed(&reader, None).err(), Some(refused));
    // To look for the peak is a reading of its own.
    reader.limits = with(ENTRIES);
    assert!(matches!(replayed(&reader, Some(When::Peak)), Err(WindowError::TooMuch(_))));
    let copy = rewrite(&reader, &mut Sink::stream(std::io::sink()), &Redactor::default(), &mut |_| {});
    assert!(matches!(copy, Err(WriteError::TooMuch(TooMuch(Bound::Steps(ENTRIES))))), "{copy:?}");
    let refused = WindowError::TooMuch(TooMuch(Bound::Steps(1_000_000)));
    insta::assert_snapshot!(refused, @"cannot read the recording: to replay it takes more than 1,000,000 steps, which is too much for a file of its length. Damaged files, or those made to harm, do that; of others --from and --to read a part");
}

#[test]
fn an_event_that_is_shown_takes_more_steps() {
    let (_directory, mut reader) = recorded(&script::session(8, 3, ENTRIES));
    reader.limits = Limits { steps: 6 * ENTRIES, ..Limits::NONE };
    let shown = |kinds: &[EventKind]| {
        let query = EventQuery { filter: Filter::default(), kinds: kinds.to_vec(), from: None, to: None };
        let mut out = Text::start(std::io::sink(), Source::from(&reader.header), Clock::Elapsed).unwrap();
        events(&reader, &query, &mut out, &mut |_| {})
    };
    assert!(shown(&[EventKind::Mark]).is_ok());
    assert!(matches!(shown(&[]), Err(StreamError::TooMuch(TooMuch(Bound::Steps(_))))));
}

#[test]
fn what_is_known_at_a_time_is_bounded() {
    let (_directory, mut reader) = recorded(&script::session(9, 2, ENTRIES));
    reader.limits = Limits { memory: 1_000, ..Limits::NONE };
    let refused = WindowError::TooMuch(TooMuch(Bound::Memory(1_000)));
    assert_eq!(replayed(&reader, None).err(), Some(refused));
}

#[test]
fn there_are_not_more_caches_than_hosts_have() {
    let mut stretches = script::session(10, 2, 10);
    let (_, info) = stretches[0].definitions.caches[0].clone();
    let more = (0..1 << 14).map(|number| (number, info.clone()));
    stretches[1].definitions.caches.extend(more);
    let (_directory, reader) = recorded(&stretches);
    let refused = WindowError::TooMuch(TooMuch(Bound::Caches(1 << 14)));
    assert_eq!(replayed(&reader, None).err(), Some(refused));
}

/// The host of a busy build: processes by the thousand, and each event of another one.
#[test]
fn what_recorders_write_is_far_below() {
    let mut stretches = script::session(11, 4, 20_000);
    for (number, entry) in (0..).zip(stretches.iter_mut().flat_map(|stretch| &mut stretch.entries)) {
        if let Owned::Alloc(alloc) = entry {
            alloc.task.tgid = 1_000 + number % 5_000;
            alloc.task.comm = Comm::truncated(format!("cc{}", number % 70).as_bytes());
        }
    }
    let (_directory, reader) = recorded(&stretches);
    let fixture = Reader::open(Path::new("tests/fixtures/recording/v1.mt")).unwrap();
    for reader in [reader, fixture] {
        // With nothing but what its length allows: small files could do with the rest.
        let steps = replayed(&reader, Some(When::Peak)).unwrap().state.steps.taken();
        let of = Limits::of(reader.bytes().unwrap().metadata().unwrap().len());
        assert!(4 * steps < of.steps, "{steps} of {of:?}");
    }
}

/// Each place where a frame could begin is looked at once, and little is read for it.
#[test]
fn a_file_of_nothing_but_the_beginnings_of_frames() {
    let (_directory, path) = place();
    let mut bytes = script::header().to_bytes();
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    let mut place = [0; 64];
    place[..8].copy_from_slice(b"MTBLOCK\n");
    bytes.extend(place.repeat(100_000));
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(Reader::open(&path), Err(crate::evidence::recording::ReadError::NoBlocks(_))));
}
