//! Who gets a busy CPU first.

use std::io;

use rustix::process::{getpriority_process, setpriority_process};

/// Three times the time of a thread of usual priority, where both want all they can get.
const AHEAD: i32 = -5;

/// Puts this thread ahead of others, but not those that it starts: one that reads rings while all CPUs are busy would get an equal
/// part of one, and the rest of the events would be lost. Whoever was given a priority, of whatever kind, keeps it. Fails without
/// CAP_SYS_NICE.
pub fn put_ahead() -> io::Result<()> {
    // SAFETY: takes no pointer.
    let policy = unsafe { libc::sched_getscheduler(0) };
    if policy != libc::SCHED_OTHER || getpriority_process(None)? != 0 {
        return Ok(());
    }
    setpriority_process(None, AHEAD)?;
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: `parameters` lives until the call is over. It is the system call itself, since not every C library has it.
    let answer = unsafe {
        let policy = libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK;
        libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const parameters)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::thread::CapabilitySet;

    use super::*;
    use crate::rights::capability;

    fn here() -> i32 {
        getpriority_process(None).unwrap()
    }

    #[test]
    fn those_that_are_started_are_not_ahead() {
        let priorities = thread::spawn(|| {
            let before = here();
            let outcome = put_ahead();
            (before, outcome.is_ok(), here(), thread::spawn(here).join().unwrap())
        });
        let may = capability::held().contains(CapabilitySet::SYS_NICE);
        let (before, is_ahead, own, others) = priorities.join().unwrap();
        let expected = if before == 0 && may { AHEAD } else { before };
        assert_eq!((is_ahead, own, others), (before != 0 || may, expected, before));
    }

    #[test]
    fn a_priority_that_was_given_is_kept() {
        let own = thread::spawn(|| {
            setpriority_process(None, 19).unwrap();
            put_ahead().unwrap();
            here()
        });
        assert_eq!(own.join().unwrap(), 19);
    }
}
