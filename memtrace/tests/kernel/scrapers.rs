//! Who reads the same as Prometheus does: `VictoriaMetrics`, which scrapes, and `node_exporter`, which passes on text files.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Test, host,
    program::Task,
    serve::{OnPort, Prometheus, Running, free_address, get, scrapes, until},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    tests![Tracing, Once:
        a_victoria_metrics_scrapes_it,
        a_node_exporter_passes_on_its_text,
    ]
}

fn start(command: &mut Command) -> Running {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().expect("it was there a moment ago"))
}

const VICTORIA_METRICS: &str = "victoria-metrics";

/// It takes a Prometheus' configuration, and is asked as one.
fn victoria_metrics(directory: &Path, target: &str) -> Prometheus {
    let configuration = directory.join("scrape.yml");
    fs::write(&configuration, scrapes(target, "")).expect("there is room");
    let address = free_address();
    let process = start(Command::new(VICTORIA_METRICS).args([
        format!("-promscrape.config={}", configuration.display()),
        "-promscrape.config.strictParse".to_owned(),
        format!("-storageDataPath={}", directory.join("data").display()),
        format!("-httpListenAddr={address}"),
        // It would answer nothing about the last 30 s.
        "-search.latencyOffset=0s".to_owned(),
    ]));
    Prometheus { process, address }
}

fn a_victoria_metrics_scrapes_it() {
    if !host::has(VICTORIA_METRICS) {
        return;
    }
    let (comm, directory) = (unique("scraped"), tempfile::tempdir().expect("there is room"));
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let mut memtrace = OnPort::start(&[]);
    let mut victoria_metrics = victoria_metrics(directory.path(), &memtrace.address);
    memtrace.until_it_traces();
    files.go();
    let answer = victoria_metrics.until_it_knows(&comm);
    assert!(answer.contains("\"cache\":\"filp\""), "{answer}");
    victoria_metrics.process.terminate();
    memtrace.process.terminate();
}

const NODE_EXPORTER: &str = "prometheus-node-exporter";

fn a_node_exporter_passes_on_its_text() {
    if !host::has(NODE_EXPORTER) {
        return;
    }
    let (comm, directory) = (unique("passed"), tempfile::tempdir().expect("there is room"));
    let mut files = Workload::start(&comm, &Task::OpenFiles(700));
    let mut memtrace = OnPort::start(&[]);
    let address = free_address();
    let _node_exporter = start(
        Command::new(NODE_EXPORTER)
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .arg(format!("--collector.textfile.directory={}", directory.path().display()))
            .arg(format!("--web.listen-address={address}")),
    );
    let metrics = |address: &str| {
        let (_, body) = get(TcpStream::connect(address).ok()?, "/metrics")?;
        String::from_utf8(body).ok()
    };
    memtrace.until_it_traces();
    files.go();
    // Go leaves out what stands behind a whole number.
    let holds = format!("memtrace_outstanding_objects{{cache=\"filp\",comm=\"{comm}\"}} 700");
    let text = until("700 files", || metrics(&memtrace.address).filter(|metrics| metrics.contains(&holds)));
    // Those of a process, it has itself.
    let ours: String = text.split_inclusive('\n').filter(|line| line.contains("memtrace_")).collect();
    fs::write(directory.path().join("memtrace.prom"), &ours).expect("there is room");
    let passed_on =
        until("they are passed on", || metrics(&address).filter(|metrics| metrics.contains(&holds)));
    assert!(passed_on.contains("\nnode_textfile_scrape_error 0\n"), "{passed_on}");
    let series = ours.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(' ').next());
    let missing: Vec<_> = series.filter(|series| !passed_on.contains(series)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    memtrace.process.terminate();
}
