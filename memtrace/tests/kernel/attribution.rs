//! Whose memory it is: who started the process, its cgroup, the place in the kernel.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
};

use crate::{
    Test,
    cgroup::Cgroup,
    host::{self, directory_on_disk},
    objects::cache_of_512_bytes,
    program::{self, NameStyle, Task, requests},
    session::Session,
    snapshot::{Row, Snapshot},
    tests,
    workload::{Workload, unique},
};

pub fn tests() -> Vec<Test> {
    let mut tests = tests![Tracing, EachKernel:
        threads_fold_into_their_process,
        rows_by_call_site_name_a_function,
        rows_by_gfp_name_what_was_asked_for,
        rows_by_context_tell_workers_of_io_uring,
        stacks_lead_from_the_program_to_the_allocation,
        a_process_that_was_there_before_has_its_command_line,
    ];
    tests.extend(tests![Tracing, SeveralNodes: numa_objects_are_on_the_node_of_their_cpu]);
    tests.extend(tests![Disk, EachKernel:
        short_lived_processes_are_one_row_with_one_chain,
        stacks_of_processes_that_are_gone,
        a_cgroup_keeps_its_name_when_it_is_removed,
    ]);
    tests.extend(tests![OwnMachine, EachKernel: a_number_that_is_used_again_is_another_process]);
    tests
}

fn threads_fold_into_their_process() {
    let [main, reader, writer] = ["main", "read", "write"].map(unique);
    let threads = Task::Threads(vec![(reader.clone(), 700), (writer.clone(), 300)]);
    let mut threads = Workload::start(&main, &threads);
    let mut session = Session::start(&["--cache", "filp"]);
    threads.go();
    session.until_objects(&main, 1000);
    let last = session.interrupt();
    assert_eq!(last.row(&main).pid, Some(threads.pid()));
    assert_eq!([&reader, &writer].map(|thread| last.objects(thread)), [0, 0]);
}

/// They run at the same time and preempt each other, on some kernels also in a probe.
fn short_lived_processes_are_one_row_with_one_chain() {
    // Where somebody else's curl runs, another name does as well.
    let leaker = if host::is_running("curl") { unique("curl") } else { "curl".to_owned() };
    let starter = unique("start");
    let disk = directory_on_disk();
    let within = disk.path().to_owned();
    let task = Task::ShortLived { comm: leaker.clone(), within, processes: 300, lookups: 20 };
    let mut flood = Workload::start(&starter, &task);
    let [by_comm, by_ancestors] =
        ["comm", "ancestors"].map(|by| Session::start(&["--cache", "dentry", "--comm", &leaker, "--by", by]));
    flood.go();
    let last = by_comm.interrupt();
    let row = last.row(&leaker);
    assert_eq!((row.objects, row.processes), (300 * 20, 300));
    assert_eq!((last.rows.len(), row.pid), (1, None));
    let last = by_ancestors.interrupt();
    assert_eq!(last.rows.len(), 1, "{last}");
    let row = &last.rows[0];
    assert_eq!((row.objects, row.processes), (300 * 20, 300), "{last}");
    // We started the one that started them.
    let own = fs::read_to_string("/proc/self/comm").expect("we have a name");
    let chain = format!("{leaker} < {starter} < {}", own.trim_end());
    assert!(row.key == chain || row.key.starts_with(&format!("{chain} < ")), "{}, not {chain}", row.key);
    assert_eq!(row.started_by.len(), 1, "{row:?}");
    assert_eq!(
        (row.started_by[0].comms[0].as_str(), row.started_by[0].objects),
        (starter.as_str(), 300 * 20)
    );
}

