use std::fs::Permissions;

use super::*;
use crate::testing;

const LONG: Duration = Duration::from_secs(60);

/// A program in a directory that only we may write in.
fn program(directory: &Path, text: &str) -> PathBuf {
    testing::executable(directory, &format!("#!/bin/sh\n{text}\n"))
}

/// What `/proc` says of a process: nothing, or that it is a zombie, once it is dead. Its signal is on its way for a while.
fn state_when_dead(pid: &str) -> String {
    let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    for _ in 0..1_000 {
        if is_dead(&state()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    state()
}

fn is_dead(state: &str) -> bool {
    state.is_empty() || state.contains(") Z ")
}

fn run(text: &str, within: Duration) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let hook = Hook::new(&program(directory.path(), text), within).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(hook.run(Path::new("/a b.tar.zst")))
}

#[test]
fn it_gets_the_bundle_and_its_output_is_passed_on() {
    let ran = run("echo \"$# $1\"; printf 'colour \\033[31m\\n' >&2", LONG);
    assert!(ran.is_good);
    assert_eq!(ran.said, ["hook: 1 /a b.tar.zst", "hook: colour \\x1b[31m"]);
}

#[test]
fn how_it_failed_is_said() {
    assert_eq!(run("echo no; exit 7", LONG).said, ["hook: no", "hook failed: exit code 7"]);
    assert_eq!(run("kill -9 $$", LONG).said, ["hook failed: ended by signal 9"]);
    assert!(!run("exit 1", LONG).is_good);
}

#[test]
fn much_output_is_cut_and_nobody_waits() {
    let ran = run("head -c 1000000 /dev/zero | tr '\\0' x", LONG);
    assert!(ran.is_good);
    assert_eq!(ran.said.iter().map(String::len).sum::<usize>(), "hook: ".len() + MAX_OUTPUT);
}

/// Its child too, which holds the output open.
#[test]
fn what_hangs_is_killed_with_all_that_it_started() {
    for text in ["sleep 1000", "sleep 1000 & echo $!"] {
        let ran = run(text, Duration::from_millis(300));
        assert!(!ran.is_good);
        assert_eq!(ran.said.last().map(String::as_str), Some("hook killed: it took more than 300 ms"));
        let Some(pid) = ran.said[0].strip_prefix("hook: ") else { continue };
        let state = state_when_dead(pid);
        assert!(is_dead(&state), "{state}");
    }
}

#[test]
fn what_others_could_change_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = program(directory.path(), "");
    let with = |mode| {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Hook::new(&path, LONG).map(drop)
    };
    assert!(with(0o700).is_ok() && with(0o755).is_ok());
    assert!(matches!(with(0o757), Err(HookError::Writable { .. })));
    assert!(matches!(with(0o644), Err(HookError::NotExecutable(_))));
    with(0o700).unwrap();
    assert!(matches!(Hook::new(directory.path(), LONG), Err(HookError::NotAFile(_))));
    assert!(matches!(Hook::new(&directory.path().join("none"), LONG), Err(HookError::Io { .. })));
    fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
    let error = Hook::new(&path, LONG).map(drop).unwrap_err().to_string();
    assert!(error.ends_with("can be written to by others"), "{error}");
}

/// Between the start of the watch and the incident somebody may have changed its mode.
#[test]
fn it_is_checked_again_before_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = program(directory.path(), "echo it ran");
    let hook = Hook::new(&path, LONG).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ran = runtime.block_on(hook.run(Path::new("/a")));
    assert!(!ran.is_good && ran.said[0].starts_with("hook not run: "), "{ran:?}");
}
