//! What to do about a finding: now, for good, what to watch, and how to check it by hand.

use super::{
    sum::Part,
    suspect::{Filling, Finding, Kind},
};
use crate::procfs::slab::printable;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    pub now: Vec<String>,
    pub for_good: Vec<String>,
    pub watch: Vec<String>,
    /// A command, and what it tells.
    pub by_hand: Vec<(String, &'static str)>,
}

/// Said wherever somebody may think of it.
const DROP_CACHES: &str = "The last resort is `sync; echo 2 > /proc/sys/vm/drop_caches`: it drops all dentries and inodes that \
    nobody uses, so the host reads them anew from disk, and it can hold CPUs for minutes where there are many. It frees nothing \
    that is in use and mends no cause. memtrace never does it.";

/// For the suspect; for nobody where there is none.
pub fn advise(suspect: Option<&Finding>) -> Advice {
    let Some(finding) = suspect else { return nothing() };
    match finding.kind {
        Kind::Processes => processes(finding),
        Kind::Shared => shared(),
        Kind::PageCache => page_cache(),
        Kind::Slab(filling) => slab(finding, filling),
        Kind::Kernel(part) => kernel(part),
    }
}

fn nothing() -> Advice {
    Advice {
        watch: texts(&["Run it again while memory rises, with a longer window: memtrace triage -d 5m"]),
        by_hand: vec![
            command("cat /proc/meminfo", "MemAvailable is what programs can have; MemFree says little"),
            command("vmstat 1", "si and so: swapping; wa: waiting for disks"),
            command("slabtop -o -s c", "slab caches by size"),
            command("ps aux --sort -rss | head", "processes by memory"),
        ],
        ..Advice::default()
    }
}

fn processes(finding: &Finding) -> Advice {
    let pid = finding.commands.first().and_then(|command| command.pid);
    let pid = pid.map_or("PID".to_owned(), |pid| pid.to_string());
    Advice {
        now: texts(&["If memory runs out, restart it in good order before the OOM killer chooses for you; \
             /proc/PID/oom_score tells whom it would take."]),
        for_good: texts(&[
            "Give it a limit: MemoryMax= and MemoryHigh= of its systemd unit, or the container's.",
            "Find the leak with the program's own means: a heap profile (jemalloc, pprof), heap dumps of a JVM.",
        ]),
        watch: texts(&["Its memory.current in /sys/fs/cgroup, and memory.events for `high` and `oom_kill`"]),
        by_hand: vec![
            command(&format!("cat /proc/{pid}/smaps_rollup"), "Pss: its part; Anonymous: its own"),
            command(&format!("pmap -x {pid} | sort -nk3 | tail"), "its biggest areas"),
            command("ps aux --sort -rss | head", "processes by memory, shared parts counted in each"),
        ],
    }
}

fn shared() -> Advice {
    Advice {
        now: texts(&[
            "Delete what nobody needs in tmpfs; a deleted file that a process has open stays.",
            "It is not given back under pressure, only swapped.",
        ]),
        for_good: texts(&[
            "Give each tmpfs a size (mount -o remount,size=2G /dev/shm), and containers a limit: what they write to tmpfs counts as \
             theirs.",
        ]),
        watch: texts(&["Shmem in /proc/meminfo"]),
        by_hand: vec![
            command("df -t tmpfs -h", "what is in each tmpfs; not those of containers"),
            command("ipcs -mp", "System V segments, and who made them"),
            command(
                "ls -l /proc/*/fd 2>/dev/null | grep -E 'memfd:|/dev/shm|deleted'",
                "memfds, and files that are deleted and open",
            ),
            command("grep -H RssShmem /proc/*/status | sort -nk2 | tail", "who has it mapped"),
        ],
    }
}

