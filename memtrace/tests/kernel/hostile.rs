//! Names come from whoever runs on the host: no output passes on what a terminal would obey.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    Test,
    host::{self, directory_on_disk},
    program::{NameStyle, Task},
    session::Session,
    tests,
    workload::Workload,
};

const DENTRIES: usize = 400;

/// Lines of tables that may pass before they show what was made.
const MAX_LINES: usize = 2000;

pub fn tests() -> Vec<Test> {
    tests![Disk, Once:
        json_keeps_a_hostile_command_name,
        the_table_shows_hostile_names_without_control_characters,
    ]
}

/// A newline, an escape sequence, a quote, and a byte that is not UTF-8.
fn comm() -> Vec<u8> {
    [b"mt\n\x1b[1m\"\xff", format!("{:x}", std::process::id()).as_bytes()].concat()
}

fn flood(within: &Path) -> Workload {
    let within = within.to_owned();
    Workload::start(comm(), &Task::NegativeDentries { within, count: DENTRIES, names: NameStyle::Hostile })
}

fn json_keeps_a_hostile_command_name() {
    let disk = directory_on_disk();
    let mut workload = flood(disk.path());
    let mut session = Session::start(&["--cache", "dentry", "--pid", &workload.pid().to_string()]);
    workload.go();
    let key = format!("mt\n\x1b[1m\"\\xff{:x}", std::process::id());
    session.until_objects(&key, DENTRIES as u64);
    let row = session.interrupt().row(&key);
    assert_eq!((row.objects, row.pid), (DENTRIES as u64, Some(workload.pid())));
    workload.end();
}

fn the_table_shows_hostile_names_without_control_characters() {
    let disk = directory_on_disk();
    let mut workload = flood(disk.path());
    let mut process = Command::new(host::memtrace())
        .args(["--cache", "dentry", "--interval", "200ms", "--pid", &workload.pid().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("memtrace starts");
    let mut table = BufReader::new(process.stdout.take().expect("it is piped"));
    let mut shown = Vec::new();
    let mut read_line = |shown: &mut Vec<u8>| table.read_until(b'\n', shown).expect("it writes on");
    read_line(&mut shown);
    // That there is a first block means that it is attached.
    workload.go();
    let escaped = [r#"mt\n\x1b[1m"\xff"#, r#"<n>\n\x1b[<n>J"'\\\xff"#];
    let are_all_in = |shown: &[u8]| {
        let text = String::from_utf8_lossy(shown);
        escaped.iter().all(|text_of_name| text.contains(text_of_name))
    };
    for _ in 0..MAX_LINES {
        read_line(&mut shown);
        if are_all_in(&shown) {
            break;
        }
    }
    kill_process(Pid::from_child(&process), Signal::INT).expect("it still runs");
    table.read_to_end(&mut shown).expect("it writes on");
    assert!(process.wait().expect("it is our child").success());
    let text = String::from_utf8(shown).expect("what is not UTF-8 is escaped");
    assert!(escaped.iter().all(|name| text.contains(name)), "{text}");
    let controls: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert_eq!(controls, [], "{text}");
    workload.end();
}