fn a_process_that_was_there_before_has_its_command_line() {
    let comm = unique("files");
    let mut files = Workload::start(&comm, &Task::OpenFiles(300));
    let mut session = Session::start(&["--cache", "filp", "--comm", &comm]);
    files.go();
    let report = session.until_objects(&comm, 300);
    let process = report.row(&comm).process.expect("it is known");
    let program = std::env::current_exe().expect("/proc is mounted");
    assert_eq!(process.program.as_deref(), program.to_str());
    assert!(process.command_line.is_some_and(|line| line.contains(&comm)), "{report}");
    assert!(!process.ended);
    files.end();
    session.until("its end is seen", |report| {
        report.row(&comm).process.is_none_or(|process| process.ended) || report.objects(&comm) == 0
    });
    session.interrupt();
}

/// By the tracepoints, which tell the place on every kernel.
fn rows_by_call_site_name_a_function() {
    let comm = unique("sites");
    let mut files = Workload::start(&comm, &Task::OpenFiles(500));
    let filters = ["--cache", "filp", "--comm", &comm, "--avoid", "trampolines"];
    let mut session = Session::start(&[&filters[..], &["--by", "callsite,cache"]].concat());
    files.go();
    let is_there = |report: &Snapshot| report.rows.iter().map(|row| row.objects).sum::<u64>() == 500;
    let last = session.until("500 objects", is_there);
    session.interrupt();
    let [row] = &last.rows[..] else { panic!("{last}") };
    let site = row.call_site.as_ref().unwrap_or_else(|| panic!("{last}"));
    let symbol = site.symbol.as_deref().unwrap_or_else(|| panic!("{last}"));
    // alloc_empty_file, or __alloc_file before it was split.
    assert!(symbol.contains("alloc") && symbol.contains("file+0x"), "{symbol}");
    assert_eq!(row.key, format!("{symbol}, filp"));
}

fn rows_by_gfp_name_what_was_asked_for() {
    const UNDOS: u64 = 3000;
    let [opens, undoes] = ["opens", "undoes"].map(unique);
    let undos = Task::Undos(UNDOS as usize);
    let cache = cache_of_512_bytes(&undos, UNDOS);
    let mut files = Workload::start(&opens, &Task::OpenFiles(500));
    let mut undos = Workload::start(&undoes, &undos);
    let filters = ["--cache", "filp", "--cache", &cache, "--comm", &opens, "--comm", &undoes];
    let mut session = Session::start(&[&filters[..], &["--by", "comm,cache,gfp"]].concat());
    files.go();
    undos.go();
    // Besides these, a program may allocate something with other flags.
    let names = |report: &Snapshot, comm: &str, cache: &str, objects| {
        let is_it = |row: &&Row| row.key.starts_with(&format!("{comm}, {cache}")) && row.objects >= objects;
        let row = report.rows.iter().find(is_it)?;
        let names = row.gfp.as_ref().and_then(|gfp| gfp.names.clone()).unwrap_or_else(|| panic!("{report}"));
        assert!(row.key.ends_with(&format!(", {names}")), "{report}");
        Some(names)
    };
    session.until("all", |report| {
        names(report, &opens, "filp", 500).is_some() && names(report, &undoes, &cache, UNDOS).is_some()
    });
    let last = session.interrupt();
    // Kernels differ in who zeroes it.
    let of_files = names(&last, &opens, "filp", 500).unwrap_or_else(|| panic!("{last}"));
    assert!(["GFP_KERNEL", "GFP_KERNEL|__GFP_ZERO"].contains(&&*of_files), "{last}");
    // And in whether it is charged to a cgroup.
    let of_undos = names(&last, &undoes, &cache, UNDOS).unwrap_or_else(|| panic!("{last}"));
    assert!(["GFP_KERNEL|__GFP_ZERO", "GFP_KERNEL_ACCOUNT|__GFP_ZERO"].contains(&&*of_undos), "{last}");
}

