use memtrace_common::event::BUILD_ID_LEN;
use proptest::{collection::vec, prelude::*};

use super::*;

const GONE: ProcessId = ProcessId { tgid: u32::MAX, started: 0 };

const MAPS: &str = "\
55f1c0a00000-55f1c0a02000 r--p 00000000 fd:01 1234                       /usr/bin/curl
55f1c0a02000-55f1c0a21000 r-xp 00002000 fd:01 1234                       /usr/bin/curl
7f0000000000-7f0000010000 r-xp 00001000 00:1c 99                         /opt/a b/lib.so (deleted)
7f0000020000-7f0000021000 rwxp 00000000 00:00 0
7ffd0000f000-7ffd00011000 r-xp 00000000 00:00 0                          [vdso]
";

#[test]
fn an_address_is_in_a_file() {
    let mut files = Files::default();
    let maps = Maps::parse(MAPS.as_bytes(), 7, &mut files);
    let find = |address| maps.find(UserCall::At(address), &files);
    let file = |address| {
        let Some(Frame::File(file, offset)) = find(address) else { panic!("{address:x} is in no file") };
        (files.get(file).path.to_str().unwrap(), offset)
    };
    assert_eq!(file(0x55f1_c0a0_2010), ("/usr/bin/curl", 0x2010));
    assert_eq!(file(0x7f00_0000_0001), ("/opt/a b/lib.so (deleted)", 0x1001));
    assert_eq!(find(0x7f00_0002_0000), Some(Frame::Anonymous));
    assert_eq!(find(0x55f1_c0a0_0000), None, "no code");
    assert_eq!(find(0), None);
    // The same files have the same numbers.
    let first = find(0x55f1_c0a0_2010);
    let again = Maps::parse(MAPS.as_bytes(), 8, &mut files);
    assert_eq!(again.find(UserCall::At(0x55f1_c0a0_2010), &files), first);
}

/// Where a function of ours is in our own file.
fn function_of_ours() -> ([u8; BUILD_ID_LEN], u64) {
    let mut files = Files::default();
    let maps = Maps::read(procfs_id(), &mut files).unwrap();
    let here = our_own_functions_have_names as *const () as u64 + 1;
    let Some(Frame::File(file, offset)) = maps.find(UserCall::At(here), &files) else { panic!("no file") };
    let path = files.get(file).path.clone();
    let build_id = blazesym::helper::read_elf_build_id(&path).unwrap().expect("the linker writes one");
    (build_id.as_ref().try_into().unwrap(), offset)
}

#[test]
fn our_own_functions_have_names() {
    let process = procfs_id();
    let mut stacks = Stacks::new(1, None);
    let here = UserCall::At(our_own_functions_have_names as *const () as u64 + 1);
    let frame = stacks.user_frame(process, 0, here);
    let name = stacks.name(frame);
    assert!(name.contains("our_own_functions_have_names"), "{name}");
    let nowhere = stacks.user_frame(process, 1, UserCall::At(16));
    assert_eq!(nowhere, Frame::Lost);
    let gone = stacks.user_frame(GONE, 0, here);
    assert_eq!(stacks.name(gone), "(the process ended)");
}

#[test]
fn a_file_is_known_after_the_process_is_gone() {
    let (build_id, offset) = function_of_ours();
    let call = UserCall::InFile(build_id, offset);
    let mut stacks = Stacks::new(1, None);
    assert_eq!(stacks.user_frame(GONE, 0, call), Frame::Gone, "nobody had it yet");
    let alive = stacks.user_frame(procfs_id(), 0, call);
    assert!(stacks.name(alive).contains("our_own_functions_have_names"));
    assert_eq!(stacks.user_frame(GONE, 0, call), alive);
    let other = UserCall::InFile([1; BUILD_ID_LEN], offset);
    let unmapped = stacks.user_frame(procfs_id(), 0, other);
    assert_eq!(stacks.name(unmapped), "(unknown file)");
}

#[test]
fn our_own_programs_are_no_calls() {
    let show = |names: &[&str]| without_tracing(names.iter().map(ToString::to_string)).join(" < ");
    assert_eq!(show(&["bpf_prog_1_kfree", "bpf_trace_run2", "kfree", "main"]), "kfree < main");
    let trampolines =
        ["__d_alloc", "d_alloc", "bpf_prog_9_x [bpf]", "d_alloc", "d_alloc_parallel", "bpf_prog_9_x [bpf]"];
    assert_eq!(
        show(&[&trampolines[..], &["d_alloc_parallel", "open"]].concat()),
        "__d_alloc < d_alloc < d_alloc_parallel < open"
    );
    assert_eq!(show(&["walk", "walk", "main"]), "walk < walk < main", "what calls itself");
}

fn procfs_id() -> ProcessId {
    crate::attribution::process::running(std::process::id()).unwrap().process
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'-'), Just(b'\n'), b'0'..=b'9', Just(b'x')], 0..300)) {
        let mut files = Files::default();
        let maps = Maps::parse(&bytes, 1, &mut files);
        let _ = maps.find(UserCall::At(0), &files);
    }
}
