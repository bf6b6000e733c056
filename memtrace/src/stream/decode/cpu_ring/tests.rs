use memtrace_common::{
    COMM_LEN,
    cpu_ring::{By, stamp},
    event::{MAX_FRAMES, UserCall},
};
use proptest::{collection::vec, prelude::*};

use super::*;

/// What a visitor got.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    events: Vec<String>,
}

impl<'a> RecordVisitor<'a> for Seen {
    fn event(&mut self, event: Event<'a>) {
        self.events.push(format!("{event:?}"));
    }

    fn alloc_with_stack(&mut self, alloc: Alloc, frames: Frames<'a>) {
        let (kernel, user): (Vec<_>, Vec<_>) = (frames.kernel().collect(), frames.user().collect());
        self.events.push(format!("{alloc:?} {kernel:?} {user:?}"));
    }
}

fn bytes_of<T: Copy>(record: &T) -> &[u8] {
    // SAFETY: records have no padding, so all their bytes are initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(record).cast::<u8>(), size_of::<T>()) }
}

fn by(tgid: u32, started: u32, flags: u16, cgroup: u64, comm: &[u8]) -> By {
    let comm = Comm::truncated(comm).padded();
    let word = |at: usize| u64::from_ne_bytes(comm[at..at + 8].try_into().unwrap());
    [u64::from(tgid) | u64::from(started) << 32, flags.into(), cgroup, word(0), word(8)]
}

fn head(ptr: u64, kind: u64, detail: u32) -> Head {
    Head { object: ptr | kind, detail, stamp: stamp(4096) }
}

fn alloc(ptr: u64, kind: u64) -> AllocRecord {
    AllocRecord { head: head(ptr, kind, 0xcc0), cache: 0x2000, call_site: 0x3000 }
}

/// Reads all that is there.
fn read_all(mut bytes: &[u8]) -> Seen {
    let (mut decoder, mut seen) = (Decoder::default(), Seen::default());
    while !bytes.is_empty() {
        let Next { stamp, start, end } = decoder.look(bytes).unwrap();
        assert_eq!(stamp, self::stamp(4096));
        decoder.decode(&bytes[start..end], 4096, &mut seen);
        bytes = &bytes[end..];
    }
    seen
}

#[test]
fn a_context_holds_until_the_next() {
    let first = Context { kind: CONTEXT, by: by(7, 8, FLAG_KTHREAD, 9, b"kworker/0:1") };
    let second = Context { kind: CONTEXT, by: by(17, 18, FLAG_IO_WORKER, 19, b"nginx") };
    let records = [
        bytes_of(&alloc(0x1000, ALLOC)),
        bytes_of(&first),
        bytes_of(&alloc(0x1040, ALLOC)),
        bytes_of(&alloc(0x1080, ALLOC_AGAIN)),
        bytes_of(&second),
        bytes_of(&alloc(0x10c0, ALLOC)),
    ]
    .concat();
    let mut allocs = Vec::new();
    let (mut decoder, mut bytes) = (Decoder::default(), &records[..]);
    while !bytes.is_empty() {
        let Next { start, end, .. } = decoder.look(bytes).unwrap();
        decoder.decode(&bytes[start..end], 4096, &mut |event: Event<'_>| match event {
            Event::Alloc(alloc) => allocs.push(alloc),
            other => panic!("{other:?}"),
        });
        bytes = &bytes[end..];
    }
    let task = |tgid, started, comm: &[u8], is_kthread| Task {
        tgid,
        started,
        comm: Comm::truncated(comm),
        is_kthread,
    };
    let tasks: Vec<_> =
        allocs.iter().map(|it| (it.task, it.cgroup, it.is_io_worker, it.may_repeat)).collect();
    let kworker = task(7, 8, b"kworker/0:1", true);
    assert_eq!(
        tasks,
        [
            (task(0, 0, b"", false), 0, false, false),
            (kworker, 9, false, false),
            (kworker, 9, false, true),
            (task(17, 18, b"nginx", false), 19, true, false),
        ]
    );
    assert_eq!(
        (allocs[0].ptr, allocs[0].time, allocs[0].cache, allocs[0].call_site, allocs[0].gfp),
        (0x1000, 4096, 0x2000, 0x3000, 0xcc0)
    );
}

#[test]
fn frees_say_their_cache_unless_they_may_repeat() {
    let free = |kind, tag| head(0x1000, kind, tag);
    let records = [
        bytes_of(&free(FREE, 5)),
        bytes_of(&free(FREE, cache_tag(NO_CACHE))),
        bytes_of(&free(FREE_AGAIN, 5)),
    ]
    .concat();
    let expected =
        [Some(5), None, None].map(|cache| format!("{:?}", Event::Free(Free { ptr: 0x1000, cache })));
    assert_eq!(read_all(&records).events, expected);
}

#[test]
fn names_are_cut_where_they_are_too_long() {
    let mut record = NameRecord::<SHORT_NAME_LEN> {
        head: head(0x1000, SHORT_NAME, 3),
        parent: 0x2000,
        parent_name_len: 300,
        reserved: 0,
        name: [0; SHORT_NAME_LEN],
        parent_name: [b'p'; SHORT_NAME_LEN],
    };
    record.name[..3].copy_from_slice(b"abc");
    let expected = Event::Name(Name { dentry: 0x1000, name: b"abc", parent: &[b'p'; SHORT_NAME_LEN] });
    assert_eq!(read_all(bytes_of(&record)).events, [format!("{expected:?}")]);
}

#[test]
fn stacks_are_as_long_as_they_say() {
    let nothing = UserCall { status: 0, build_id: [0; 20], place: 0 };
    let mut record = AllocStackRecord {
        alloc: alloc(0x1000, ALLOC_STACK),
        kernel_len: 16,
        user_len: -14,
        may_repeat: 1,
        kernel: [0; MAX_FRAMES],
        user: [nothing; MAX_FRAMES],
    };
    record.kernel[..3].copy_from_slice(&[11, 12, 13]);
    let seen = read_all(bytes_of(&record));
    assert!(
        seen.events[0].contains("may_repeat: true") && seen.events[0].ends_with(" [11, 12] []"),
        "{seen:?}"
    );
}

proptest! {
    /// Nothing that is there makes it fail, and what is too short is refused.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..2_000), comm in any::<[u8; COMM_LEN]>()) {
        let (mut decoder, mut seen) = (Decoder::default(), Seen::default());
        decoder.task.comm = Comm::new(comm);
        if let Ok(Next { start, end, .. }) = decoder.look(&bytes) {
            prop_assert!(start < end && end <= bytes.len());
            decoder.decode(&bytes[start..end], 1, &mut seen);
        }
        prop_assert!(seen.events.len() <= 1);
    }
}
