//! `memtrace serve`: what a real session answers to whoever scrapes it.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use flate2::read::GzDecoder;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Test, host,
    program::Task,
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, OneKernel: metrics_and_profiles_name_who_holds_files];
    tests.extend(tests![Tracing, Once: a_prometheus_scrapes_it]);
    tests
}

/// How often it is asked until it says what is expected, and how long it has in between.
const MAX_ASKED: usize = 600;
const BETWEEN: Duration = Duration::from_millis(100);

struct Served {
    process: Child,
    socket: PathBuf,
}

impl Served {
    fn start(socket: &Path, arguments: &[&str]) -> Self {
        let listen = format!("unix:{}", socket.display());
        let process = Command::new(host::memtrace())
            .args(["serve", "--listen", &listen])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("memtrace starts");
        Self { process, socket: socket.to_owned() }
    }

    /// None while it does not listen.
    fn ask(&self, path: &str) -> Option<(String, Vec<u8>)> {
        get(UnixStream::connect(&self.socket).ok()?, path)
    }

    /// Asks until the metrics are as expected.
    #[track_caller]
    fn until(&self, expected: &str, is_met: impl Fn(&str) -> bool) -> String {
        until(expected, || {
            let (_, body) = self.ask("/metrics")?;
            let metrics = String::from_utf8_lossy(&body).into_owned();
            is_met(&metrics).then_some(metrics)
        })
    }
}

/// The head and the body of an answer.
fn get(mut stream: impl Read + Write, path: &str) -> Option<(String, Vec<u8>)> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    Some((head, answer.split_off(end + 4)))
}

/// The value of the sample of a metric that has this label.
fn value(metrics: &str, name: &str, label: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(label))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn metrics_and_profiles_name_who_holds_files() {
    let comm = unique("serve");
    let label = format!("comm=\"{comm}\"");
    let directory = tempfile::tempdir().expect("there is room");
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let mut served =
        Served::start(&directory.path().join("socket"), &["--cache", "filp", "--interval", "200ms"]);
    served.until("a report", |metrics| metrics.contains("memtrace_events_total"));
    files.go();
    let objects = |metrics: &str| value(metrics, "memtrace_outstanding_objects", &label);
    let metrics = served.until("700 files", |metrics| objects(metrics) == Some(700.0));
    assert!(metrics.contains("memtrace_lost_events_total{kind=\"alloc\"} 0"), "{metrics}");
    let (head, _) = served.ask("/healthz").expect("it listens");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, profile) = served.ask("/debug/pprof/heap").expect("it listens");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut names = Vec::new();
    GzDecoder::new(&profile[..]).read_to_end(&mut names).expect("it is gzip");
    assert!(
        names.windows(comm.len()).any(|bytes| bytes == comm.as_bytes()),
        "the profile does not name {comm}"
    );
    files.release();
    served.until("no files", |metrics| objects(metrics).unwrap_or_default() == 0.0);
    let pid = Pid::from_child(&served.process);
    kill_process(pid, Signal::TERM).expect("it runs");
    assert!(served.process.wait().expect("it is our child").success());
    assert!(!served.socket.exists(), "its socket goes with it");
}

/// A process that is ended with the test.
pub struct Running(pub Child);

impl Running {
    fn terminate(&mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        assert!(self.0.wait().expect("it is our child").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_prometheus_scrapes_it() {
    if Command::new("promtool").arg("--version").output().is_err() {
        assert!(!host::may_not_skip(), "there is no Prometheus; cargo xtask setup installs one");
        return eprintln!("skipped: there is no Prometheus");
    }
    let comm = unique("scraped");
    let directory = tempfile::tempdir().expect("there is room");
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let mut memtrace = Running(
        Command::new(host::memtrace())
            .args(["serve", "--listen", "127.0.0.1:0", "--cache", "filp", "--interval", "200ms"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("memtrace starts"),
    );
    let mut line = String::new();
    let stderr = memtrace.0.stderr.take().expect("it is piped");
    BufReader::new(stderr).read_line(&mut line).expect("it says where it listens");
    let target = line.trim().trim_start_matches("listening on http://").trim_end_matches('/').to_owned();
    let mut prometheus = prometheus(directory.path(), &target);
    // It listens before it traces.
    until("a report", || {
        let (head, _) = get(TcpStream::connect(&target).ok()?, "/metrics")?;
        head.starts_with("HTTP/1.1 200").then_some(())
    });
    files.go();
    let query = format!("/api/v1/query?query=memtrace_outstanding_objects%7Bcomm%3D%22{comm}%22%7D");
    let answer = until("Prometheus knows of 700 files", || {
        let (_, body) = get(TcpStream::connect(&prometheus.address).ok()?, &query)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        body.contains("\"700\"").then_some(body)
    });
    assert!(answer.contains("\"cache\":\"filp\""), "{answer}");
    let (_, metrics) = get(TcpStream::connect(&target).expect("it listens"), "/metrics").expect("it answers");
    check_metrics(&metrics);
    prometheus.process.terminate();
    memtrace.terminate();
}

/// A Prometheus that scrapes one target each second.
struct Prometheus {
    process: Running,
    address: String,
}

fn prometheus(directory: &Path, target: &str) -> Prometheus {
    let configuration = directory.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: memtrace, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    fs::write(&configuration, text).expect("there is room");
    // Free at this moment, which is all that can be had.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let address = free.to_string();
    let process = Command::new("prometheus")
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Prometheus starts");
    Prometheus { process: Running(process), address }
}

/// Tries until there is something.
#[track_caller]
fn until<T>(expected: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    for _ in 0..MAX_ASKED {
        if let Some(found) = attempt() {
            return found;
        }
        thread::sleep(BETWEEN);
    }
    panic!("never: {expected}");
}

/// What Prometheus' own linter says of names, types and texts.
fn check_metrics(metrics: &[u8]) {
    let mut linter = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    linter.stdin.take().expect("it is piped").write_all(metrics).expect("it reads");
    let output: io::Result<_> = linter.wait_with_output();
    let output = output.expect("it ends");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && said.iter().all(String::is_empty), "{said:?}");
}
