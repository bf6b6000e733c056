//! What `contrib/` has for Prometheus, Grafana and Alertmanager, with a real leak: from a scrape to an alert, a panel and a bundle.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Test,
    program::Task,
    serve::{self, OnPort, Prometheus, Running, has_prometheus, start_prometheus},
    tests,
    watch::{self, Watch, has_alertmanager, start_alertmanager},
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    tests![Tracing, Once:
        a_leak_goes_to_an_alert_and_a_bundle_and_the_alert_resolves,
        each_panel_of_the_dashboard_is_answered,
    ]
}

const RULES: &str = include_str!("../../../contrib/prometheus/alerts.yml");
const PROMETHEUS: &str = include_str!("../../../contrib/prometheus/prometheus.yml");
const ALERTMANAGER: &str = include_str!("../../../contrib/alertmanager/alertmanager.yml");
const DASHBOARD: &str = include_str!("../../../contrib/grafana/memtrace.json");

/// Where the configurations find everybody, each on its usual port.
const TARGET: &str = "localhost:9435";
const ALERTS_GO_TO: &str = "localhost:9093";
const WEBHOOK: &str = "localhost:9436";

/// Processes of one name that open files and keep them, one process after the other until it is ended.
struct Leak {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Leak {
    fn start(comm: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (seen, comm) = (Arc::clone(&is_over), comm.to_owned());
        let thread = thread::spawn(move || {
            let mut holders = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                let mut holder = Workload::start(&comm, &Task::OpenFiles(300));
                holder.go();
                holders.push(holder);
                thread::sleep(Duration::from_millis(200));
            }
            holders.into_iter().for_each(Workload::end);
        });
        Self { is_over, thread }
    }

    /// Gives everything back.
    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only opens files");
    }
}

/// Replaces what must be there.
#[track_caller]
fn replaced(text: &str, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text.to_owned(), |text, (what, by)| {
        assert!(text.contains(what), "there is no {what:?} in {text}");
        text.replace(what, by)
    })
}

/// The rules, where each alert fires as soon as what it looks at is so: how long it has to be is for promtool to test.
fn impatient(rules: &str) -> String {
    let is_time = |line: &&str| line.trim_start().starts_with("for: ");
    let times = rules.lines().filter(is_time).count();
    assert_eq!(times, rules.matches("- alert: ").count());
    rules.lines().filter(|line| !is_time(line)).collect::<Vec<_>>().join("\n")
}

/// A Prometheus with our configuration and rules, only more often.
fn prometheus_of(directory: &Path, target: &str, alertmanager: &str) -> Prometheus {
    fs::write(directory.join("alerts.yml"), impatient(RULES)).expect("there is room");
    let often = [
        ("scrape_interval: 30s", "scrape_interval: 1s"),
        ("evaluation_interval: 30s", "evaluation_interval: 1s"),
    ];
    let addresses = [(TARGET, target), (ALERTS_GO_TO, alertmanager)];
    start_prometheus(directory, &replaced(PROMETHEUS, &[often, addresses].concat()))
}

/// What Prometheus answers: labels and value of each series. None while it does not.
fn ask(prometheus: &Prometheus, expression: &str) -> Option<Vec<(Value, f64)>> {
    let output = Command::new("curl")
        .args(["--silent", "--fail-with-body", "--get", "--data-urlencode", &format!("query={expression}")])
        .arg(format!("http://{}/api/v1/query", prometheus.address))
        .output()
        .expect("there is a curl");
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    assert_ne!(answer["status"], "error", "{expression}: {answer}");
    let series = answer["data"]["result"].as_array()?;
    series
        .iter()
        .map(|series| Some((series["metric"].clone(), series["value"][1].as_str()?.parse().ok()?)))
        .collect()
}

fn a_leak_goes_to_an_alert_and_a_bundle_and_the_alert_resolves() {
    if !has_prometheus() || !has_alertmanager() {
        return;
    }
    let (comm, directory) = (unique("leak"), TempDir::new().expect("there is room"));
    let into = directory.path().join("bundles");
    let bundles =
        ["--on", watch::NEVER, "--for", "10s", "--webhook", "127.0.0.1:0", "--", "-c", "filp", "-i", "250ms"];
    let mut watch = Watch::start(&into, &bundles);
    let memtrace = OnPort::start(&[]);
    let text = replaced(ALERTMANAGER, &[(WEBHOOK, &watch.webhook()), ("localhost:.*", "127.0.0.1:.*")]);
    let (_alertmanager, address) = start_alertmanager(directory.path(), &text);
    let prometheus = prometheus_of(directory.path(), &memtrace.address, &address);
    let leak = Leak::start(&comm);
    let firing = format!(
        "ALERTS{{alertname=\"MemtraceLeak\", alertstate=\"firing\", comm=\"{comm}\", cache=\"filp\"}}"
    );
    serve::until("the alert fires", || ask(&prometheus, &firing).filter(|series| series.len() == 1));
    watch.until("the alert MemtraceLeak fires; recording for 10 s");
    watch.until("/memtrace-");
    leak.end();
    serve::until("the alert resolves", || ask(&prometheus, &firing).filter(Vec::is_empty));
    // Who it is, the alert has said; that a watch says it too is for its own test.
    let (name, _) = watch::bundle(&into);
    assert!(name.contains("-leak-"), "{name}");
    watch.end();
    [prometheus.process, memtrace.process].iter_mut().for_each(Running::terminate);
}

/// The expressions of each panel, by its title.
fn panels() -> BTreeMap<String, Vec<String>> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels").iter();
    let panels = panels.filter(|panel| panel["type"] != "row");
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    panels
        .map(|panel| {
            let targets = panel["targets"].as_array().expect("it shows something").iter();
            (text(&panel["title"]), targets.map(|target| text(&target["expr"])).collect())
        })
        .collect()
}

fn each_panel_of_the_dashboard_is_answered() {
    if !has_prometheus() {
        return;
    }
    let (comm, directory) = (unique("leak"), TempDir::new().expect("there is room"));
    let memtrace = OnPort::start(&[]);
    let prometheus = prometheus_of(directory.path(), &memtrace.address, ALERTS_GO_TO);
    let leak = Leak::start(&comm);
    // As Grafana does, where all is chosen.
    let variables = [("$instance", ".*"), ("$cache", ".*"), ("$__rate_interval", "1m")];
    let mut answers = BTreeMap::new();
    for (title, expressions) in panels() {
        for expression in expressions {
            let filled = variables.iter().fold(expression, |text, (name, value)| text.replace(name, value));
            assert!(!filled.contains('$'), "{title}: {filled}");
            let is_answer = |series: &Vec<(Value, f64)>| {
                !series.is_empty() && series.iter().all(|(_, value)| value.is_finite())
            };
            let answer =
                serve::until(&format!("{title}: {filled}"), || ask(&prometheus, &filled).filter(is_answer));
            answers.insert(title.clone(), answer);
        }
    }
    // And they answer what they ask.
    let names = |title: &str| answers[title].iter().any(|(labels, _)| labels["comm"] == *comm);
    for title in ["Who leaks or floods", "Outstanding, by command name", "Growth, by command name and cache"]
    {
        assert!(names(title), "{title}: {:?}", answers[title]);
    }
    serve::until("the leak is counted", || {
        let leaks = &panels()["Leaks"][0].replace("$instance", ".*");
        ask(&prometheus, leaks).filter(|series| series.iter().any(|(_, value)| *value >= 1.0))
    });
    leak.end();
    [prometheus.process, memtrace.process].iter_mut().for_each(Running::terminate);
}
