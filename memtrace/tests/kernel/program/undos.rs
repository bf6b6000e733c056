//! System V semaphores' undo operations: each is one kmalloc, freed by `kfree_rcu` as its set is removed.

use std::io;

use super::{Held, Prepared, messages::unshare};

/// Semaphores in a set: its undo operation has 16 bits for each, and 72 bytes or more of header.
const SEMAPHORES: libc::c_int = 100;

pub fn undos(count: usize) -> Prepared {
    unshare();
    let sets: Vec<Set> = (0..count).map(|_| Set::new().expect("the namespace has none yet")).collect();
    Box::new(move || {
        sets.iter().for_each(|set| set.raise().expect("there is memory for it"));
        Box::new(sets) as Held
    })
}

/// A set of semaphores, removed when dropped.
struct Set(libc::c_int);

impl Set {
    fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers.
        let set = unsafe { libc::semget(libc::IPC_PRIVATE, SEMAPHORES, 0o600) };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(set)) }
    }

    /// To be undone when the process ends.
    fn raise(&self) -> io::Result<()> {
        let mut operation = libc::sembuf { sem_num: 0, sem_op: 1, sem_flg: libc::SEM_UNDO as libc::c_short };
        // SAFETY: the one operation lives.
        let done = unsafe { libc::semop(self.0, &raw mut operation, 1) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        // SAFETY: this command takes no pointer.
        unsafe { libc::semctl(self.0, 0, libc::IPC_RMID) };
    }
}
