//! What `contrib/` has for Prometheus, Alertmanager, systemd and Kubernetes, by their own checkers. `kernel/consumers.rs` lets them
//! run.

#[path = "../tables/python.rs"]
mod python;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde::Deserialize;
use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const MEMTRACE: &str = env!("CARGO_BIN_EXE_memtrace");

fn contrib(path: &str) -> PathBuf {
    Path::new(ROOT).join("contrib").join(path)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("it is in the tree")
}

/// Fails unless the program takes it. Where there is no such program, nothing is tested: with `MEMTRACE_NO_SKIP=1` a failure.
#[track_caller]
fn check(program: &str, arguments: &[&str], path: &Path) {
    match Command::new(program).args(arguments).arg(path).output() {
        Ok(output) => assert!(output.status.success(), "{program} {arguments:?}: {}", said(&output)),
        Err(error) => {
            let may_skip = std::env::var_os("MEMTRACE_NO_SKIP").is_none_or(|value| value != "1");
            assert!(may_skip, "{program}: {error}; `cargo xtask setup` installs it");
            eprintln!("SKIPPED: {program}: {error}; `cargo xtask setup` installs it");
        }
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

#[test]
fn prometheus_takes_rules_and_configuration() {
    check("promtool", &["check", "rules", "--lint=all", "--lint-fatal"], &contrib("prometheus/alerts.yml"));
    check("promtool", &["check", "config", "--lint-fatal"], &contrib("prometheus/prometheus.yml"));
}

#[test]
fn alerts_fire_when_they_should() {
    check("promtool", &["test", "rules"], &contrib("prometheus/alerts.test.yml"));
}

#[test]
fn alertmanager_takes_its_configuration() {
    check("amtool", &["check-config"], &contrib("alertmanager/alertmanager.yml"));
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    alert: String,
    r#for: String,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Deserialize)]
struct Labels {
    severity: String,
}

#[derive(Deserialize)]
struct Annotations {
    summary: String,
    description: String,
    runbook_url: String,
}

/// Whoever is woken up finds the alert in the runbook, with the same time and severity, and each has a unit test.
#[test]
fn each_alert_is_in_the_runbook() {
    let rules: Rules = serde_saphyr::from_str(&read(contrib("prometheus/alerts.yml"))).unwrap();
    let (runbook, tested) = (read(Path::new(ROOT).join("docs/alerts.md")), fired_in_tests());
    let alerts: Vec<_> = rules.groups.into_iter().flat_map(|group| group.rules).collect();
    for Alert { alert, r#for, labels, annotations } in &alerts {
        let minutes = r#for.strip_suffix('m').expect("it holds for minutes");
        let section = format!("## {alert}\n\n*{minutes} minutes, {}.*", labels.severity);
        assert!(runbook.contains(&section), "docs/alerts.md has no {section:?}");
        let url = format!("file:///usr/share/doc/memtrace/docs/alerts.md#{}", alert.to_lowercase());
        assert_eq!(annotations.runbook_url, url);
        assert!(annotations.summary.contains("{{ $labels.instance }}"), "{alert} does not say where");
        assert!(!annotations.description.is_empty());
        assert!(tested.contains(alert), "no test lets {alert} fire");
    }
    assert_eq!(runbook.matches("\n## ").count(), alerts.len());
}

/// The alerts that unit tests expect.
fn fired_in_tests() -> BTreeSet<String> {
    let file: Value = serde_saphyr::from_str(&read(contrib("prometheus/alerts.test.yml"))).unwrap();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let checks = list(&file, "tests").into_iter().flat_map(|test| list(&test, "alert_rule_test"));
    let fired = checks.filter(|check| !list(check, "exp_alerts").is_empty());
    fired.filter_map(|check| Some(check["alertname"].as_str()?.to_owned())).collect()
}

#[test]
fn parca_is_told_of_the_profiles_that_there_are() {
    let configuration: Value = serde_saphyr::from_str(&read(contrib("parca/parca.yaml"))).unwrap();
    let profiles =
        configuration["scrape_configs"][0]["profiling_config"]["pprof_config"].as_object().unwrap();
    // All that Parca asks for by itself.
    for name in ["block", "goroutine", "mutex", "process_cpu"] {
        assert_eq!(profiles[name]["enabled"], false, "{name}");
    }
    assert_eq!(profiles["memory"]["path"], "/debug/pprof/heap");
}

/// As it is, and with each key that it offers.
#[test]
fn memtrace_takes_its_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let offered = read(contrib("memtrace.toml"));
    let is_key =
        |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase());
    let keys: Vec<_> = offered.lines().filter(|line| is_key(line)).map(|line| &line[1..]).collect();
    assert!(keys.len() > 8, "{keys:?}");
    let all = directory.path().join("all.toml");
    let web = directory.path().join("web.yml");
    fs::write(&web, "basic_auth_users: {}\n").unwrap();
    fs::write(&all, keys.join("\n").replace("/etc/memtrace-web.yml", &web.display().to_string())).unwrap();
    for path in [contrib("memtrace.toml"), all] {
        let mut serve = Command::new(MEMTRACE);
        let output = serve.args(["serve", "--check-config", "--config"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}: {}", path.display(), said(&output));
    }
}

const UNITS: [&str; 3] = ["memtrace.service", "memtrace.socket", "memtrace-watch.service"];

/// Of 10, by what systemd itself says of a unit that is exposed to the world: 9.6 is what one has that sets nothing.
const MAX_EXPOSURE: &str = "--threshold=30";

#[test]
fn systemd_takes_the_units_and_finds_them_hardened() {
    let directory = tempfile::tempdir().unwrap();
    for unit in UNITS {
        // It looks whether the program is there.
        let text = read(contrib("systemd").join(unit)).replace("/usr/bin/memtrace", MEMTRACE);
        fs::write(directory.path().join(unit), text).unwrap();
    }
    for unit in UNITS {
        let path = directory.path().join(unit);
        check("systemd-analyze", &["verify", "--man=no"], &path);
        if unit.ends_with(".service") {
            check("systemd-analyze", &["security", "--offline=true", "--no-pager", MAX_EXPOSURE], &path);
        }
    }
}

/// Against the schemas of that version of Kubernetes, where what is unknown is refused. The operator's own kind has none there.
#[test]
fn kubernetes_takes_the_manifests() {
    let directory = contrib("kubernetes");
    let arguments = ["-m", "kubernetes_validate", "--strict", "--quiet", "daemonset.yaml"];
    let Some(said) = python::python(&directory, &arguments) else { return };
    assert_eq!(said, "");
}

/// Capabilities that the kernel knows of, and no more than docs/serve.md accounts for.
#[test]
fn the_daemonset_is_not_privileged() {
    let daemonset =
        manifests("kubernetes/daemonset.yaml").into_iter().find(|it| it["kind"] == "DaemonSet").unwrap();
    let pod = &daemonset["spec"]["template"]["spec"];
    for right in ["hostPID", "hostNetwork", "hostIPC"] {
        assert_ne!(pod[right], true, "{right}");
    }
    let security = &pod["containers"][0]["securityContext"];
    assert_eq!(security["privileged"], false);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert_eq!(
        security["capabilities"]["add"],
        serde_json::json!(["BPF", "PERFMON", "DAC_READ_SEARCH", "SYSLOG"])
    );
    let writable = |mount: &Value| mount["readOnly"] != true;
    assert!(!pod["containers"][0]["volumeMounts"].as_array().unwrap().iter().any(writable));
}

/// What the PodMonitor selects is what the DaemonSet makes, and its target is what the rules look for.
#[test]
fn the_pod_monitor_finds_the_daemonset() {
    let [monitor] = &manifests("kubernetes/podmonitor.yaml")[..] else { panic!("one of them") };
    let daemonset =
        manifests("kubernetes/daemonset.yaml").into_iter().find(|it| it["kind"] == "DaemonSet").unwrap();
    let pod = &daemonset["spec"]["template"];
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"]);
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], pod["spec"]["containers"][0]["ports"][0]["name"]);
    assert_eq!(
        endpoint["relabelings"][0],
        serde_json::json!({"targetLabel": "job", "replacement": "memtrace"})
    );
}

