use proptest::{collection::vec, prelude::*};

use super::*;
use crate::stream::event::Program;

fn id(tgid: u32) -> ProcessId {
    ProcessId { tgid, started: 1000 * tgid }
}

fn comm(name: &str) -> Comm {
    Comm::truncated(name.as_bytes())
}

fn nobody(_: u32) -> Option<Running> {
    None
}

fn fork(processes: &mut Processes, process: u32, parent: u32) {
    let name = processes.get(id(parent)).map_or_else(|| comm("?"), |parent| parent.comm);
    processes
        .apply(ProcessEvent::Fork { process: id(process), parent: id(parent), parent_comm: name }, nobody);
}

fn exec(processes: &mut Processes, process: u32, parent: u32, name: &str) {
    let program = Program { path: name.as_bytes(), arguments: b"" };
    let event = ProcessEvent::Exec { process: id(process), parent: id(parent), comm: comm(name), program };
    processes.apply(event, nobody);
}

/// `curl < probe.sh < cron`.
fn chain(processes: &Processes, id: ProcessId) -> String {
    let Some(process) = processes.get(id) else { return "-".to_owned() };
    let chain = processes.chain(process.chain);
    [process.comm].into_iter().chain(chain).map(|comm| format!("{comm:?}")).collect::<Vec<_>>().join(" < ")
}

/// A /proc with `cron` that has `probe.sh`, which has `curl`; seen less precisely than it started.
fn proc(tgid: u32) -> Option<Running> {
    let (parent, name) = match tgid {
        1 => (0, "init"),
        100 => (1, "cron"),
        200 => (100, "probe.sh"),
        300 => (200, "curl"),
        _ => return None,
    };
    let process = ProcessId { tgid, started: id(tgid).started - 50 };
    Some(Running { process, slack: 153, parent, comm: comm(name), command: Command::default() })
}

#[test]
fn a_chain_leads_to_who_started_it() {
    let mut processes = Processes::default();
    exec(&mut processes, 100, 1, "cron");
    fork(&mut processes, 200, 100);
    assert_eq!(chain(&processes, id(200)), "cron < cron");
    exec(&mut processes, 200, 100, "probe.sh");
    fork(&mut processes, 300, 200);
    exec(&mut processes, 300, 200, "curl");
    assert_eq!(chain(&processes, id(300)), "curl < probe.sh < cron");
    // Its parent ends, and it is adopted: who started it stays.
    processes.apply(ProcessEvent::Exit { process: id(200) }, nobody);
    exec(&mut processes, 300, 1, "curl");
    assert_eq!(chain(&processes, id(300)), "curl < probe.sh < cron");
    assert!(processes.get(id(200)).unwrap().has_ended);
}

#[test]
fn a_parent_goes_by_the_name_that_it_has_by_then() {
    let mut processes = Processes::default();
    exec(&mut processes, 100, 1, "python3");
    let event = ProcessEvent::Fork { process: id(200), parent: id(100), parent_comm: comm("gunicorn") };
    processes.apply(event, nobody);
    exec(&mut processes, 200, 100, "curl");
    assert_eq!(chain(&processes, id(200)), "curl < gunicorn");
    assert_eq!(chain(&processes, id(100)), "gunicorn");
}

#[test]
fn what_was_there_before_is_looked_up() {
    let mut processes = Processes::default();
    processes.learn(id(300), proc);
    assert_eq!(chain(&processes, id(300)), "curl < probe.sh < cron");
    assert_eq!(chain(&processes, id(200)), "probe.sh < cron");
    // And is the same when it is heard of.
    fork(&mut processes, 400, 200);
    exec(&mut processes, 400, 200, "curl");
    assert_eq!(chain(&processes, id(400)), "curl < probe.sh < cron");
    let before = processes.len;
    exec(&mut processes, 200, 100, "other.sh");
    assert_eq!((chain(&processes, id(200)).as_str(), processes.len), ("other.sh < cron", before));
}

#[test]
fn the_parent_of_a_new_process_is_looked_up() {
    let mut processes = Processes::default();
    let event = ProcessEvent::Fork { process: id(500), parent: id(200), parent_comm: comm("probe.sh") };
    processes.apply(event, proc);
    assert_eq!(chain(&processes, id(500)), "probe.sh < probe.sh < cron");
}

#[test]
fn a_number_that_is_used_again_is_another_process() {
    let mut processes = Processes::default();
    exec(&mut processes, 300, 1, "curl");
    let later = ProcessId { tgid: 300, started: id(300).started + 7 };
    assert!(processes.get(later).is_none());
    // /proc has a later one by now.
    processes.learn(ProcessId { tgid: 300, started: id(300).started - 1000 }, proc);
    assert_eq!(processes.len, 1);
    let event =
        ProcessEvent::Exec { process: later, parent: id(1), comm: comm("wget"), program: Program::default() };
    processes.apply(event, nobody);
    assert_eq!([chain(&processes, id(300)), chain(&processes, later)], ["curl", "wget"]);
}

#[test]
fn who_ended_is_forgotten_unless_somebody_asks_for_it() {
    let mut processes = Processes::default();
    let many = 10 + PRUNE_AFTER as u32;
    for tgid in 2..many {
        exec(&mut processes, tgid, 1, "curl");
        processes.apply(ProcessEvent::Exit { process: id(tgid) }, nobody);
    }
    exec(&mut processes, many, 1, "curl");
    processes.prune(|| HashSet::from([id(7), id(9)]));
    assert_eq!(processes.len, 3);
    assert!([7, 9, many].into_iter().all(|tgid| processes.get(id(tgid)).is_some()));
    processes.prune(|| unreachable!("too few ended since"));
}

#[test]
fn a_proc_without_end_is_not_followed_for_ever() {
    let mut processes = Processes::default();
    let mut asked = 0;
    processes.learn(id(2), |tgid| {
        asked += 1;
        let process = id(tgid);
        Some(Running { process, slack: 1, parent: tgid + 1, comm: comm("x"), command: Command::default() })
    });
    assert_eq!(asked, MAX_PARENTS);
    assert!(processes.get(id(2)).is_some());
}

proptest! {
    #[test]
    fn any_events_are_survived(steps in vec((0..3_u8, 0..8_u32, 0..8_u32), 0..200)) {
        let mut processes = Processes::default();
        for (what, process, parent) in steps {
            match what {
                0 => fork(&mut processes, process, parent),
                1 => exec(&mut processes, process, parent, "x"),
                _ => processes.apply(ProcessEvent::Exit { process: id(process) }, proc),
            }
            processes.learn(id(parent), proc);
            prop_assert!(processes.len <= 16 + 300);
            let _ = chain(&processes, id(process));
        }
    }
}
