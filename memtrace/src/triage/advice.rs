//! What to do about a candidate: now, for good, what to watch, and how to check it by hand.

use super::{
    filling::Filling,
    sum::Part,
    suspect::{Candidate, Kind},
    window::CacheRow,
};
use crate::{
    knowledge::caches::{self, Reclaim},
    procfs::slab::printable,
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    pub now: Vec<String>,
    pub for_good: Vec<String>,
    pub watch: Vec<String>,
    /// A command, and what it shows.
    pub by_hand: Vec<(String, &'static str)>,
}

/// Given wherever a reader may think of it.
const DROP_CACHES: &str = "As a last resort, `sync; echo 2 > /proc/sys/vm/drop_caches` drops unused dentries and inodes. With many of \
    them it blocks CPUs for minutes, what is still needed is read from disk again, and the cause stays. memtrace never does it.";

/// For the suspect, or general advice where there is none.
pub fn advise(suspect: Option<&Candidate>) -> Advice {
    let Some(candidate) = suspect else { return nothing_found() };
    match candidate.kind {
        Kind::Processes => processes(candidate),
        Kind::Shared => shared(),
        Kind::PageCache => page_cache(),
        Kind::Slab(filling) => slab(candidate, filling),
        Kind::Kernel(part) => kernel(part),
        Kind::Cgroup => cgroup(),
    }
}

fn nothing_found() -> Advice {
    Advice {
        watch: strings(&["Run it again while memory rises, with a longer window: memtrace triage -d 5m"]),
        by_hand: vec![
            command(
                "cat /proc/meminfo",
                "MemAvailable is what programs can still get; MemFree alone says little",
            ),
            command("vmstat 1", "si and so: swapping; wa: waiting for disks"),
            command("slabtop -o -s c", "slab caches by size"),
            command("ps aux --sort -rss | head", "processes by memory"),
        ],
        ..Advice::default()
    }
}

fn processes(candidate: &Candidate) -> Advice {
    let pid = candidate.commands.first().and_then(|command| command.pid);
    let pid = pid.map_or("PID".to_owned(), |pid| pid.to_string());
    Advice {
        now: strings(&["If memory runs out, restart it gracefully before the OOM killer picks a victim; \
             /proc/PID/oom_score shows which process it would be."]),
        for_good: strings(&[
            "Set a limit: MemoryMax= and MemoryHigh= of its systemd unit, or the container's memory limit.",
            "Find the leak with the program's own tools: a heap profile (jemalloc, pprof), or a heap dump of a JVM.",
        ]),
        watch: strings(&[
            "memory.current of its cgroup in /sys/fs/cgroup, and `high` and `oom_kill` in memory.events",
        ]),
        by_hand: vec![
            command(&format!("cat /proc/{pid}/smaps_rollup"), "Pss: its share; Anonymous: its own memory"),
            command(&format!("pmap -x {pid} | sort -nk3 | tail"), "its largest mappings"),
            command("ps aux --sort -rss | head", "processes by memory; shared memory counts in each"),
        ],
    }
}

fn cgroup() -> Advice {
    Advice {
        now: strings(&[
            "Raise the limit, or restart what is in the cgroup: at memory.max the kernel kills one of its processes, at \
             memory.high it slows them down.",
        ]),
        for_good: strings(&["Find out what its processes need, and set the limit above that."]),
        watch: strings(&[
            "`high`, `max` and `oom_kill` in memory.events of the cgroup, and its memory.pressure",
        ]),
        by_hand: vec![
            command("systemd-cgtop -m", "cgroups by memory"),
            command("grep . memory.current memory.max memory.high", "in its directory below /sys/fs/cgroup"),
            command("grep -E '^(anon|file|shmem|slab)' memory.stat", "what it uses: processes, files, slab"),
        ],
    }
}

fn shared() -> Advice {
    Advice {
        now: strings(&[
            "Delete files in tmpfs that are no longer needed. A deleted file that a process has open keeps its memory.",
            "Under pressure this memory is swapped, not freed.",
        ]),
        for_good: strings(&[
            "Limit the size of each tmpfs (mount -o remount,size=2G /dev/shm), and the memory of containers: what they write to tmpfs \
             is charged to them.",
        ]),
        watch: strings(&["Shmem in /proc/meminfo"]),
        by_hand: vec![
            command("df -t tmpfs -h", "use of each tmpfs, except those of containers"),
            command("ipcs -mp", "System V segments, and their creators"),
            command(
                "ls -l /proc/*/fd 2>/dev/null | grep -E 'memfd:|/dev/shm|deleted'",
                "memfds, and deleted files that are still open",
            ),
            command("grep -H RssShmem /proc/*/status | sort -nk2 | tail", "processes that have it mapped"),
        ],
    }
}

fn page_cache() -> Advice {
    Advice {
        now: strings(&[
            "Usually nothing: these are files that were read or written. The kernel frees them when programs need memory, and counts \
             them in MemAvailable.",
            "`echo 1 > /proc/sys/vm/drop_caches` would only make the host read them from disk again. memtrace never does it.",
        ]),
        for_good: strings(&[
            "If a backup or copy evicts pages that others use, run it in a cgroup with MemoryHigh=, or with O_DIRECT or nocache.",
        ]),
        watch: strings(&[
            "workingset_refault_file in /proc/vmstat: evicted pages that were read again",
            "/proc/pressure/memory",
        ]),
        by_hand: vec![
            command("cat /proc/meminfo", "Cached minus Shmem is files; Dirty still has to be written"),
            command("vmstat 1", "bi, bo: blocks read and written"),
            command("pidstat -d 1", "which processes read and write"),
        ],
    }
}

fn slab(candidate: &Candidate, filling: Filling) -> Advice {
    // Without slabinfo the cache is unknown.
    let cache = candidate.caches.first().map_or("all".to_owned(), |cache| quoted(&cache.name));
    Advice {
        now: slab_now(candidate, filling),
        for_good: slab_for_good(candidate, filling),
        watch: strings(&[
            "`memtrace caches --sort growth -i 10s`: which caches grow, and how fast",
            "SReclaimable and SUnreclaim in /proc/meminfo: the kernel frees only the first under pressure",
        ]),
        by_hand: slab_by_hand(filling, &cache),
    }
}

fn slab_now(candidate: &Candidate, filling: Filling) -> Vec<String> {
    let is_known = !candidate.claims.is_empty();
    let restart = |what| match is_known {
        true => format!("End or restart it: only closing its {what} frees this memory."),
        false => format!(
            "Find the process with too many {what}, and restart it: only closing them frees this memory."
        ),
    };
    match filling {
        Filling::NegativeDentries => {
            strings(&["Stop or slow down the program that looks up names that do not exist.", DROP_CACHES])
        }
        Filling::Dentries => {
            strings(&["Stop or slow down the program that looks up so many names.", DROP_CACHES])
        }
        Filling::Inodes => strings(&[
            "Find the program that walks so many files (find, backup, du, an indexer), and decide whether it has to.",
            DROP_CACHES,
        ]),
        Filling::Files => vec![restart("open files")],
        Filling::Sockets => vec![restart("sockets")],
        Filling::Kmalloc | Filling::Cache => {
            let goes = candidate.caches.first().map_or(GOES_WITH_OWNER, how_it_goes);
            let find = if is_known {
                "End or restart it."
            } else {
                "Find the program that holds the objects, and restart it."
            };
            vec![format!("{find} {goes}")]
        }
    }
}

const GOES_WITH_OWNER: &str =
    "The kernel cannot take this memory back: it goes when its owner frees it. drop_caches does not help.";
const GOES_UNDER_PRESSURE: &str = "The kernel takes this memory back when programs need it.";

/// By what is known of the cache, else by what sysfs says.
fn how_it_goes(cache: &CacheRow) -> &'static str {
    match (caches::find(&cache.name).map(|entry| entry.reclaim), cache.reclaimable) {
        (Some(Reclaim::Pressure), _) | (None, Some(true)) => GOES_UNDER_PRESSURE,
        _ => GOES_WITH_OWNER,
    }
}

