use std::path::PathBuf;

use super::*;
use crate::cmd::{
    bundle::BundleError, caches::CachesError, check::CheckError, diff::DiffError, events::EventsError,
    explain::ExplainError, live::LiveError, mark::MarkError, record::RecordError, redact::RedactError,
    report::ReportError, serve::ServeError, serve::config::ConfigError, triage::TriageError,
    triage::watch::WatchError,
};
use crate::serve::web::WebError;

fn exists() -> FileError {
    FileError::Exists(PathBuf::from("a"))
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

fn unreadable() -> ReadError {
    ReadError::Open { path: PathBuf::from("a"), source: full() }
}

fn not_a_recording() -> ReadError {
    ReadError::Header { path: PathBuf::from("a"), source: HeaderError::NoRecording }
}

fn damaged() -> ReadError {
    ReadError::Header { path: PathBuf::from("a"), source: HeaderError::Damaged("cut") }
}

fn no_cache() -> SessionError {
    SessionError::Setup(SetupError::Resolve(ResolveError::Empty))
}

fn no_privileges() -> SessionError {
    SessionError::Setup(SetupError::Privileges { missing: String::new(), command: String::new() })
}

#[test]
fn each_command_and_kind_of_error_has_its_code() {
    use Exit::{Failed, ReaderGone, Usage};
    let check = |error: CommandError, exit| assert_eq!(error.exit(), exit, "{error:?}");
    check(LiveError::Session(no_cache()).into(), Usage);
    check(LiveError::Session(no_privileges()).into(), Failed);
    check(LiveError::Session(SetupError::NoSuchProcess(1).into()).into(), Usage);
    check(LiveError::Session(SessionError::Output(gone())).into(), ReaderGone);
    check(CachesError::Pattern(ResolveError::Empty).into(), Usage);
    check(CachesError::Write(full()).into(), Failed);
    check(CachesError::Write(gone()).into(), ReaderGone);
    check(ExplainError::Cache(ResolveError::Empty).into(), Usage);
    check(ExplainError::Write(gone()).into(), ReaderGone);
    check(TriageError::Write(full()).into(), Failed);
    check(TriageError::Write(gone()).into(), ReaderGone);
    check(TriageError::Watch(WatchError::Signals(full())).into(), Failed);
    check(CheckError::Obstacle(String::new()).into(), Failed);
    check(MarkError::Several(vec![1, 2]).into(), Usage);
    check(MarkError::None.into(), Failed);
    check(RecordError::File(exists()).into(), Usage);
    check(RecordError::SmallRing.into(), Usage);
    check(RecordError::Session(no_cache()).into(), Usage);
    let full_disk = || WriteError::Write { source: full(), blocks: 1 };
    check(RecordError::Session(SessionError::Record(full_disk())).into(), Failed);
    check(RecordError::Session(SessionError::Record(WriteError::File(exists()))).into(), Usage);
    let unread = WriteError::Write { source: gone(), blocks: 1 };
    check(RecordError::Session(SessionError::Record(unread)).into(), ReaderGone);
    check(RedactError::File(exists()).into(), Usage);
    check(RedactError::Read(not_a_recording()).into(), Usage);
    check(RedactError::Read(damaged()).into(), Failed);
    check(RedactError::Write(full_disk()).into(), Failed);
    check(BundleError::File(exists()).into(), Usage);
    check(BundleError::Read(unreadable()).into(), Failed);
    check(BundleError::Window(WindowError::Empty).into(), Usage);
    check(BundleError::Session(no_cache()).into(), Usage);
    let packing = FileError::Io { path: PathBuf::from("a"), source: full() };
    let kept = BundleError::Kept { source: Box::new(packing.into()), path: PathBuf::from("b") };
    check(kept.into(), Failed);
    check(ReportError::File(exists()).into(), Usage);
    check(ReportError::File(FileError::Stdout(gone())).into(), ReaderGone);
    check(ReportError::Read(ReadError::Pipe(PipeError::TooLong)).into(), Usage);
    check(ReportError::Window(WindowError::Empty).into(), Usage);
    check(DiffError::Report(ReportError::File(exists())).into(), Usage);
    check(DiffError::OneInput.into(), Usage);
    check(EventsError::File(exists()).into(), Usage);
    check(EventsError::Stream(StreamError::Write(gone())).into(), ReaderGone);
    check(EventsError::Stream(StreamError::Write(full())).into(), Failed);
    check(EventsError::Session(SessionError::Events(gone())).into(), ReaderGone);
    let unreadable_config = || ConfigError::Read { path: PathBuf::from("a"), source: full() };
    check(ServeError::Config(unreadable_config()).into(), Usage);
    check(
        ServeError::Web(WebError::Faulty { path: PathBuf::from("a"), problem: String::new() }).into(),
        Usage,
    );
    check(ServeError::Thread(full()).into(), Failed);
    check(ServeError::Write(gone()).into(), ReaderGone);
    check(io::Error::from(io::ErrorKind::BrokenPipe).into(), ReaderGone);
}

#[test]
fn no_message_reaches_the_terminal_raw() {
    let error = CommandError::from(ReadError::NoBlocks(PathBuf::from("a\u{1b}[31m\nb")));
    assert!(error.to_string().starts_with("a\\x1b[31m\\nb has no complete block"), "{error}");
    assert_eq!(printable("one \u{1b}[31m\ntwo \\x1b\n"), "one \\x1b[31m\ntwo \\x1b");
}
