//! `memtrace serve`: what a real session answers to whoever scrapes it.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
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
    tests.extend(tests![Tracing, Once:
        a_hangup_reads_the_configuration_again,
        an_armed_one_records_whom_it_finds,
        over_its_limit_it_rests,
        a_prometheus_scrapes_it,
        a_prometheus_scrapes_it_by_tls_with_a_password,
    ]);
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
pub fn get(mut stream: impl Read + Write, path: &str) -> Option<(String, Vec<u8>)> {
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

/// It traces all the time, so it need not wait until memory is short.
fn an_armed_one_records_whom_it_finds() {
    let comm = unique("leaks");
    let directory = tempfile::tempdir().expect("there is room");
    let into = directory.path().join("bundles");
    let arm = ["--arm", "--on", "finding", "--for", "2s", "--into", into.to_str().expect("it is text")];
    let session = ["--cache", "filp", "--interval", "500ms"];
    let mut served = Served::start(&directory.path().join("socket"), &[&session[..], &arm].concat());
    served.until("a report", |metrics| metrics.contains("memtrace_recording_bytes 0"));
    let mut holders = Vec::new();
    let made = |metrics: &str| value(metrics, "memtrace_recordings_total", "reason=\"finding\"");
    // A leak until it is recorded.
    let metrics = loop {
        let (_, metrics) = served.ask("/metrics").expect("it listens");
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        if made(&metrics).is_some() {
            break metrics;
        }
        assert!(holders.len() < MAX_ASKED, "{metrics}");
        let mut holder = Workload::start(&comm, &Task::OpenFiles(1_500));
        holder.go();
        holders.push(holder);
        thread::sleep(BETWEEN);
    };
    assert_eq!(made(&metrics), Some(1.0), "{metrics}");
    assert!(metrics.contains("memtrace_failed_recordings_total 0"), "{metrics}");
    let bundles = fs::read_dir(&into).expect("it is there").flatten();
    let bundles: Vec<_> = bundles.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(matches!(&bundles[..], [one] if one.ends_with(".tar.zst")), "{bundles:?}");
    kill_process(Pid::from_child(&served.process), Signal::TERM).expect("it runs");
    assert!(served.process.wait().expect("it is our child").success());
    holders.into_iter().for_each(Workload::end);
}

/// A process that is ended with the test.
pub struct Running(pub Child);

impl Running {
    pub fn terminate(&mut self) {
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

/// A session that is served on a port, from the line that says where.
pub struct OnPort {
    pub process: Running,
    /// `127.0.0.1:PORT`.
    pub address: String,
    errors: BufReader<ChildStderr>,
}

impl OnPort {
    pub fn start(arguments: &[&str]) -> Self {
        let mut process = Running(
            Command::new(host::memtrace())
                .args(["serve", "--listen", "127.0.0.1:0", "--cache", "filp", "--interval", "200ms"])
                .args(arguments)
                .stderr(Stdio::piped())
                .spawn()
                .expect("memtrace starts"),
        );
        let mut errors = BufReader::new(process.0.stderr.take().expect("it is piped"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("it says where it listens");
        let address = line.trim().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        Self { process, address, errors }
    }

    /// It listens before it traces.
    #[track_caller]
    pub fn until_it_traces(&self) {
        until("a report", || {
            let (head, _) = get(TcpStream::connect(&self.address).ok()?, "/metrics")?;
            head.starts_with("HTTP/1.1 200").then_some(())
        });
    }
}

/// Without Prometheus there is nothing to test.
pub fn has_prometheus() -> bool {
    host::has("promtool")
}

fn a_prometheus_scrapes_it() {
    if !has_prometheus() {
        return;
    }
    let comm = unique("scraped");
    let directory = tempfile::tempdir().expect("there is room");
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let mut memtrace = OnPort::start(&[]);
    let target = memtrace.address.clone();
    let mut prometheus = prometheus(directory.path(), &target, "");
    memtrace.until_it_traces();
    files.go();
    let answer = prometheus.until_it_knows(&comm);
    assert!(answer.contains("\"cache\":\"filp\""), "{answer}");
    let (_, metrics) = get(TcpStream::connect(&target).expect("it listens"), "/metrics").expect("it answers");
    check_metrics(&metrics);
    prometheus.process.terminate();
    memtrace.process.terminate();
}

/// A Prometheus that scrapes one target each second.
pub struct Prometheus {
    pub process: Running,
    pub address: String,
}

impl Prometheus {
    /// Until it has what a process of this name holds.
    #[track_caller]
    pub fn until_it_knows(&self, comm: &str) -> String {
        let query = format!("/api/v1/query?query=memtrace_outstanding_objects%7Bcomm%3D%22{comm}%22%7D");
        until("Prometheus knows of 700 files", || {
            let (_, body) = get(TcpStream::connect(&self.address).ok()?, &query)?;
            let body = String::from_utf8_lossy(&body).into_owned();
            body.contains("\"700\"").then_some(body)
        })
    }
}

fn prometheus(directory: &Path, target: &str, settings: &str) -> Prometheus {
    start_prometheus(directory, &scrapes(target, settings))
}

/// The configuration of one scrape, with more settings of it, each with a comma behind it.
pub fn scrapes(target: &str, settings: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: memtrace, {settings} static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
}

/// An address of this host that is free at this moment, which is all that can be had.
pub fn free_address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    free.to_string()
}

/// With its configuration, and all that it keeps, in this directory.
pub fn start_prometheus(directory: &Path, text: &str) -> Prometheus {
    let configuration = directory.join("prometheus.yml");
    fs::write(&configuration, text).expect("there is room");
    let address = free_address();
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

/// A certificate for this host, and one user: `prometheus`, whose password is `secret`.
fn web_configuration(directory: &Path) -> String {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let own = rcgen::generate_simple_self_signed(names).expect("it can be made");
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("there is room");
    write("server.crt", &own.cert.pem());
    write("server.key", &own.signing_key.serialize_pem());
    let hash = bcrypt::hash("secret", 10).expect("it can be hashed");
    write(
        "web.yml",
        &format!(
            "tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{prometheus: {hash}}}\n"
        ),
    );
    directory.join("web.yml").display().to_string()
}

fn a_prometheus_scrapes_it_by_tls_with_a_password() {
    if !has_prometheus() {
        return;
    }
    let comm = unique("secret");
    let directory = tempfile::tempdir().expect("there is room");
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let mut memtrace = OnPort::start(&["--web-config", &web_configuration(directory.path())]);
    let target = memtrace.address.clone();
    let authority = directory.path().join("server.crt").display().to_string();
    let status = |credentials: &str| {
        let url = format!("https://{target}/metrics");
        let curl = Command::new("curl")
            .args([
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                "--cacert",
                &authority,
            ])
            .args(["--user", credentials, &url])
            .output()
            .expect("there is a curl");
        String::from_utf8_lossy(&curl.stdout).into_owned()
    };
    until("a report", || (status("prometheus:secret") == "200").then_some(()));
    assert_eq!(status("prometheus:wrong"), "401");
    assert_eq!(status("nobody:secret"), "401");
    let settings = format!(
        "scheme: https, tls_config: {{ca_file: '{authority}'}}, basic_auth: {{username: prometheus, password: secret}},"
    );
    let mut prometheus = prometheus(directory.path(), &target, &settings);
    files.go();
    prometheus.until_it_knows(&comm);
    prometheus.process.terminate();
    memtrace.process.terminate();
}

/// Whatever it takes, it is more than that.
fn over_its_limit_it_rests() {
    let (comm, mut line) = (unique("busy"), String::new());
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let mut memtrace = OnPort::start(&["--max-cpu", "0.001", "--census-every", "0"]);
    memtrace.until_it_traces();
    files.go();
    memtrace.errors.read_line(&mut line).expect("it says what it does");
    assert!(line.starts_with("memtrace: stopped tracing after "), "{line}");
    assert!(line.ends_with("when sampling 1 in 1024 objects; rests for 5 m 0 s\n"), "{line}");
    let ask = |path: &str| get(TcpStream::connect(&memtrace.address).expect("it listens"), path);
    let (head, _) = ask("/healthz").expect("it answers");
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    let (_, metrics) = ask("/metrics").expect("it answers");
    let metrics = String::from_utf8_lossy(&metrics);
    assert!(metrics.contains("\nmemtrace_tracing 0.0\n"), "{metrics}");
    memtrace.process.terminate();
}

/// Lines that the file changes while it runs, and one that breaks it.
fn a_hangup_reads_the_configuration_again() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("memtrace.toml");
    let write = |text: &str| fs::write(&path, text).expect("there is room");
    write("series = 100\ncensus-every = 0\n");
    let mut memtrace = OnPort::start(&["--config", &path.display().to_string()]);
    let metrics = |expected: &str, is_met: &dyn Fn(&str) -> bool| {
        until(expected, || {
            let (_, body) = get(TcpStream::connect(&memtrace.address).ok()?, "/metrics")?;
            let metrics = String::from_utf8_lossy(&body).into_owned();
            is_met(&metrics).then_some(metrics)
        })
    };
    let is_good =
        |is: u8| move |metrics: &str| metrics.contains(&format!("config_last_reload_successful {is}"));
    let pid = Pid::from_child(&memtrace.process.0);
    let mut line = String::new();
    let metrics_before = metrics("a report", &is_good(1));
    assert!(!metrics_before.contains("memtrace_census_bytes"), "{metrics_before}");
    write("series = 50\nlabels = \"cgroup\"\ncensus-every = \"1s\"\nlisten = \"127.0.0.1:1\"\n");
    kill_process(pid, Signal::HUP).expect("it runs");
    memtrace.errors.read_line(&mut line).expect("it says what it did");
    // The command line says where to listen.
    assert_eq!(line, "memtrace: configuration read again: census-every, labels, series changed\n");
    let changed = |metrics: &str| {
        metrics.contains("container_id") && metrics.contains("memtrace_census_bytes{cache=\"filp\"")
    };
    metrics("other labels, and a census", &changed);
    write("serise = 50\n");
    kill_process(pid, Signal::HUP).expect("it runs");
    line.clear();
    memtrace.errors.read_line(&mut line).expect("it says what it did");
    let expected = ", line 1, column 1: there is no option 'serise'; did you mean series?; docs/serve.md has the format\n";
    assert!(
        line.starts_with("memtrace: the old configuration stays: ") && line.ends_with(expected),
        "{line}"
    );
    let broken = |metrics: &str| is_good(0)(metrics) && changed(metrics);
    metrics("that it is broken, and the old one", &broken);
    write("series = 50\n");
    kill_process(pid, Signal::HUP).expect("it runs");
    metrics("that it is right again", &is_good(1));
    memtrace.process.terminate();
}

/// Tries until there is something.
#[track_caller]
pub fn until<T>(expected: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
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
