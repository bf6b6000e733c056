//! Runs the image with the rights that contrib/kubernetes/daemonset.yaml gives it, and no others, where this host runs containers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::store::{PODMAN, RUNTIME, Store};
use crate::command::{CommandExt, which};
use crate::{host, paths};

/// What containers may call by default, as distributions have it.
const SECCOMP: &str = "/usr/share/containers/seccomp.json";

/// How often it is asked whether it traces, and how long it has in between.
const MAX_ASKED: usize = 300;
const BETWEEN: Duration = Duration::from_secs(1);

pub fn check(store: &Store, tag: &str) -> Result<()> {
    if !host::is_root() || which(PODMAN).is_none() || which(RUNTIME).is_none() {
        println!("the image was not run: that takes root, {PODMAN} and {RUNTIME}");
        return Ok(());
    }
    let container = Container::start(store, tag)?;
    let metrics = container.until_it_traces()?;
    // Whom it sees is not its own doing: the host's processes, by the names that they have there.
    ensure!(metrics.contains("memtrace_outstanding_bytes{cache="), "it sees nobody:\n{metrics}");
    ensure!(metrics.contains("memtrace_cache_bytes{cache="), "it cannot read slabinfo:\n{metrics}");
    println!("the image traces with the rights of the DaemonSet");
    Ok(())
}

/// A running one. Removed when dropped.
struct Container<'a> {
    store: &'a Store,
    id: String,
}

impl<'a> Container<'a> {
    fn start(store: &'a Store, tag: &str) -> Result<Self> {
        let pod = pod()?;
        let (container, configuration) = (&pod["containers"][0], store.directory.join("configuration"));
        fs::create_dir_all(&configuration)?;
        fs::write(
            configuration.join("memtrace.toml"),
            "listen = [\"unix:/run/memtrace/http\"]\nlabels = [\"cgroup\"]\n",
        )?;
        let mut run = store.podman();
        run.args(["run", "--detach", "--network", "none", "--tmpfs", "/run/memtrace"]);
        run.args(rights(&container["securityContext"])?);
        run.arg("--security-opt").arg(format!("seccomp={}", seccomp(store)?.display()));
        run.args(["--volume", &format!("{}:/etc/memtrace:ro", configuration.display())]);
        run.args(["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:ro"]);
        // By itself podman asks for more than it may have on some hosts; these are enough.
        run.args(["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=512:512"]);
        run.arg(tag);
        run.args(container["args"].as_array().into_iter().flatten().filter_map(Value::as_str));
        Ok(Self { store, id: run.text()?.trim().to_owned() })
    }

    fn until_it_traces(&self) -> Result<String> {
        for _ in 0..MAX_ASKED {
            if let Ok(metrics) = self.metrics()
                && metrics.contains("memtrace_outstanding_bytes{cache=")
            {
                return Ok(metrics);
            }
            thread::sleep(BETWEEN);
        }
        let logs = self.store.podman().args(["logs", &self.id]).output().context("podman does not start")?;
        bail!("it does not trace: {}", String::from_utf8_lossy(&logs.stderr))
    }

    /// Asked through the container's own files, which nobody else can reach.
    fn metrics(&self) -> Result<String> {
        let state = self.store.podman().args(["inspect", "--format", "{{.State.Pid}}", &self.id]).text()?;
        let socket = format!("/proc/{}/root/run/memtrace/http", state.trim());
        Command::new("curl")
            .args(["--silent", "--fail", "--unix-socket", &socket, "http://localhost/metrics"])
            .text()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.store.podman().args(["rm", "--force", "--time", "5", &self.id]).text();
    }
}

/// What the DaemonSet makes.
fn pod() -> Result<Value> {
    let path = paths::root().join("contrib/kubernetes/daemonset.yaml");
    let manifests: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(path)?)?;
    let daemonset = manifests.into_iter().find(|manifest| manifest["kind"] == "DaemonSet");
    Ok(daemonset.context("there is no DaemonSet")?["spec"]["template"]["spec"].clone())
}

/// As options of podman's.
fn rights(context: &Value) -> Result<Vec<String>> {
    let texts = |value: &Value| {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| Some(it.as_str()?.to_owned()))
            .collect::<Vec<_>>()
    };
    let dropped =
        texts(&context["capabilities"]["drop"]).into_iter().map(|name| format!("--cap-drop={name}"));
    let added = texts(&context["capabilities"]["add"]).into_iter().map(|name| format!("--cap-add={name}"));
    let mut rights: Vec<_> = dropped.chain(added).collect();
    ensure!(rights.len() > 1, "the DaemonSet has no capabilities");
    rights.push(format!("--user={}:{}", context["runAsUser"], context["runAsGroup"]));
    rights.push(format!("--read-only={}", context["readOnlyRootFilesystem"]));
    rights.push("--read-only-tmpfs=false".to_owned());
    if context["allowPrivilegeEscalation"] == false {
        rights.push("--security-opt=no-new-privileges".to_owned());
    }
    Ok(rights)
}

/// The profile of newer runtimes (moby#43987, containerd#7301): tracing is for who has its capabilities, not for CAP_SYS_ADMIN alone.
fn seccomp(store: &Store) -> Result<PathBuf> {
    let mut profile: Value =
        serde_json::from_str(&fs::read_to_string(SECCOMP).context("podman has no profile")?)?;
    let rules = profile["syscalls"].as_array_mut().context("it has no rules")?;
    for (call, capability) in [("bpf", "CAP_BPF"), ("perf_event_open", "CAP_PERFMON")] {
        for rule in rules.iter_mut() {
            if let Some(names) = rule["names"].as_array_mut() {
                names.retain(|name| name != call);
            }
        }
        rules.push(json!({"names": [call], "action": "SCMP_ACT_ALLOW", "includes": {"caps": [capability]}}));
    }
    rules.retain(|rule| rule["names"].as_array().is_some_and(|names| !names.is_empty()));
    let path = store.directory.join("seccomp.json");
    fs::write(&path, serde_json::to_vec(&profile)?)?;
    Ok(path)
}
