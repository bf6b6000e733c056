//! A recording that begins while somebody looks on: a session of its own, in a process of its own. What it says then holds for
//! the recording from its beginning, as if `memtrace record` had been started in another window.

use std::{
    ffi::OsString,
    io::{self, Read as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::procfs::OURSELVES;

pub struct Recorder {
    process: Child,
}

impl Recorder {
    /// Records into a new file, with these options of `memtrace record`.
    pub fn start(file: &Path, options: &[OsString]) -> io::Result<Self> {
        let mut command = Command::new(OURSELVES);
        // A file's name may begin with a dash.
        let mut output = OsString::from("--output=");
        output.push(file);
        command.arg0("memtrace").args(["record", "--with-parent", &std::process::id().to_string()]);
        command.arg(output).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-Z and a closed window are for whoever looks on.
        command.process_group(0);
        Ok(Self { process: command.spawn()? })
    }

    /// Ends it; it follows frees for a moment first.
    pub fn end(&self) {
        // It may be over already.
        let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
    }

    /// What it said, if it is over: how much it recorded, or what went wrong.
    pub fn said(&mut self) -> io::Result<Option<String>> {
        match self.process.try_wait()? {
            Some(_) => self.read().map(Some),
            None => Ok(None),
        }
    }

    /// Ends it, and waits until the file is whole.
    pub fn finish(mut self) -> io::Result<String> {
        self.end();
        self.read()
    }

    fn read(&mut self) -> io::Result<String> {
        let mut said = String::new();
        if let Some(mut stderr) = self.process.stderr.take() {
            stderr.read_to_string(&mut said)?;
        }
        self.process.wait()?;
        let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines = lines.map(|line| line.strip_prefix("memtrace: ").unwrap_or(line));
        Ok(lines.collect::<Vec<_>>().join("; "))
    }
}