/// The configuration in the ConfigMap is one.
#[test]
fn memtrace_takes_the_configuration_of_the_manifests() {
    let maps =
        manifests("kubernetes/daemonset.yaml").into_iter().find(|it| it["kind"] == "ConfigMap").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memtrace.toml");
    fs::write(&path, maps["data"]["memtrace.toml"].as_str().unwrap()).unwrap();
    let output =
        Command::new(MEMTRACE).args(["serve", "--check-config", "--config"]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

fn manifests(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(contrib(path))).unwrap()
}

/// Prometheus' own engine over eight days of three hosts, which `fleet.yml` makes up.
#[test]
fn prometheus_answers_each_query_of_the_fleet() {
    let document = read(Path::new(ROOT).join("docs/fleet.md"));
    let mut tests = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contrib/fleet.yml"));
    let mut queries = 0;
    for part in document.split("\n### ").skip(1) {
        let Some((text, block)) = part.split_once("```promql\n") else { continue };
        let title = text.lines().next().unwrap_or_default();
        let query: Vec<_> = block.split("```").next().unwrap_or_default().split_whitespace().collect();
        let place = format!("expr: '{title}'");
        assert!(tests.contains(&place), "no test asks: {title}");
        tests = tests.replace(&place, &format!("expr: '{}'", query.join(" ")));
        queries += 1;
    }
    assert_eq!(queries, tests.matches("- expr: ").count());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.yml");
    fs::write(&path, tests).unwrap();
    check("promtool", &["test", "rules"], &path);
}
