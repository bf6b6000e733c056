//! /init of a test VM: sets up what a running system has, runs one job on the console, says how it ended, ends the VM.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount};
use rustix::process::{WaitOptions, WaitStatus};
use rustix::system::RebootCommand;
use rustix::termios::Winsize;
use vm_init::{Outcome, from_list, job};

const CONSOLE: &str = "/dev/ttyS0";
/// What is written here becomes a file of the host's.
const TO_HOST: &str = "/dev/ttyS1";

/// Type, mount point, and whether the job can do without.
const MOUNTS: [(&str, &str, bool); 12] = [
    ("proc", "/proc", false),
    ("sysfs", "/sys", false),
    ("devtmpfs", "/dev", false),
    ("devpts", "/dev/pts", true),
    ("tmpfs", "/dev/shm", true),
    ("tmpfs", "/tmp", false),
    ("tmpfs", "/run", true),
    ("tracefs", "/sys/kernel/tracing", true),
    ("debugfs", "/sys/kernel/debug", true),
    ("securityfs", "/sys/kernel/security", true),
    ("bpf", "/sys/fs/bpf", true),
    ("cgroup2", "/sys/fs/cgroup", true),
];

fn main() {
    let outcome = run().unwrap_or_else(|error| Outcome::Broken(format!("{error:#}")));
    // On a line of its own, whatever the job left the cursor at.
    if let Ok(mut console) = console() {
        writeln!(console, "\r\n{outcome}").ok();
        rustix::termios::tcdrain(&console).ok();
    }
    // QEMU is told not to reboot, so this ends it; unlike powering off it needs no ACPI.
    if let Err(error) = rustix::system::reboot(RebootCommand::Restart) {
        panic!("cannot end the VM: {error}");
    }
}

fn run() -> Result<Outcome> {
    mount_all()?;
    // /dev/console cannot be a controlling terminal; the first terminal that a session leader opens becomes its own. From
    // then on Ctrl-C on the serial line is a SIGINT for the job. It is one for us too, but the kernel keeps it from init.
    rustix::process::setsid().context("setsid")?;
    let console = console()?;
    set_winsize(&console)?;
    // SIOCSIFFLAGS for the loopback device, without an ioctl: IFF_UP | IFF_LOOPBACK.
    fs::write("/sys/class/net/lo/flags", "0x9").context("cannot bring lo up")?;
    mount_disk()?;

    if let Some(mut workload) = command(job::WORKLOAD)? {
        workload.stdout(Stdio::null()).stderr(console.try_clone()?);
        spawn(&mut workload)?;
    }
    let mut command = command(job::ARGV)?.context("the job is empty")?;
    command.stdin(console.try_clone()?).stdout(console.try_clone()?).stderr(console);
    let pid = spawn(&mut command)?;
    let outcome = wait_for(pid)?;
    hand_over()?;
    Ok(outcome)
}

/// Gives the host the file that it asked for, if the job left one.
fn hand_over() -> Result<()> {
    let path = fs::read_to_string(job::FETCH)?;
    let Some(mut file) = Some(path).filter(|path| !path.is_empty()).and_then(|path| File::open(path).ok())
    else {
        return Ok(());
    };
    let mut line = OpenOptions::new().write(true).open(TO_HOST).context("no line to the host")?;
    let mut settings = rustix::termios::tcgetattr(&line)?;
    settings.make_raw();
    rustix::termios::tcsetattr(&line, rustix::termios::OptionalActions::Now, &settings)?;
    io::copy(&mut file, &mut line).context("cannot hand the file over")?;
    rustix::termios::tcdrain(&line).context("cannot hand the file over")
}

fn mount_all() -> Result<()> {
    for (kind, target, optional) in MOUNTS {
        fs::create_dir_all(target).ok();
        match mount(kind, target, kind, MountFlags::empty(), None::<&CStr>) {
            Err(error) if optional => eprintln!("vm-init: no {kind}: {error}"),
            mounted => mounted.with_context(|| format!("cannot mount {target}"))?,
        }
    }
    Ok(())
}

fn console() -> Result<File> {
    OpenOptions::new().read(true).write(true).open(CONSOLE).with_context(|| format!("cannot open {CONSOLE}"))
}

fn set_winsize(console: &File) -> Result<()> {
    let text = fs::read_to_string(job::WINSIZE)?;
    let Some((rows, columns)) = text.split_once(' ') else { return Ok(()) };
    let size = Winsize { ws_row: rows.parse()?, ws_col: columns.parse()?, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(console, size).context("cannot set the size of the console")
}

/// A real disk filesystem, on a disk in memory: negative dentries, say, exist on ext4 but not on tmpfs.
fn mount_disk() -> Result<()> {
    let image = fs::metadata(job::DISK_IMAGE).context("no disk image")?;
    let parameters = format!("rd_nr=1 rd_size={}\0", image.len() / 1024);
    let parameters = CStr::from_bytes_with_nul(parameters.as_bytes())?;
    let module = File::open(job::DISK_MODULE).context("no RAM disk module")?;
    rustix::system::finit_module(&module, parameters, 0).context("cannot load the RAM disk module")?;

    let mut disk = OpenOptions::new().write(true).open("/dev/ram0").context("no RAM disk")?;
    io::copy(&mut File::open(job::DISK_IMAGE)?, &mut disk).context("cannot fill the RAM disk")?;
    drop(disk);
    fs::remove_file(job::DISK_IMAGE).ok();
    fs::create_dir_all(job::DISK)?;
    mount("/dev/ram0", job::DISK, "ext4", MountFlags::empty(), None::<&CStr>).context("cannot mount the disk")
}

/// The command in this list of the job, if it has any words.
fn command(list: &str) -> Result<Option<Command>> {
    let words = fs::read_to_string(list).with_context(|| format!("cannot read {list}"))?;
    let env = fs::read_to_string(job::ENV).with_context(|| format!("cannot read {}", job::ENV))?;
    let words = from_list(&words);
    let Some((program, args)) = words.split_first() else { return Ok(None) };
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(from_list(&env).into_iter().filter_map(|item| item.split_once('=')));
    command.current_dir("/tmp").stdin(Stdio::null());
    Ok(Some(command))
}

fn spawn(command: &mut Command) -> Result<i32> {
    let child =
        command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    Ok(child.id().cast_signed())
}

/// Waits for the job, and reaps the orphans that end before it, as is init's duty.
fn wait_for(job: i32) -> Result<Outcome> {
    loop {
        let Some((pid, status)) = rustix::process::wait(WaitOptions::empty()).context("wait")? else {
            continue;
        };
        if pid.as_raw_nonzero().get() == job {
            return Ok(outcome(status));
        }
    }
}

fn outcome(status: WaitStatus) -> Outcome {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Outcome::Exited(code),
        (None, Some(signal)) => Outcome::Killed(signal),
        (None, None) => Outcome::Broken(format!("strange wait status {status:?}")),
    }
}