fn slab_for_good(candidate: &Candidate, filling: Filling) -> Vec<String> {
    let limits = "A memory limit (MemoryHigh=) on the caller's cgroup makes the kernel reclaim its dentries early. \
         vm.vfs_cache_pressure above 100 makes it prefer dentries and inodes on the whole host.";
    match filling {
        Filling::NegativeDentries => strings(&[
            "Fix the caller: a program that keeps looking up new names that do not exist fills memory with them. curl with an old NSS \
             does (set NSS_SDB_USE_CACHE=yes in its environment).",
            limits,
        ]),
        Filling::Dentries | Filling::Inodes => strings(&[limits]),
        Filling::Files => strings(&[
            "Fix the leak, and set a limit that stops it in time (LimitNOFILE= of its unit, or ulimit -n).",
        ]),
        Filling::Sockets => strings(&[
            "Fix the leak: connections that are never closed, or a pool without a limit. LimitNOFILE= stops it in time.",
        ]),
        Filling::Kmalloc | Filling::Cache => {
            let entry = candidate.caches.first().and_then(|cache| caches::find(&cache.name));
            let helps =
                entry.map_or(&[][..], |entry| &entry.helps).iter().map(|help| help.as_str().to_owned());
            helps.chain(strings(&["If the kernel or a driver leaks, look for a kernel with the fix, and report the cache and the \
                 call site."])).collect()
        }
    }
}

