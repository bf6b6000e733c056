//! System V messages: each is one kmalloc of its size, freed as it is received or its queue is removed.

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::Prepared;

/// A queue holds 16 KiB, unless the system's limits are changed.
const PER_QUEUE: usize = 16;

/// Gives this process, and the threads that it starts from here, queues of its own: they outlive a process, but not
/// their namespace.
pub fn unshare() {
    // SAFETY: only file descriptors and memory must not be unshared behind other code's back.
    let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWIPC) };
    unshared.expect("root may have an IPC namespace of its own");
}

pub fn send(count: usize, payload: usize) -> Prepared {
    unshare();
    let queues: Vec<Queue> =
        (0..count.div_ceil(PER_QUEUE)).map(|_| Queue::new().expect("the namespace has none yet")).collect();
    Box::new(move || {
        let message = Message::default();
        for number in 0..count {
            queues[number / PER_QUEUE].send(&message, payload).expect("the queue has room");
        }
        Box::new(queues)
    })
}

/// `struct msgbuf`.
#[repr(C)]
pub struct Message {
    kind: libc::c_long,
    payload: [u8; Message::MAX],
}

impl Message {
    const MAX: usize = 1024;
}

impl Default for Message {
    fn default() -> Self {
        Self { kind: 1, payload: [0; Self::MAX] }
    }
}

/// A message queue, removed when dropped.
pub struct Queue(libc::c_int);

impl Queue {
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers.
        checked(unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) }).map(Self)
    }

    pub fn send(&self, message: &Message, payload: usize) -> io::Result<()> {
        assert!(payload <= Message::MAX);
        // SAFETY: the message lives, and has the payload that is asked for.
        let sent = unsafe { libc::msgsnd(self.0, (&raw const *message).cast(), payload, 0) };
        checked(sent).map(drop)
    }

    /// Waits for a message with a payload of at most so many bytes.
    pub fn receive(&self, payload: usize) -> io::Result<()> {
        assert!(payload <= Message::MAX);
        let mut message = Message::default();
        // SAFETY: the message lives, and has room for the payload.
        let received = unsafe { libc::msgrcv(self.0, (&raw mut message).cast(), payload, 0, 0) };
        if received < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: this command takes no pointer.
        unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
