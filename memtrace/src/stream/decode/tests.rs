use std::num::NonZeroU32;

use proptest::{collection::vec, prelude::*};

use memtrace_common::event::MAX_FRAMES;

use super::*;
use crate::stream::event::COMM_LEN;

/// What a record held.
#[derive(Debug, PartialEq)]
enum Decoded<'a> {
    Object(Event<'a>),
    AllocWithStack(Alloc, Frames<'a>),
    Process(ProcessEvent<'a>),
}

impl<'a> RecordVisitor<'a> for Option<Decoded<'a>> {
    fn event(&mut self, event: Event<'a>) {
        assert_eq!(self.replace(Decoded::Object(event)), None);
    }

    fn alloc_with_stack(&mut self, alloc: Alloc, frames: Frames<'a>) {
        assert_eq!(self.replace(Decoded::AllocWithStack(alloc, frames)), None);
    }

    fn process(&mut self, event: ProcessEvent<'a>) {
        assert_eq!(self.replace(Decoded::Process(event)), None);
    }
}

/// A record that is refused holds nothing.
fn decode(bytes: &[u8]) -> Result<Decoded<'_>, DecodeError> {
    let mut decoded = None;
    let result = super::decode(bytes, &mut decoded);
    assert_eq!(result.is_ok(), decoded.is_some());
    result.map(|()| decoded.expect("just checked"))
}

/// The bytes of a record, as the kernel side writes them.
fn bytes_of<T: Copy>(record: &T) -> Vec<u8> {
    // SAFETY: records have no padding, so all their bytes are initialised; they are copied while `record` is borrowed.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast::<u8>(), size_of::<T>()) }.to_vec()
}

fn alloc_event() -> AllocEvent {
    let comm = [0; COMM_LEN];
    AllocEvent {
        header: header(KIND_ALLOC),
        tgid: 0,
        ptr: 1,
        time_ns: 7,
        cache: 2,
        call_site: 3,
        cgroup: 4,
        comm,
        started: 5,
        gfp: 6,
    }
}

/// As the kernel tells it; None is one of which it tells nothing.
fn user_call(call: Option<UserCall>) -> UserCallRecord {
    let (status, build_id, place) = match call {
        Some(UserCall::InFile(build_id, place)) => (IN_FILE, build_id, place),
        Some(UserCall::At(place)) => (AT_ADDRESS, [0; BUILD_ID_LEN], place),
        None => (0, [9; BUILD_ID_LEN], 9),
    };
    UserCallRecord { status, build_id, place }
}

fn any_user_call() -> impl Strategy<Value = Option<UserCall>> {
    let in_file = (any::<[u8; BUILD_ID_LEN]>(), any::<u64>());
    let in_file = in_file.prop_map(|(build_id, place)| Some(UserCall::InFile(build_id, place)));
    prop_oneof![in_file, any::<u64>().prop_map(|address| Some(UserCall::At(address))), Just(None)]
}

fn exec_event(path: &[u8], arguments: &[u8]) -> ExecEvent {
    let mut event = ExecEvent {
        header: header(KIND_EXEC),
        tgid: 0,
        started: 0,
        parent_tgid: 0,
        parent_started: 0,
        path_len: path.len() as u32 + 1,
        arguments_len: arguments.len() as u32,
        reserved: 0,
        comm: [0; COMM_LEN],
        path: [0; PATH_LEN],
        arguments: [0; ARGUMENTS_LEN],
    };
    event.path[..path.len()].copy_from_slice(path);
    event.arguments[..arguments.len()].copy_from_slice(arguments);
    event
}

/// A record about an object, decoded.
fn object(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    match decode(bytes)? {
        Decoded::Object(event) => Ok(event),
        other => panic!("{other:?}"),
    }
}

fn header(kind: u16) -> Header {
    Header { kind, flags: 0 }
}

fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