/// What a process opens itself, and what it lets io_uring open.
fn rows_by_context_tell_workers_of_io_uring() {
    let comm = unique("asks");
    let mut files = Workload::start(&comm, &Task::OpenFiles(300));
    let mut worker = Workload::start(&comm, &Task::OpenByWorkers);
    let mut session = Session::start(&["--cache", "filp", "--comm", &comm, "--by", "context,comm"]);
    files.go();
    worker.go();
    let asked = u64::from(requests::AT_ONCE);
    // Some kernels merge the cache of requests, which the process makes itself, with that of files.
    let keys =
        [("process", "process", 300..=300 + asked), ("io_uring worker", "io-uring-worker", asked..=asked)];
    let are_there = |report: &Snapshot| {
        keys.iter().all(|(key, context, objects)| {
            let row = report.row(&format!("{key}, {comm}"));
            objects.contains(&row.objects) && row.context.as_deref() == Some(*context)
        })
    };
    session.until("objects of both", are_there);
    let last = session.interrupt();
    assert!(are_there(&last) && last.rows.len() == 2, "{last}");
}

/// A program that runs on one CPU gets memory of that CPU's node, but for some objects that lay about.
fn numa_objects_are_on_the_node_of_their_cpu() {
    const FILES: u64 = 3000;
    let nodes = host::cpus_by_node();
    if let Some(expected) = host::expected_nodes() {
        assert_eq!(nodes.len(), expected, "{nodes:?}");
    }
    for (node, cpu) in &nodes {
        let comm = unique("node");
        let mut files = Workload::start(&comm, &Task::OpenFiles(FILES as usize));
        host::keep_on(files.pid(), *cpu);
        let mut session = Session::start(&["--cache", "filp", "--comm", &comm, "--by", "node,comm"]);
        files.go();
        session
            .until("all objects", |report| report.rows.iter().map(|row| row.objects).sum::<u64>() == FILES);
        let last = session.interrupt();
        let row = last.row(&format!("{node}, {comm}"));
        assert_eq!(row.node, Some(*node), "{last}");
        let least = if nodes.len() == 1 { FILES } else { FILES / 10 * 9 };
        assert!(row.objects >= least, "{last}");
    }
}

/// By the tracepoints, since a trampoline is on the stack itself.
fn stacks_lead_from_the_program_to_the_allocation() {
    let comm = unique("stacks");
    let mut files = Workload::start(&comm, &Task::OpenFiles(1000));
    let arguments = ["--cache", "filp", "--comm", &comm, "--avoid", "trampolines", "--stacks", "both"];
    let mut session = Session::start(&arguments);
    files.go();
    let row = session.until_objects(&comm, 1000).row(&comm);
    let last = session.interrupt();
    assert_eq!(last.objects(&comm), 1000, "objects with and without stacks are one row");
    // One in 32, by their addresses, which lie as they lie.
    assert!((8..=100).contains(&row.stacked_objects), "{} of 1000", row.stacked_objects);
    let stack = row.stacks.first().unwrap_or_else(|| panic!("{last}"));
    let at = |what: &dyn Fn(&str) -> bool| stack.frames.iter().position(|frame| what(frame));
    // The kernel opens a file, for a program that is this one.
    let open = at(&|frame| frame.contains("open") && !frame.contains('['));
    let ours = at(&is_in_program);
    assert!(open.is_some() && ours.is_some() && open < ours, "{:?}", stack.frames);
    assert_eq!(
        row.stacks.iter().map(|stack| stack.objects).sum::<u64>(),
        row.stacked_objects,
        "{:?}",
        row.stacks
    );
}

/// Statically linked or not.
fn is_in_program(frame: &str) -> bool {
    ["[libc", "[kernel", "kernel-"].iter().any(|file| frame.contains(file))
}

