//! A host with very many processes and cgroups, from files.

use std::{fs, os::unix::fs::symlink, path::Path, time::SystemTime};

use super::{
    page::{About, Page},
    sample::Sample,
    window::Window,
};
use crate::{
    output::{
        documents,
        render::terminal::{self, Frame, Style},
    },
    procfs::{Files, cgroup, process::memory},
    triage::tracing::Tracing,
};

const SLICES: usize = 100;
const IN_EACH: usize = 1_000;
const PROCESSES: usize = 25_000;

/// With a proc like that of a real host, 25,000 processes and 100,000 cgroups.
fn host(root: &Path) {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/procfs/fixtures/6.12/proc");
    let proc = root.join("proc");
    fs::create_dir_all(proc.join("self")).unwrap();
    for file in ["buddyinfo", "meminfo", "vmstat", "zoneinfo", "pressure", "sys"] {
        symlink(real.join(file), proc.join(file)).unwrap();
    }
    fs::create_dir_all(root.join("sys/kernel/slab")).unwrap();
    let mounts = format!("35 31 0:32 / {} rw - cgroup2 cgroup2 rw\n", root.join("cgroup").display());
    fs::write(proc.join("self/mountinfo"), mounts).unwrap();
    for pid in 1..=PROCESSES {
        let directory = proc.join(pid.to_string());
        fs::create_dir(&directory).unwrap();
        // Some are gone when they are read.
        if pid % 100 != 0 {
            let stat = format!("{pid} (worker) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {pid} 99 42\n");
            fs::write(directory.join("stat"), stat).unwrap();
            fs::write(directory.join("statm"), "900 500 200 0 0 0 0\n").unwrap();
        }
    }
    for slice in 0..SLICES {
        let directory = root.join(format!("cgroup/jobs-{slice}.slice"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("memory.current"), format!("{}\n", (slice + 1) << 30)).unwrap();
        for job in 0..IN_EACH {
            let job = directory.join(format!("job-{job}.scope"));
            fs::create_dir(&job).unwrap();
            // Only those in the biggest are ever read.
            if slice >= SLICES - 5 {
                fs::write(job.join("memory.current"), "1000000\n").unwrap();
            }
        }
    }
}

#[test]
fn very_many_processes_and_cgroups_are_bounded_and_it_is_said() {
    let shm = Path::new("/dev/shm");
    let root = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
    host(root.path());
    let files = Files::at(root.path());
    let before = Sample::take(&files).unwrap();
    // Some processes end, so that others are read that were left out before; and so with cgroups.
    for pid in (1..=PROCESSES).filter(|pid| pid % 3 == 0) {
        let _ = fs::remove_file(root.path().join(format!("proc/{pid}/statm")));
    }
    fs::write(root.path().join("cgroup/jobs-0.slice/memory.current"), format!("{}\n", 200_u64 << 30))
        .unwrap();
    let after = Sample::take(&files).unwrap();

    assert_eq!(before.processes.list.len(), memory::MAX_PROCESSES);
    assert!(before.cgroups.list.len() <= cgroup::MAX_CGROUPS);
    assert_eq!(before.cgroups.list.len() + before.cgroups.left_out, SLICES + SLICES * IN_EACH);
    let window = Window {
        before,
        between: Vec::new(),
        looks: Vec::new(),
        after,
        own_pid: 0,
        proportional: Default::default(),
    };
    let about = About { host: "many".to_owned(), kernel: "6.12".to_owned(), time: SystemTime::UNIX_EPOCH };
    let page = Page::new(about, &window, Tracing::failed(Vec::new(), ""), None);
    assert!(page.processes.left_out == 0 && page.cgroups.left_out > 90_000, "{page:?}");
    assert!(window.processes().iter().all(|row| row.growth == 0), "who was not read has not grown");
    assert!(window.commands().iter().all(|command| command.growth <= 0));
    let text = terminal::text(&documents::triage::ticket(&page), Frame::wide(80), Style::Plain);
    let foot: Vec<&str> = text.lines().filter(|line| line.contains("not read")).collect();
    insta::assert_snapshot!(foot.join("\n"));
}