fn page_cache() -> Advice {
    Advice {
        now: texts(&[
            "Nothing, as a rule: it is files that were read or written, and is given back when programs need memory. It counts in \
             MemAvailable.",
            "`echo 1 > /proc/sys/vm/drop_caches` would only have the disks read all of it again. memtrace never does it.",
        ]),
        for_good: texts(&[
            "If a backup or a copy pushes out what others use, run it in a cgroup with MemoryHigh=, or with O_DIRECT or nocache.",
        ]),
        watch: texts(&[
            "workingset_refault_file in /proc/vmstat: pages that were pushed out and read again",
            "/proc/pressure/memory",
        ]),
        by_hand: vec![
            command("cat /proc/meminfo", "Cached less Shmem is files; Dirty waits for the disk"),
            command("vmstat 1", "bi, bo: blocks read and written"),
            command("pidstat -d 1", "which process reads and writes"),
        ],
    }
}

fn slab(finding: &Finding, filling: Filling) -> Advice {
    // Without slabinfo nobody knows which.
    let cache = finding.caches.first().map_or("all".to_owned(), |cache| quoted(&cache.name));
    let (now, for_good): (&[&str], &[&str]) = match filling {
        Filling::NegativeDentries | Filling::Dentries => (
            &[
                "Stop or slow down whoever looks the names up. The trace above names it, or `memtrace -c dentry`.",
                DROP_CACHES,
            ],
            &[
                "Mend the caller: one that looks up names that do not exist, a new one each time, fills memory with them. curl with \
                 old NSS does (export NSS_SDB_USE_CACHE=yes).",
                "A cgroup limit (MemoryHigh=) on the caller makes the kernel give its dentries back early; \
                 vm.vfs_cache_pressure above 100 does so on the whole host.",
            ],
        ),
        Filling::Inodes => (
            &[
                "Find who walks through so many files (find, backup, du, indexers), and whether it has to.",
                DROP_CACHES,
            ],
            &[
                "vm.vfs_cache_pressure above 100 has the kernel give inodes back sooner; a cgroup limit on the walker does it there only.",
            ],
        ),
        Filling::Files => (
            &[
                "Find the process with too many open files and restart it: closing them is the only way to free this memory.",
            ],
            &[
                "Mend the leak, and give it a limit that stops it in time (LimitNOFILE= of its unit, ulimit -n).",
            ],
        ),
        Filling::Sockets => (
            &[
                "Find the process with too many sockets and restart it: closing them is the only way to free this memory.",
            ],
            &[
                "Mend the leak: connections that are never closed, pools without a bound. LimitNOFILE= stops it in time.",
            ],
        ),
        Filling::Kmalloc | Filling::Cache => (
            &[
                "Find who allocates: by the trace above, or with `memtrace -c`. Only its freeing gives unreclaimable memory back; \
               drop_caches does not.",
            ],
            &[
                "If the kernel itself or a driver leaks, look for a fixed kernel, and report the cache and the call site.",
            ],
        ),
    };
    Advice {
        now: texts(now),
        for_good: texts(for_good),
        watch: vec![
            "`memtrace caches --sort growth -i 10s`: which caches grow, and how fast".to_owned(),
            "SReclaimable and SUnreclaim in /proc/meminfo: the first is given back under pressure".to_owned(),
        ],
        by_hand: slab_by_hand(filling, &cache),
    }
}

fn slab_by_hand(filling: Filling, cache: &str) -> Vec<(String, &'static str)> {
    let mut commands = vec![
        command(&format!("memtrace explain {cache}"), "what lives in it, and what usually fills it"),
        command(&format!("sudo memtrace -c {cache}"), "who allocates and keeps"),
        command("slabtop -o -s c", "slab caches by size"),
    ];
    if cache == "all" {
        commands.remove(0);
    }
    commands.extend(match filling {
        Filling::NegativeDentries | Filling::Dentries => {
            vec![command("cat /proc/sys/fs/dentry-state", "all, unused, -, -, negative")]
        }
        Filling::Inodes => vec![command("cat /proc/sys/fs/inode-nr", "all, unused")],
        Filling::Files => vec![
            command("cat /proc/sys/fs/file-nr", "open files, -, most"),
            command(
                "for p in /proc/[0-9]*; do echo $(ls $p/fd | wc -l) $p; done | sort -n | tail",
                "who has most open",
            ),
        ],
        Filling::Sockets => vec![
            command("ss -s", "sockets by kind"),
            command(
                "for p in /proc/[0-9]*; do echo $(ls -l $p/fd | grep -c socket:) $p; done | sort -n | tail",
                "who has most",
            ),
        ],
        Filling::Kmalloc | Filling::Cache => vec![command(
            "ipcs -u; cat /proc/key-users",
            "System V messages and keys: two that are easily forgotten",
        )],
    });
    commands
}