/// The kernel tells the file of each call while the process is there, and another process that runs the same program what
/// that file is.
fn stacks_of_processes_that_are_gone() {
    const PROCESSES: usize = 100;
    let [comm, other] = ["brief", "stays"].map(unique);
    let disks = [(); 2].map(|()| directory_on_disk());
    let stays = Task::NegativeDentries {
        within: disks[0].path().to_owned(),
        count: 1000,
        names: NameStyle::DoesNotExist,
    };
    let brief = Task::ShortLived {
        comm: comm.clone(),
        within: disks[1].path().to_owned(),
        processes: PROCESSES,
        lookups: 50,
    };
    let [mut stays, mut brief] =
        [(&other, stays), (&unique("starts"), brief)].map(|(comm, task)| Workload::start(comm, &task));
    let arguments = [
        "--cache",
        "dentry",
        "--comm",
        &comm,
        "--comm",
        &other,
        "--avoid",
        "trampolines",
        "--stacks",
        "user",
    ];
    let mut session = Session::start(&arguments);
    stays.go();
    session.until_objects(&other, 1000);
    brief.go();
    session.until_objects(&comm, (PROCESSES * 50) as u64);
    let last = session.interrupt();
    let row = last.row(&comm);
    let (all, known) = row.stacks.iter().fold((0, 0), |(all, known), stack| {
        let is_known = stack.frames.iter().any(|frame| is_in_program(frame));
        (all + stack.objects, known + if is_known { stack.objects } else { 0 })
    });
    // A few are made while the kernel changes the process's memory, and is not to be asked.
    assert!(all > 20 && known * 10 >= all * 9, "{known} of {all}: {last}");
}

fn a_cgroup_keeps_its_name_when_it_is_removed() {
    let [comm, name] = ["names", "group"].map(unique);
    let cgroup = Cgroup::new(&name);
    let disk = directory_on_disk();
    let task = Task::NegativeDentries {
        within: disk.path().to_owned(),
        count: 1000,
        names: NameStyle::DoesNotExist,
    };
    let mut names = Workload::start(&comm, &task);
    cgroup.add(names.pid());
    let mut session = Session::start(&["--cache", "dentry", "--by", "cgroup,comm", "--comm", &comm]);
    names.go();
    let path = format!("/{name}");
    let is_there = |report: &Snapshot| {
        report.rows.iter().any(|row| {
            row.objects == 1000 && row.cgroups[0].path.as_deref().is_some_and(|it| it.ends_with(&path))
        })
    };
    session.until("1000 objects of the cgroup", is_there);
    // Its process goes elsewhere, so that it can be removed.
    cgroup.leave(names.pid());
    cgroup.remove();
    let last = session.interrupt();
    assert!(is_there(&last), "{last}");
    assert!(last.rows[0].key.ends_with(&format!("{name}, {comm}")), "{last}");
}

/// Starts a process that looks up names in a directory, and waits for its end. Returns its number.
fn look_up(comm: &str, directory: &Path, first: usize) -> u32 {
    let task = Task::LookUp { directory: directory.to_owned(), first, count: 50 };
    let mut child: Child = command(comm, &task).spawn().expect("this binary starts again");
    let pid = child.id();
    assert!(child.wait().expect("it is our child").success());
    pid
}

fn command(comm: &str, task: &Task) -> Command {
    program::command(comm.as_bytes(), task)
}

fn a_number_that_is_used_again_is_another_process() {
    let comm = unique("again");
    let disk = directory_on_disk();
    let session = Session::start(&["--cache", "dentry", "--by", "pid", "--comm", &comm]);
    let pid = look_up(&comm, disk.path(), 0);
    // The kernel gives the next number; another process may be quicker.
    let is_again = (1..10).any(|round| {
        fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("the machine is ours");
        look_up(&comm, disk.path(), round * 50) == pid
    });
    assert!(is_again, "somebody else always was quicker");
    let last = session.interrupt();
    let rows: Vec<&Row> = last.rows.iter().filter(|row| row.pid == Some(pid)).collect();
    assert_eq!(rows.iter().map(|row| row.objects).collect::<Vec<_>>(), [50, 50], "{last}");
}
