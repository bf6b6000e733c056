//! A running program that holds kernel objects: the test's side of [`crate::program`].

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use crate::program::{self, Reply, Task};

pub struct Workload {
    process: Child,
    /// Closing it ends the program, also if we die.
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Workload {
    /// Starts a program under a command name; it has not made any object yet.
    pub fn start(comm: impl AsRef<[u8]>, task: &Task) -> Self {
        let mut process = program::command(comm.as_ref(), task)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary starts again");
        let orders = process.stdin.take();
        let replies = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut workload = Self { process, orders, replies };
        workload.expect(Reply::Ready);
        workload
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Has it make its objects; returns when they are there.
    pub fn go(&mut self) {
        self.begin();
        self.done();
    }

    /// Has it begin to make its objects.
    pub fn begin(&mut self) {
        self.order();
    }

    /// Returns when the objects that it began to make are there.
    pub fn done(&mut self) {
        self.expect(Reply::Done);
    }

    /// Has it free its objects; returns when it has.
    pub fn release(&mut self) {
        self.order();
        self.expect(Reply::Released);
    }

    /// Ends it; returns when it is gone.
    pub fn end(mut self) {
        drop(self.orders.take());
        let status = self.process.wait().expect("it is our child");
        assert!(status.success(), "the workload failed: {status}");
    }

    /// Ends it without letting it free anything; returns when it is gone.
    pub fn kill(mut self) {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
    }

    fn order(&mut self) {
        self.orders.as_mut().expect("it runs").write_all(b"\n").expect("it listens");
    }

    fn expect(&mut self, reply: Reply) {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("it answers");
        assert_eq!(line.trim_end(), reply.as_str(), "the workload's answer");
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}

/// A command name that no other process has: 15 bytes at most for a word of five.
pub fn unique(word: &str) -> String {
    format!("mt-{word}-{:x}", std::process::id())
}
