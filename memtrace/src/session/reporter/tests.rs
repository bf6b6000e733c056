use std::sync::mpsc::{Sender, channel};

use super::*;
use crate::output::sample;

/// Says which report it begins to write, and is done when it is told how that ends.
struct Steered {
    begins: Sender<u64>,
    ends: Receiver<io::Result<Shown>>,
}

impl Output for Steered {
    fn show(&mut self, snapshot: &Snapshot) -> io::Result<Shown> {
        self.begins.send(snapshot.elapsed.as_secs()).unwrap();
        self.ends.recv().unwrap()
    }
}

fn steered() -> (Reporter, Receiver<u64>, Sender<io::Result<Shown>>) {
    let (begins, began) = channel();
    let (end, ends) = channel();
    (Reporter::start(Box::new(Steered { begins, ends })), began, end)
}

fn report(number: u64) -> Snapshot {
    Snapshot { elapsed: std::time::Duration::from_secs(number), ..sample::dentry() }
}

/// Waits for the writer's thread to end.
fn wait_until_unread(reporter: &Reporter) {
    while !reporter.is_unread() {
        std::thread::yield_now();
    }
}

#[test]
fn all_reports_are_written_in_order() {
    let (reporter, began, end) = steered();
    for number in 1..=3 {
        reporter.show(report(number));
        assert_eq!(began.recv(), Ok(number));
        end.send(Ok(Shown::Yes)).unwrap();
    }
    end.send(Ok(Shown::Yes)).unwrap();
    assert!(!reporter.is_unread());
    // The writer may still be busy with the third.
    reporter.finish(Some(report(4))).unwrap();
    assert_eq!(began.iter().collect::<Vec<_>>(), [4]);
}

#[test]
fn a_slow_writer_misses_reports_but_never_the_last() {
    let (reporter, began, end) = steered();
    reporter.show(report(1));
    assert_eq!(began.recv(), Ok(1));
    // It is busy with the first; the second waits, and there is no room for more.
    for number in 2..=5 {
        reporter.show(report(number));
    }
    for _ in 0..3 {
        end.send(Ok(Shown::Yes)).unwrap();
    }
    reporter.finish(Some(report(6))).unwrap();
    assert_eq!(began.iter().collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn what_waits_is_written_before_the_end() {
    let (reporter, began, end) = steered();
    reporter.show(report(1));
    assert_eq!(began.recv(), Ok(1));
    reporter.show(report(2));
    for _ in 0..2 {
        end.send(Ok(Shown::Yes)).unwrap();
    }
    reporter.finish(None).unwrap();
    assert_eq!(began.iter().collect::<Vec<_>>(), [2]);
}

#[test]
fn a_reader_that_has_gone_ends_it_without_an_error() {
    let (reporter, began, end) = steered();
    reporter.show(report(1));
    end.send(Ok(Shown::ReaderGone)).unwrap();
    wait_until_unread(&reporter);
    reporter.show(report(2));
    reporter.finish(Some(report(3))).unwrap();
    assert_eq!(began.iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_failed_write_ends_it_and_is_reported() {
    for last in [None, Some(report(3))] {
        let (reporter, began, end) = steered();
        reporter.show(report(1));
        end.send(Err(io::Error::from(io::ErrorKind::StorageFull))).unwrap();
        wait_until_unread(&reporter);
        reporter.show(report(2));
        assert_eq!(reporter.finish(last).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(began.iter().collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn a_failed_write_of_the_last_report_is_reported() {
    let (reporter, _began, end) = steered();
    end.send(Err(io::Error::from(io::ErrorKind::StorageFull))).unwrap();
    assert_eq!(reporter.finish(Some(report(1))).unwrap_err().kind(), io::ErrorKind::StorageFull);
}
