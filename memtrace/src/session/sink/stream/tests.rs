use std::sync::{Mutex, mpsc};

use super::*;
use crate::{
    evidence::replay::events::EventQuery,
    select::filter::Filter,
    stream::event::{Comm, Free, NO_GFP, NO_NODE, Task},
    view::event::{EventKind, EventView},
};

fn header(ledger_bytes: u64) -> Header {
    let [host, kernel] = ["web-01", "6.12"].map(str::to_owned);
    Header { host, kernel, ledger_bytes, stacks_period: None, ..Header::default() }
}

fn alloc(ptr: u64) -> Entry<'static> {
    let task = Task { tgid: 500, started: 1, comm: Comm::truncated(b"curl"), is_kthread: false };
    let of_task = Alloc {
        time: 5,
        ptr,
        cache: 7,
        call_site: 0,
        cgroup: 0,
        stack: 0,
        task,
        gfp: NO_GFP,
        node: NO_NODE,
        is_io_worker: false,
        may_repeat: false,
    };
    of_task.into()
}

/// Kind, object, process, and how many events are missing.
type Line = (EventKind, Option<u64>, Option<u32>, Option<u64>);

/// A reader that reads an event only when it is told to, or any when it is not told any more.
struct Slow {
    may_read: mpsc::Receiver<()>,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl EventOutput for Slow {
    fn show(&mut self, event: &EventView<'_>) -> io::Result<()> {
        let _ = self.may_read.recv();
        let line = (event.kind, event.object, event.allocated.pid, event.missing);
        self.lines.lock().unwrap().push(line);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn target(output: impl EventOutput + Send + 'static, losses: &Arc<StreamLosses>) -> StreamTarget {
    let query = EventQuery { filter: Filter::default(), kinds: Vec::new(), from: None, to: None };
    StreamTarget { query, output: Box::new(move |_| Ok(Box::new(output))), losses: Arc::clone(losses) }
}

/// The session goes on; what has no room is counted, and said where it is. A free behind it may be of another object at that address.
#[test]
fn a_slow_reader_misses_events_and_is_told() {
    const OBJECTS: u64 = 1000;
    let (read, may_read) = mpsc::channel();
    let (lines, losses) = (Arc::default(), Arc::default());
    let slow = Slow { may_read, lines: Arc::clone(&lines) };
    // Room for a few of the drains.
    let mut stream = StreamSink::start(target(slow, &losses), &header(64 << 10), None);
    for drain in 0..10 {
        (0..OBJECTS / 10).for_each(|n| stream.push(&alloc((drain * 100 + n) * 64)));
        stream.push(&Entry::Period(1));
        stream.flush(drain);
    }
    let dropped = losses.events.load(Relaxed);
    assert!(dropped > 0 && dropped < OBJECTS && dropped.is_multiple_of(OBJECTS / 10), "{dropped}");
    assert_eq!(stream.state(), SinkState::Open);
    drop(read);
    // It catches up.
    while stream.waiting.load(Relaxed) > 0 {
        std::thread::yield_now();
    }
    stream.push(&Entry::Event(Event::Free(Free { ptr: 0, cache: Some(1) })));
    Box::new(stream).finish(100).unwrap();
    let lines = lines.lock().unwrap();
    let of = |kind| lines.iter().filter(move |line| line.0 == kind);
    assert_eq!(of(EventKind::Alloc).count() as u64, OBJECTS - dropped);
    let gaps: Vec<&Line> = of(EventKind::Gap).collect();
    assert_eq!(gaps, [&(EventKind::Gap, None, None, Some(dropped))]);
    assert_eq!(lines.last(), Some(&(EventKind::Free, Some(0), None, None)));
    assert_eq!(losses.events.load(Relaxed), dropped);
}

/// Also where nothing comes behind.
#[test]
fn what_is_missing_at_the_end_is_told() {
    let (read, may_read) = mpsc::channel();
    let (lines, losses) = (Arc::default(), Arc::default());
    let slow = Slow { may_read, lines: Arc::clone(&lines) };
    let mut stream = StreamSink::start(target(slow, &losses), &header(100), None);
    (0..10).for_each(|n| stream.push(&alloc(n * 64)));
    drop(read);
    Box::new(stream).finish(100).unwrap();
    assert_eq!(lines.lock().unwrap()[..], [(EventKind::Gap, None, None, Some(10))]);
}

#[test]
fn a_free_tells_who_allocated() {
    let (_, may_read) = mpsc::channel();
    let (lines, losses) = (Arc::default(), Arc::default());
    let fast = Slow { may_read, lines: Arc::clone(&lines) };
    let mut stream = StreamSink::start(target(fast, &losses), &header(1 << 20), None);
    stream.push(&alloc(64));
    stream.flush(10);
    stream.push(&Entry::Event(Event::Free(Free { ptr: 64, cache: None })));
    Box::new(stream).finish(100).unwrap();
    let expected = [EventKind::Alloc, EventKind::Free].map(|kind| (kind, Some(64), Some(500), None));
    assert_eq!(lines.lock().unwrap()[..], expected);
}

struct Gone(io::ErrorKind);

impl EventOutput for Gone {
    fn show(&mut self, _: &EventView<'_>) -> io::Result<()> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn state_and_end(error: io::ErrorKind) -> (SinkState, Result<Written, SessionError>) {
    let mut stream = StreamSink::start(target(Gone(error), &Arc::default()), &header(1 << 20), None);
    stream.push(&alloc(64));
    stream.flush(10);
    while !stream.writer.is_finished() {
        std::thread::yield_now();
    }
    (stream.state(), Box::new(stream).finish(100))
}

#[test]
fn a_reader_that_goes_ends_the_session() {
    let (state, end) = state_and_end(io::ErrorKind::BrokenPipe);
    assert_eq!(state, SinkState::ReaderGone);
    assert!(end.is_ok());
    let (state, end) = state_and_end(io::ErrorKind::StorageFull);
    assert_eq!(state, SinkState::ReaderGone);
    assert_eq!(end.unwrap_err().to_string(), "cannot write the events: no storage space");
}
