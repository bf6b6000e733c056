//! Runs one VM: its console is our log, our terminal if there is a person at it, and where its outcome is read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};
use vm_init::Outcome;

use super::kernels::Kernel;
use crate::paths;

/// What is booted.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    pub kernel: &'a Kernel,
    pub cpus: u8,
    /// NUMA nodes, each with its share of CPUs and memory.
    pub nodes: u8,
    /// More options for the kernel, where it is to be an odd one.
    pub options: Option<&'static str>,
}

/// Memory of a machine, in MiB.
const MEMORY: u32 = 2048;

/// CPUs, unless something else is asked for: the fewest that run things at the same time.
pub const CPUS: u8 = 2;

impl Machine<'_> {
    /// Tells it from others on this host.
    pub fn name(self) -> String {
        let mut name = self.kernel.series.to_owned();
        if self.cpus != CPUS {
            name += &format!("-{}-cpus", self.cpus);
        }
        if self.nodes > 1 {
            name += &format!("-{}-nodes", self.nodes);
        }
        if self.options.is_some() {
            name += "-odd";
        }
        name
    }
}

/// Against a VM that hangs, not to time anything: emulated, on a busy machine, all is slow.
#[derive(Clone, Copy)]
pub struct Watchdog {
    /// No output for this long.
    pub silence: Duration,
    pub total: Duration,
}

pub enum Console<'a> {
    /// Keyboard, screen and Ctrl-C are the job's.
    Interactive,
    /// No input, the watchdog looks on, and each line goes to the function.
    Batch(Watchdog, &'a mut dyn FnMut(&str)),
}

/// What a kernel says that has died or is about to.
const PANIC_MARKS: [&str; 4] =
    ["Kernel panic - not syncing", "BUG: unable to handle", "Oops: ", "watchdog: BUG: soft lockup"];

/// Runs it until it ends; gives how the job ended. What the guest hands over goes to `fetched`.
pub fn run(
    machine: Machine<'_>,
    initramfs: &Path,
    console: Console<'_>,
    fetched: Option<&Path>,
) -> Result<Outcome> {
    let log_path = log_path(machine)?;
    let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    let mut qemu = command(machine, initramfs);
    if let Some(path) = fetched {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let file = format!("file,id=fetched,path={}", path.display());
        qemu.args(["-chardev", &file, "-serial", "chardev:fetched"]);
    }
    qemu.stdin(if matches!(console, Console::Interactive) { Stdio::inherit() } else { Stdio::null() });
    qemu.stdout(Stdio::piped());
    let mut child = qemu.spawn().context("cannot start qemu-system-x86_64; run: cargo xtask setup")?;
    let stdout = child.stdout.take().expect("stdout is piped");

    let watched = watch(stdout, log, console);
    stop(&mut child);
    let text = watched?;
    let log_path = paths::shown(&log_path);
    match text.lines().rev().find_map(Outcome::parse) {
        Some(outcome) => Ok(outcome),
        None => {
            bail!("the VM ended without an outcome; its last lines (all are in {log_path}):\n{}", tail(&text))
        }
    }
}

fn log_path(machine: Machine<'_>) -> Result<PathBuf> {
    let directory = paths::target("vm/logs");
    std::fs::create_dir_all(&directory)?;
    Ok(directory.join(format!("{}.log", machine.name())))
}

fn command(Machine { kernel, cpus, nodes, options }: Machine<'_>, initramfs: &Path) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", &accelerator()]);
    // The default CPU has no RDRAND, without which the kernel's random numbers are not ready before a test is over, and
    // whoever asks for one may wait for minutes.
    qemu.args(["-cpu", "max", "-smp", &cpus.to_string(), "-m", &format!("{MEMORY}M")]);
    if nodes > 1 {
        qemu.args((0..nodes).flat_map(|node| node_arguments(node, nodes, cpus)));
    }
    qemu.args(["-no-reboot", "-nodefaults", "-display", "none"]);
    // signal=off: Ctrl-C is a byte for the guest, whose terminal makes a SIGINT of it.
    qemu.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(initramfs);
    let options = options.unwrap_or_default();
    qemu.arg("-append").arg(format!("console=ttyS0 quiet panic=-1 oops=panic random.trust_cpu=on {options}"));
    qemu
}

/// Makes the memory of one of several NUMA nodes, and says which CPUs are on it.
fn node_arguments(node: u8, nodes: u8, cpus: u8) -> [String; 4] {
    let memory = share(MEMORY, node, nodes);
    let cpus = share(u32::from(cpus), node, nodes);
    let cpus = if cpus.is_empty() { String::new() } else { format!(",cpus={}-{}", cpus.start, cpus.end - 1) };
    [
        "-object".to_owned(),
        format!("memory-backend-ram,id=memory{node},size={}M", memory.len()),
        "-numa".to_owned(),
        format!("node,nodeid={node},memdev=memory{node}{cpus}"),
    ]
}

/// What one of several gets of so many; together they get all.
fn share(all: u32, one: u8, several: u8) -> Range<u32> {
    let first = |one: u32| all * one / u32::from(several);
    first(one.into())..first(u32::from(one) + 1)
}

