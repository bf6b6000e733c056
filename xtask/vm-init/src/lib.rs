//! What xtask and a test VM's init agree on: where the job is in the initramfs and how its end is told.

use std::fmt;

/// The job, in the initramfs. Lists are NUL-separated, as in /proc/PID/cmdline.
pub mod job {
    pub const ARGV: &str = "/job/argv";
    /// `NAME=VALUE`.
    pub const ENV: &str = "/job/env";
    /// A second command, that runs beside the job from before its start. May be empty.
    pub const WORKLOAD: &str = "/job/workload";
    /// Rows and columns of the terminal that the console is shown on. May be empty.
    pub const WINSIZE: &str = "/job/winsize";
    /// Path of a file that the job may leave, and the host wants. May be empty.
    pub const FETCH: &str = "/job/fetch";
    /// The kernel's RAM disk module, decompressed.
    pub const DISK_MODULE: &str = "/job/brd.ko";
    /// An ext4 image to fill the RAM disk with.
    pub const DISK_IMAGE: &str = "/job/disk.img";
    /// Where that disk is mounted.
    pub const DISK: &str = "/mnt/disk";
    /// Modules that tests load, decompressed: `NAME.ko`.
    pub const MODULES: &str = "/job/modules";
}

pub fn to_list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    items.into_iter().map(|item| item.as_ref().to_owned() + "\0").collect()
}

pub fn from_list(list: &str) -> Vec<&str> {
    list.split_terminator('\0').collect()
}

/// How a job ended. Printed by init as the VM's last line; a VM without it did not get that far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Exited(i32),
    Killed(i32),
    /// It did not run.
    Broken(String),
}

const MARK: &str = "vm-outcome: ";

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        match self {
            Self::Exited(code) => write!(f, "exit {code}"),
            Self::Killed(signal) => write!(f, "signal {signal}"),
            Self::Broken(reason) => write!(f, "broken {}", reason.replace('\n', "; ")),
        }
    }
}

impl Outcome {
    /// Reads a line of the console; `None` if it is another one.
    pub fn parse(line: &str) -> Option<Self> {
        let (kind, detail) = line.trim().strip_prefix(MARK)?.split_once(' ')?;
        match kind {
            "exit" => detail.parse().ok().map(Self::Exited),
            "signal" => detail.parse().ok().map(Self::Killed),
            "broken" => Some(Self::Broken(detail.to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_survives_the_serial_line() {
        for outcome in [Outcome::Exited(0), Outcome::Killed(9), Outcome::Broken("no /bin/x".into())] {
            assert_eq!(Outcome::parse(&format!("{outcome}\r\n")), Some(outcome));
        }
    }

    #[test]
    fn other_lines_are_no_outcome() {
        for line in [
            "",
            "test result: ok",
            "vm-outcome:",
            "vm-outcome: exit",
            "vm-outcome: exit x",
            "x vm-outcome: exit 0",
        ] {
            assert_eq!(Outcome::parse(line), None, "{line}");
        }
    }

    #[test]
    fn lists_keep_what_they_hold() {
        let items = ["--comm", "two words", ""];
        assert_eq!(from_list(&to_list(items)), items);
        assert!(from_list("").is_empty());
    }
}