fn kernel(part: Part) -> Advice {
    let (now, for_good, commands): (&[&str], &[&str], Vec<_>) = match part {
        Part::PageTables => (
            &[
                "Find the processes with most page tables: many of them that map the same large shared memory, mostly.",
            ],
            &[
                "Huge pages for shared memory take a 512th of the page tables; fewer processes (a connection pool) help too.",
            ],
            vec![command("grep -H VmPTE /proc/*/status | sort -nk2 | tail", "page tables by process")],
        ),
        Part::KernelStacks => (
            &["Count the threads: each has 16 KiB of kernel stack."],
            &["Bound the thread pools, and give units a TasksMax=."],
            vec![command("ps -eo nlwp,pid,comm --sort nlwp | tail", "processes by threads")],
        ),
        Part::PerCpu => (
            &[
                "Cgroups that are gone and still held, network interfaces and BPF maps have a part on each CPU.",
            ],
            &["Find out who makes so many cgroups, or such large maps."],
            vec![
                command("cat /proc/cgroups", "how many cgroups there are, gone ones included"),
                command("bpftool map", "BPF maps"),
            ],
        ),
        Part::Vmalloc => (
            &["The kernel says for whom it is: modules, BPF, filesystems, large tables."],
            &["Unload or update what grows."],
            vec![command(
                "sort -nk2 /proc/vmallocinfo | tail",
                "its areas by size, with the function that asked",
            )],
        ),
        Part::HugePages => (
            &["Somebody raised the number of huge pages; they are set aside whether used or not."],
            &["Set vm.nr_hugepages to what is used."],
            vec![command("grep -i huge /proc/meminfo", "HugePages_Free: set aside for nothing")],
        ),
        Part::Compressed => (
            &[
                "It is swap in memory, compressed: what fills it is the processes' memory that was swapped out.",
            ],
            &["Give processes limits, or the host more memory."],
            vec![command("zramctl; grep -i zswap /proc/meminfo", "how much it holds, and in how much")],
        ),
        _ => (
            &[
                "No counter says whose it is: drivers (network rings, GPUs), rings of BPF and perf, balloons of the hypervisor, and \
               leaks of pages.",
            ],
            &[
                "Compare with the last kernel or driver; boot with page_owner=on to have each page's owner listed.",
            ],
            vec![
                command("cat /proc/net/sockstat", "TCP: mem is in pages"),
                command("bpftool map", "BPF maps; rings are the large ones"),
                command("grep -i balloon /proc/meminfo", "what the hypervisor took"),
                command(
                    "cat /proc/allocinfo | sort -g | tail",
                    "by code line, with CONFIG_MEM_ALLOC_PROFILING",
                ),
            ],
        ),
    };
    let mut by_hand = commands;
    by_hand.push(command("cat /proc/meminfo", "all parts"));
    Advice {
        now: texts(now),
        for_good: texts(for_good),
        watch: vec![format!("It again in a longer window: memtrace triage -d 5m ({})", part.name())],
        by_hand,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn command(command: &str, tells: &'static str) -> (String, &'static str) {
    (command.to_owned(), tells)
}

/// A cache's name as a shell takes it. Modules may give their caches any name.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:+".contains(c);
    let name = printable(name);
    if name.chars().all(is_plain) { name.into_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}
