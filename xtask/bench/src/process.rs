//! Processes that the bench starts, and what /proc and the kernel's clocks say of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use procfs::process::{FDInfo, FDTarget, Process, Status};
use rustix::process::{Pid, Signal, set_parent_process_death_signal};
use serde::Serialize;

/// A process that is killed when this is dropped.
pub struct Killed(pub Child);

impl Killed {
    pub fn id(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process that does not outlive us, however we end.
pub fn spawn(command: &mut Command) -> Result<Killed> {
    spawn_child(command).map(Killed)
}

fn spawn_child(command: &mut Command) -> Result<Child> {
    // SAFETY: between fork and exec only this system call is made.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))
}

/// What a process took from its start to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spent {
    pub cpu_ns: u64,
    pub wall_ns: u64,
    pub peak_rss_bytes: u64,
}

/// Runs it to its end; an exit code other than 0 is an error.
pub fn spent(command: &mut Command) -> Result<Spent> {
    let start = Instant::now();
    let child = spawn_child(command)?;
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: the pointers are to a status and to a rusage, and nothing else waits for our child.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, usage.as_mut_ptr()) };
    let wall_ns = start.elapsed().as_nanos() as u64;
    if waited < 0 {
        return Err(io::Error::last_os_error().into());
    }
    ensure!(status == 0, "it failed (wait status {status})");
    // SAFETY: all zeroes is a rusage, and the kernel filled it.
    let usage = unsafe { usage.assume_init() };
    Ok(Spent { cpu_ns: cpu_ns(&usage), wall_ns, peak_rss_bytes: usage.ru_maxrss as u64 * 1024 })
}

/// User and system time of this process and of the children that it waited for.
pub fn own_cpu_ns() -> io::Result<u64> {
    let usage = |who| {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the pointer is to a rusage.
        if unsafe { libc::getrusage(who, usage.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all zeroes is a rusage, and the kernel filled it.
        Ok(cpu_ns(&unsafe { usage.assume_init() }))
    };
    Ok(usage(libc::RUSAGE_SELF)? + usage(libc::RUSAGE_CHILDREN)?)
}

fn cpu_ns(usage: &libc::rusage) -> u64 {
    let ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
    ns(usage.ru_utime) + ns(usage.ru_stime)
}

/// User and system time of all threads of a process, also of those that ended, to the nanosecond.
pub fn cpu_time(process: Pid) -> io::Result<Duration> {
    let mut clock = 0;
    // SAFETY: the pointer is to a clock id.
    let refused = unsafe { libc::clock_getcpuclockid(process.as_raw_nonzero().get(), &raw mut clock) };
    if refused != 0 {
        return Err(io::Error::from_raw_os_error(refused));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a struct of the right type.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The most that was resident (VmHWM).
    pub peak: u64,
    /// What is resident now (VmRSS).
    pub resident: u64,
    /// Of this, what is the process's own: neither file nor shared (RssAnon). A mapped ring buffer is not in it.
    pub anonymous: u64,
}

impl Memory {
    pub fn read(process: Pid) -> Result<Self> {
        let status = Process::new(process.as_raw_pid())?.status()?;
        Self::from_status(&status).context("/proc/PID/status has no memory in it")
    }

    fn from_status(status: &Status) -> Option<Self> {
        Some(Self {
            peak: 1024 * status.vmhwm?,
            resident: 1024 * status.vmrss?,
            anonymous: 1024 * status.rssanon?,
        })
    }
}

/// The first number on the line that starts with this.
pub fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// What a process has open of the kernel's tracing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// Links of BPF programs and perf events: what they are attached by. Sorted file descriptors.
    pub attachments: Vec<i32>,
    /// The tracepoints of its links, one for each link: sorted.
    pub tracepoints: Vec<String>,
    /// Ids of its programs: sorted, each once.
    pub programs: Vec<u32>,
    /// Bytes that each of its maps takes in the kernel, by its id: a map may have several descriptors.
    pub maps: BTreeMap<u64, u64>,
}

impl Probes {
    /// A process that has just ended has none.
    pub fn read(process: Pid) -> Self {
        let mut probes = Self::default();
        let descriptors = Process::new(process.as_raw_pid()).and_then(|process| process.fd());
        for FDInfo { fd, target, .. } in descriptors.into_iter().flatten().flatten() {
            let info = || fs::read_to_string(format!("/proc/{process}/fdinfo/{fd}")).unwrap_or_default();
            probes.add(fd, &target, info);
        }
        probes.attachments.sort_unstable();
        probes.tracepoints.sort_unstable();
        probes.programs.sort_unstable();
        probes.programs.dedup();
        probes
    }

    pub fn map_bytes(&self) -> u64 {
        self.maps.values().sum()
    }

    fn add(&mut self, descriptor: i32, target: &FDTarget, info: impl FnOnce() -> String) {
        let FDTarget::AnonInode(kind) = target else { return };
        match kind.as_str() {
            "[perf_event]" => self.attachments.push(descriptor),
            // The first name is from before v5.7.
            "bpf-raw-tracepoint" | "bpf_link" => {
                self.attachments.push(descriptor);
                let info = info();
                let name = info.lines().find_map(|line| line.strip_prefix("tp_name:"));
                self.tracepoints.extend(name.map(|name| name.trim().to_owned()));
            }
            "bpf-prog" => self.programs.extend(field(&info(), "prog_id:").map(|id| id as u32)),
            "bpf-map" => {
                let info = info();
                self.maps.extend(field(&info, "map_id:").zip(field(&info, "memlock:")));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_status() {
        let mut status = Process::myself().unwrap().status().unwrap();
        (status.vmhwm, status.vmrss, status.rssanon) = (Some(20_048), Some(10_024), Some(4096));
        let memory = Memory { peak: 20_529_152, resident: 10_264_576, anonymous: 4_194_304 };
        assert_eq!(Memory::from_status(&status), Some(memory));
        // A thread of the kernel has none.
        status.vmrss = None;
        assert_eq!(Memory::from_status(&status), None);
    }

    #[test]
    fn probes_are_told_by_their_descriptors() {
        let mut probes = Probes::default();
        let mut add =
            |number, target: &str, info: &str| probes.add(number, &target.parse().unwrap(), || info.into());
        add(0, "/dev/null", "");
        add(5, "anon_inode:bpf_link", "link_type:\traw_tracepoint\nprog_id:\t7\ntp_name:\tkfree\n");
        add(6, "anon_inode:[perf_event]", "");
        add(7, "anon_inode:bpf-prog", "prog_type:\t17\nprog_id:\t7\n");
        add(8, "anon_inode:bpf-map", "map_type:\t27\nmemlock:\t4096\nmap_id:\t3\n");
        add(9, "anon_inode:bpf-map", "map_type:\t27\nmemlock:\t4096\nmap_id:\t3\n");
        assert_eq!(
            probes,
            Probes {
                attachments: vec![5, 6],
                tracepoints: vec!["kfree".into()],
                programs: vec![7],
                maps: [(3, 4096)].into()
            }
        );
    }

    #[test]
    fn cpu_time_of_a_process_is_its_own() {
        let before = cpu_time(rustix::process::getpid()).unwrap();
        let work = (0..1_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        std::hint::black_box(work);
        assert!(cpu_time(rustix::process::getpid()).unwrap() > before);
    }
}