fn slab_by_hand(filling: Filling, cache: &str) -> Vec<(String, &'static str)> {
    let mut commands = vec![
        command(&format!("memtrace explain {cache}"), "what it holds, and what usually fills it"),
        command(&format!("sudo memtrace -c {cache}"), "who allocates and keeps the objects"),
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
            command("cat /proc/sys/fs/file-nr", "open files, -, maximum"),
            command(
                "for p in /proc/[0-9]*; do echo $(ls $p/fd | wc -l) $p; done | sort -n | tail",
                "processes with the most open files",
            ),
        ],
        Filling::Sockets => vec![
            command("ss -s", "sockets by kind"),
            command(
                "for p in /proc/[0-9]*; do echo $(ls -l $p/fd | grep -c socket:) $p; done | sort -n | tail",
                "processes with the most sockets",
            ),
        ],
        Filling::Kmalloc | Filling::Cache => vec![command(
            "ipcs -u; cat /proc/key-users",
            "System V messages and keys, which are easily forgotten",
        )],
    });
    commands
}

/// For a part of the kernel's memory: what to do now, for good, and how to check it.
type KernelAdvice = (&'static str, &'static str, Vec<(String, &'static str)>);

fn kernel(part: Part) -> Advice {
    let (now, for_good, mut by_hand) = match part {
        Part::PageTables | Part::KernelStacks => of_processes(part),
        Part::PerCpu | Part::Vmalloc => of_kernel_users(part),
        Part::HugePages | Part::Compressed => set_aside(part),
        _ => unaccounted(),
    };
    by_hand.push(command("cat /proc/meminfo", "all parts"));
    Advice {
        now: strings(&[now]),
        for_good: strings(&[for_good]),
        watch: vec![format!("Run it again with a longer window: memtrace triage -d 5m ({})", part.name())],
        by_hand,
    }
}

fn of_processes(part: Part) -> KernelAdvice {
    if part == Part::PageTables {
        return (
            "Find the processes with the most page tables. Usually many of them map the same large shared memory.",
            "Huge pages for shared memory need 512 times fewer page tables. Fewer processes (a connection pool) help too.",
            vec![command("grep -H VmPTE /proc/*/status | sort -nk2 | tail", "page tables by process")],
        );
    }
    (
        "Count the threads: each has a kernel stack of 16 KiB.",
        "Limit the thread pools, and set TasksMax= of the units.",
        vec![command("ps -eo nlwp,pid,comm --sort nlwp | tail", "processes by threads")],
    )
}

fn of_kernel_users(part: Part) -> KernelAdvice {
    if part == Part::PerCpu {
        return (
            "Removed cgroups that something still references, network interfaces and BPF maps all use memory on each CPU.",
            "Find out what creates so many cgroups, or such large maps.",
            vec![
                command("cat /proc/cgroups", "number of cgroups, removed ones included"),
                command("bpftool map", "BPF maps"),
            ],
        );
    }
    (
        "The kernel lists what uses it: modules, BPF, filesystems, large tables.",
        "Unload or update what grows.",
        vec![command(
            "sort -nk2 /proc/vmallocinfo | tail",
            "areas by size, with the function that allocated them",
        )],
    )
}

fn set_aside(part: Part) -> KernelAdvice {
    if part == Part::HugePages {
        return (
            "Someone raised the number of huge pages. They are reserved whether they are used or not.",
            "Set vm.nr_hugepages to the number in use.",
            vec![command("grep -i huge /proc/meminfo", "HugePages_Free: reserved but unused")],
        );
    }
    (
        "This is compressed swap in memory: memory of processes that was swapped out fills it.",
        "Limit the memory of processes, or add memory to the host.",
        vec![command(
            "zramctl; grep -i zswap /proc/meminfo",
            "how much is stored, before and after compression",
        )],
    )
}

fn unaccounted() -> KernelAdvice {
    (
        "No counter says what uses it: drivers (network rings, GPUs), BPF and perf ring buffers, a hypervisor's balloon, or leaked \
         pages.",
        "Compare with the previous kernel or driver. Boot with page_owner=on to list the owner of each page.",
        vec![
            command("cat /proc/net/sockstat", "TCP: mem is in pages"),
            command("bpftool map", "BPF maps; the large ones are ring buffers"),
            command("grep -i balloon /proc/meminfo", "memory that the hypervisor took"),
            command(
                "cat /proc/allocinfo | sort -g | tail",
                "allocations by code line, with CONFIG_MEM_ALLOC_PROFILING",
            ),
        ],
    )
}

fn strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

fn command(command: &str, shows: &'static str) -> (String, &'static str) {
    (command.to_owned(), shows)
}

/// A cache's name as a shell takes it. Modules may give their caches any name.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:+".contains(c);
    let name = printable(name);
    if name.chars().all(is_plain) { name.into_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}