fn name_record<const N: usize>(kind: u16, name: &[u8], parent: &[u8]) -> NameEvent<N> {
    NameEvent {
        header: header(kind),
        reserved: 0,
        dentry: 0xffff_8880_0000_1000,
        parent: 0xffff_8880_0000_2000,
        name_len: name.len() as u32,
        parent_name_len: parent.len() as u32,
        name: padded(name),
        parent_name: padded(parent),
    }
}

/// One valid record of each kind.
fn records() -> Vec<Vec<u8>> {
    vec![
        bytes_of(&AllocEvent { comm: padded(b"curl"), ..alloc_event() }),
        bytes_of(&FreeEvent { header: header(KIND_FREE), cache_tag: 5, ptr: 1 }),
        bytes_of(&name_record::<SHORT_NAME_LEN>(KIND_SHORT_NAME, b"x", b"y")),
        bytes_of(&name_record::<LONG_NAME_LEN>(KIND_LONG_NAME, b"x", b"y")),
        bytes_of(&ForkEvent {
            header: header(KIND_FORK),
            tgid: 1,
            started: 2,
            parent_tgid: 3,
            parent_started: 4,
            reserved: 0,
            parent_comm: padded(b"sh"),
        }),
        bytes_of(&exec_event(b"/bin/sh", b"sh\0-c\0")),
        bytes_of(&ExitEvent { header: header(KIND_EXIT), tgid: 1, started: 2, reserved: 0 }),
        bytes_of(&AllocStackEvent {
            alloc: AllocEvent { header: header(KIND_ALLOC_STACK), ..alloc_event() },
            kernel_len: 16,
            user_len: 32,
            kernel: [1; MAX_FRAMES],
            user: [user_call(Some(UserCall::At(2))); MAX_FRAMES],
        }),
    ]
}

#[test]
fn too_short_for_a_header() {
    for len in 0..size_of::<Header>() {
        assert_eq!(decode(&vec![1; len]), Err(DecodeError::NoHeader { len }));
    }
}

#[test]
fn a_record_has_its_kind_s_length_exactly() {
    for record in records() {
        let (expected, kind) = (record.len(), u16::from_ne_bytes([record[0], record[1]]));
        assert!(decode(&record).is_ok(), "kind {kind}");
        for len in (size_of::<Header>()..expected).chain([expected + 1, expected + 8]) {
            let mut other = record.clone();
            other.resize(len, 0);
            assert_eq!(decode(&other), Err(DecodeError::Length { kind, len, expected }));
        }
    }
}

#[test]
fn a_kind_of_another_version() {
    for kind in [0, KIND_ALLOC_STACK + 1, u16::MAX] {
        assert_eq!(decode(&bytes_of(&header(kind))), Err(DecodeError::UnknownKind { kind }));
    }
}