/// Emulation, because it works everywhere and in the same way. A /dev/kvm that opens is no proof that KVM runs a guest: inside
/// another VM it may fail at any instruction. Who knows that theirs works says so, and waits less.
///
/// The guest's CPUs take turns in one thread, which costs little. With a thread each, a CPU may meet the breakpoint of code
/// that another is patching and not know it: 7.3 died so in two of ten runs, once while it booted.
fn accelerator() -> String {
    match std::env::var("MEMTRACE_VM_ACCEL") {
        Ok(accelerator) if !accelerator.is_empty() => accelerator,
        _ => "tcg,thread=single".to_owned(),
    }
}

/// Copies the console to the log and the screen until the VM ends or has to be ended, and gives all of it.
fn watch(stdout: ChildStdout, mut log: File, mut console: Console<'_>) -> Result<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || read_chunks(stdout, &sender));
    let start = Instant::now();
    let mut text = Vec::new();
    // Where the line begins that is not whole yet.
    let mut line_start = 0;
    loop {
        let chunk = match &console {
            Console::Interactive => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Console::Batch(watchdog, _) => {
                receiver.recv_timeout(watchdog.silence.min(watchdog.total.saturating_sub(start.elapsed())))
            }
        };
        match chunk {
            Ok(chunk) => {
                log.write_all(&chunk)?;
                let searched = text.len().saturating_sub(80);
                text.extend_from_slice(&chunk);
                match &mut console {
                    Console::Interactive => {
                        io::stdout().write_all(&chunk).and_then(|()| io::stdout().flush()).ok();
                    }
                    Console::Batch(_, line) => line_start += each_line(&text[line_start..], line),
                }
                if let Some(mark) = panic_mark(&text[searched..]) {
                    linger(&receiver, &mut log, &mut text);
                    bail!(
                        "the VM's kernel died:\n{}",
                        quote(lines_from(mark, &String::from_utf8_lossy(&text)))
                    );
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(String::from_utf8_lossy(&text).into_owned()),
            Err(RecvTimeoutError::Timeout) => {
                let after = start.elapsed().as_secs();
                bail!("the VM hung, ended after {after} s:\n{}", tail(&String::from_utf8_lossy(&text)));
            }
        }
    }
}

/// Gives each whole line to the function; returns the length of all.
fn each_line(text: &[u8], line: &mut dyn FnMut(&str)) -> usize {
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    String::from_utf8_lossy(&text[..whole]).lines().for_each(|text| line(text.trim_end()));
    whole
}

fn read_chunks(mut stdout: ChildStdout, sender: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stdout.read(&mut buffer) {
        if sender.send(buffer[..length].to_vec()).is_err() {
            return;
        }
    }
}

/// Takes in what a dying kernel still says: the trace comes after the mark.
fn linger(receiver: &mpsc::Receiver<Vec<u8>>, log: &mut File, text: &mut Vec<u8>) {
    while let Ok(chunk) = receiver.recv_timeout(Duration::from_secs(2)) {
        log.write_all(&chunk).ok();
        text.extend_from_slice(&chunk);
    }
}

fn panic_mark(console: &[u8]) -> Option<&'static str> {
    let console = String::from_utf8_lossy(console);
    PANIC_MARKS.into_iter().find(|mark| console.contains(mark))
}

/// Ends QEMU if it still runs: by SIGTERM, on which it puts the terminal back in order.
fn stop(child: &mut Child) {
    if let Ok(None) = child.try_wait() {
        rustix::process::kill_process(Pid::from_child(child), Signal::TERM).ok();
    }
    child.wait().ok();
}

const QUOTED_LINES: usize = 30;

fn tail(console: &str) -> String {
    quote(console.lines().skip(console.lines().count().saturating_sub(QUOTED_LINES)))
}

/// The line with the mark and what follows: a dying kernel says first why.
fn lines_from<'a>(mark: &str, console: &'a str) -> impl Iterator<Item = &'a str> {
    console.lines().skip_while(move |line| !line.contains(mark))
}

fn quote<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.take(QUOTED_LINES).map(|line| format!("  | {}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_seen() {
        let panic = b"[    3.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n";
        assert!(panic_mark(panic).is_some());
        assert_eq!(panic_mark(b"test result: ok. 12 passed; 0 failed\r\n"), None);
    }

    #[test]
    fn lines_are_given_when_they_are_whole() {
        let mut lines = Vec::new();
        let text = b"one\r\n\r\ntw";
        let read = each_line(text, &mut |line| lines.push(line.to_owned()));
        assert_eq!((lines, &text[read..]), (vec!["one".to_owned(), String::new()], &b"tw"[..]));
        assert_eq!(each_line(b"tw", &mut |_| panic!("it is not whole")), 0);
    }

    #[test]
    fn tail_is_short_and_without_carriage_returns() {
        let console: String = (0..100).map(|line| format!("{line}\r\n")).collect();
        assert_eq!(tail(&console).lines().count(), 30);
        assert!(tail(&console).ends_with("  | 99\n"));
    }
}
