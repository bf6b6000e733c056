use proptest::{collection::vec, prelude::*};

use super::*;

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
    let (curl, offset) = maps.find(0x55f1_c0a0_2010).unwrap().unwrap();
    assert_eq!((files.get(curl).name().as_str(), offset), ("curl", 0x2010));
    let (lib, offset) = maps.find(0x7f00_0000_0001).unwrap().unwrap();
    assert_eq!((files.get(lib).path.to_str().unwrap(), offset), ("/opt/a b/lib.so (deleted)", 0x1001));
    assert_eq!(maps.find(0x7f00_0002_0000), Some(None), "code without a file");
    assert_eq!(maps.find(0x55f1_c0a0_0000), None, "no code");
    assert_eq!(maps.find(0), None);
    // The same files have the same numbers.
    let again = Maps::parse(MAPS.as_bytes(), 8, &mut files);
    assert_eq!(again.find(0x55f1_c0a0_2010).unwrap().unwrap().0, curl);
}

#[test]
fn our_own_functions_have_names() {
    let process = procfs_id();
    let mut stacks = Stacks::new(1, None);
    let here = our_own_functions_have_names as *const () as u64 + 1;
    let frame = stacks.in_file(process, 0, here);
    let name = stacks.name(frame);
    assert!(name.contains("our_own_functions_have_names"), "{name}");
    let nowhere = stacks.in_file(process, 1, 16);
    assert_eq!(nowhere, Frame::Lost);
    let gone = stacks.in_file(ProcessId { tgid: u32::MAX, started: 0 }, 0, here);
    assert_eq!(stacks.name(gone), "(the process ended)");
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
    crate::process::procfs::look(std::process::id()).unwrap().process
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in vec(prop_oneof![any::<u8>(), Just(b' '), Just(b'-'), Just(b'\n'), b'0'..=b'9', Just(b'x')], 0..300)) {
        let maps = Maps::parse(&bytes, 1, &mut Files::default());
        let _ = maps.find(0);
    }
}