#[test]
fn errors_say_what_is_wrong() {
    for (error, text) in [
        (DecodeError::NoHeader { len: 3 }, "a record of 3 bytes is too short to have a kind"),
        (DecodeError::Length { kind: 2, len: 25, expected: 24 }, "a record of kind 2 has 25 bytes, not 24"),
        (DecodeError::UnknownKind { kind: 9 }, "a record of unknown kind 9"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

/// `name_len` is the name's length in the kernel; only what fits is there.
#[test]
fn a_longer_name_than_the_room_is_cut() {
    let mut record = name_record::<SHORT_NAME_LEN>(KIND_SHORT_NAME, &[b'n'; SHORT_NAME_LEN], b"dir");
    for name_len in [SHORT_NAME_LEN as u32, SHORT_NAME_LEN as u32 + 1, u32::MAX] {
        record.name_len = name_len;
        let bytes = bytes_of(&record);
        let Ok(Event::Name(event)) = object(&bytes) else { panic!("no name") };
        assert_eq!(event.name, [b'n'; SHORT_NAME_LEN]);
        assert_eq!(event.parent, b"dir");
    }
}

/// A ring's record may hold old bytes behind the name, which the kernel side does not clear.
#[test]
fn what_lies_behind_a_name_is_not_its_part() {
    let mut record = name_record::<SHORT_NAME_LEN>(KIND_SHORT_NAME, b"new-and-old", b"root");
    record.name_len = 3;
    record.parent_name_len = 0;
    let bytes = bytes_of(&record);
    let Ok(Event::Name(event)) = object(&bytes) else { panic!("no name") };
    assert_eq!((event.name, event.parent), (&b"new"[..], &b""[..]));
}

#[test]
fn the_longest_name_is_whole() {
    let longest = [b'x'; memtrace_common::event::NAME_MAX];
    let bytes = bytes_of(&name_record::<LONG_NAME_LEN>(KIND_LONG_NAME, &longest, &longest));
    let Ok(Event::Name(event)) = object(&bytes) else { panic!("no name") };
    assert_eq!((event.name, event.parent), (&longest[..], &longest[..]));
}

#[test]
fn equal_command_names_are_equal_whatever_follows_their_end() {
    let comm = |comm: [u8; COMM_LEN]| {
        let bytes = bytes_of(&AllocEvent { comm, ..alloc_event() });
        match object(&bytes) {
            Ok(Event::Alloc(alloc)) => alloc.task.comm,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(comm(*b"sh\0ld name here\0"), comm(padded(b"sh")));
    // The kernel always ends it with a NUL; where there is none, all is name.
    assert_eq!(comm([b'a'; COMM_LEN]).as_bytes(), [b'a'; COMM_LEN]);
}

proptest! {
    #[test]
    fn allocations_arrive_as_sent(
        time in any::<u64>(),
        ptr in any::<u64>(),
        cache in any::<u64>(),
        call_site in any::<u64>(),
        cgroup in any::<u64>(),
        tgid in any::<u32>(),
        started in any::<u32>(),
        gfp in any::<u32>(),
        flags in any::<u16>(),
        comm in any::<[u8; COMM_LEN]>(),
    ) {
        let header = Header { kind: KIND_ALLOC, flags };
        let record = AllocEvent { header, tgid, ptr, time_ns: time, cache, call_site, cgroup, comm, started, gfp };
        let task = Task { tgid, started, comm: Comm::new(comm), is_kthread: flags & FLAG_KTHREAD != 0 };
        let may_repeat = flags & FLAG_MAY_REPEAT != 0;
        let (stack, node, is_io_worker) = (NO_STACK, NO_NODE, flags & FLAG_IO_WORKER != 0);
        let alloc = Alloc { time, ptr, cache, call_site, cgroup, stack, gfp, node, task, is_io_worker, may_repeat };
        let bytes = bytes_of(&record);
        prop_assert_eq!(object(&bytes), Ok(Event::Alloc(alloc)));
    }

    #[test]
    fn stacks_arrive_as_sent(
        kernel in vec(any::<u64>(), 0..=MAX_FRAMES),
        user in vec(any_user_call(), 0..=MAX_FRAMES),
        fails in any::<bool>(),
    ) {
        fn padded<T: Copy>(frames: &[T], with: T) -> [T; MAX_FRAMES] {
            std::array::from_fn(|at| frames.get(at).copied().unwrap_or(with))
        }
        let alloc = AllocEvent { header: header(KIND_ALLOC_STACK), ..alloc_event() };
        let record = AllocStackEvent {
            alloc,
            kernel_len: 8 * kernel.len() as i32,
            user_len: if fails { -14 } else { 32 * user.len() as i32 },
            kernel: padded(&kernel, 7),
            user: padded(&user.iter().map(|&call| user_call(call)).collect::<Vec<_>>(), user_call(None)),
        };
        let bytes = bytes_of(&record);
        let Ok(Decoded::AllocWithStack(alloc, frames)) = decode(&bytes) else { panic!("no stack") };
        prop_assert_eq!(alloc.ptr, record.alloc.ptr);
        prop_assert_eq!(frames.kernel().collect::<Vec<_>>(), kernel);
        let told: Vec<UserCall> = user.into_iter().flatten().collect();
        prop_assert_eq!(frames.user().collect::<Vec<_>>(), if fails { Vec::new() } else { told });
    }

    #[test]
    fn processes_arrive_as_sent(
        [tgid, started, parent_tgid, parent_started] in any::<[u32; 4]>(),
        comm in any::<[u8; COMM_LEN]>(),
        path in vec(1..255_u8, 0..PATH_LEN),
        arguments in vec(any::<u8>(), 0..=ARGUMENTS_LEN),
    ) {
        let process = ProcessId { tgid, started };
        let parent = ProcessId { tgid: parent_tgid, started: parent_started };
        let parent_comm = comm;
        let fork = ForkEvent { header: header(KIND_FORK), tgid, started, parent_tgid, parent_started, reserved: 0, parent_comm };
        let parent_comm = Comm::new(comm);
        let bytes = bytes_of(&fork);
        prop_assert_eq!(decode(&bytes), Ok(Decoded::Process(ProcessEvent::Fork { process, parent, parent_comm })));
        let exec = ExecEvent { tgid, started, parent_tgid, parent_started, ..exec_event(&path, &arguments) };
        let program = Program { path: &path, arguments: &arguments };
        let exec = bytes_of(&ExecEvent { comm, ..exec });
        let comm = Comm::new(comm);
        prop_assert_eq!(decode(&exec), Ok(Decoded::Process(ProcessEvent::Exec { process, parent, comm, program })));
        let exit = bytes_of(&ExitEvent { header: header(KIND_EXIT), tgid, started, reserved: 0 });
        prop_assert_eq!(decode(&exit), Ok(Decoded::Process(ProcessEvent::Exit { process })));
    }

    #[test]
    fn frees_arrive_as_sent(ptr in any::<u64>(), flags in any::<u16>(), tag in any::<Option<NonZeroU32>>()) {
        let header = Header { kind: KIND_FREE, flags };
        let cache = tag.map(NonZeroU32::get);
        let bytes = bytes_of(&FreeEvent { header, cache_tag: cache.unwrap_or(cache_tag(NO_CACHE)), ptr });
        let cache = cache.filter(|_| flags & FLAG_MAY_REPEAT == 0);
        prop_assert_eq!(object(&bytes), Ok(Event::Free(Free { ptr, cache })));
    }

    #[test]
    fn names_arrive_as_sent(
        dentry in any::<u64>(),
        name in vec(any::<u8>(), 0..=SHORT_NAME_LEN),
        parent in vec(any::<u8>(), 0..=SHORT_NAME_LEN),
    ) {
        let short = name_record::<SHORT_NAME_LEN>(KIND_SHORT_NAME, &name, &parent);
        let long = name_record::<LONG_NAME_LEN>(KIND_LONG_NAME, &name, &parent);
        for bytes in [bytes_of(&NameEvent { dentry, ..short }), bytes_of(&NameEvent { dentry, ..long })] {
            prop_assert_eq!(object(&bytes), Ok(Event::Name(Name { dentry, name: &name, parent: &parent })));
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..700)) {
        let _ = decode(&bytes);
    }

    /// Of a valid kind and length, any bytes are a valid record.
    #[test]
    fn any_bytes_of_the_right_length_are_a_record(seed in any::<u64>(), record in proptest::sample::select(records())) {
        let mut bytes = record;
        for (index, byte) in bytes.iter_mut().enumerate().skip(2) {
            *byte = (seed.rotate_left(index as u32) >> (index % 8)) as u8;
        }
        prop_assert!(decode(&bytes).is_ok());
    }

    /// The ring aligns records to 8 bytes; a recording need not.
    #[test]
    fn bytes_need_not_be_aligned(shift in 0..8usize, record in proptest::sample::select(records())) {
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(&record);
        prop_assert_eq!(decode(&bytes[shift..]), decode(&record));
    }
}
