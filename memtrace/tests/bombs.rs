//! Files that were made to take all memory, or all day: whatever a file of some megabytes is unpacked to, reading it ends within bounds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use memtrace::{
    attribution::process::{Command as Program, Definition},
    evidence::recording::{
        Encoder, Entry, Header, Place,
        block::{self, About, Contents, FRAME_LEN, Frame, Packer},
        definitions::Definitions,
        file::Sink,
        footer::BlockFooter,
        wire::MAX_ITEMS,
    },
    stream::event::{Alloc, Comm, Free, NO_GFP, NO_NODE, Name, ProcessId, Task},
    view::{Checkpoint, lookups::CacheInfo},
};

const SECOND: u64 = 1_000_000_000;

/// As many as one list may have.
const MANY: u64 = MAX_ITEMS as u64 - 1;

/// No reading of a file of 10 MB takes more.
const MOST_MEMORY_KIB: u64 = 512 << 10;

/// A file in the making.
struct Bomb {
    sink: Sink,
    packer: Packer,
    /// The last block that was packed.
    packed: Vec<u8>,
    frame: Option<Frame>,
    places: Vec<Place>,
    path: PathBuf,
}

impl Bomb {
    fn new(directory: &Path) -> Self {
        let path = directory.join("bomb.mt");
        let mut sink = Sink::create(&path, false, None).unwrap();
        sink.begin(&Header::default()).unwrap();
        Self {
            sink,
            packer: Packer::new().unwrap(),
            packed: Vec::new(),
            frame: None,
            places: Vec::new(),
            path,
        }
    }

    fn block(&mut self, definitions: &Definitions, entries: &mut dyn Iterator<Item = Entry<'_>>) {
        let mut encoder = Encoder::default();
        entries.for_each(|entry| encoder.push(&entry));
        let count = encoder.entries();
        let sequence = self.places.len() as u64;
        let elapsed = (sequence + 1) * SECOND;
        let checkpoint = Checkpoint {
            time: SystemTime::UNIX_EPOCH + Duration::from_nanos(elapsed),
            now: elapsed,
            elapsed: Duration::from_nanos(elapsed),
            ..Checkpoint::default()
        };
        let footer = BlockFooter { checkpoint, is_report: true, ..BlockFooter::default() };
        let mut plain = Vec::new();
        block::put(&mut encoder, definitions, &footer, &mut plain);
        self.plain(&plain, count);
    }

    fn plain(&mut self, plain: &[u8], entries: u64) {
        let about = About { contents: Contents::Block, sequence: 0, start: 0, end: 0, entries };
        self.packed.clear();
        self.frame = Some(self.packer.pack(plain, about, &mut self.packed).unwrap());
        self.again(1);
    }

    /// The last block, so many times.
    fn again(&mut self, times: u64) {
        for _ in 0..times {
            self.put();
        }
    }

    fn put(&mut self) {
        let sequence = self.places.len() as u64;
        let (start, end) = (sequence * SECOND, (sequence + 1) * SECOND);
        let frame = Frame { sequence, start, end, ..self.frame.unwrap() };
        let Frame { entries, .. } = frame;
        let mut packed = self.packed.clone();
        packed[..FRAME_LEN].copy_from_slice(&frame.to_bytes());
        let offset = self.sink.append(sequence, &packed).unwrap().offset;
        self.places.push(Place { sequence, offset, start, end, entries, outstanding: Default::default() });
    }

    /// Fills it up to 10 MB with what no block is.
    fn finish(mut self) -> PathBuf {
        let left = 10_000_000_u64.saturating_sub(self.sink.len());
        self.sink.append(u64::MAX, &vec![b'x'; left as usize]).unwrap();
        self.sink.finish(&self.places, &mut self.packer).unwrap();
        self.path
    }
}

fn alloc(n: u64) -> Alloc {
    Alloc {
        time: n,
        ptr: 0xffff_8880_0000_0000 + 64 * n,
        cache: 1,
        call_site: 0,
        cgroup: 0,
        stack: 0,
        task: task(2),
        gfp: NO_GFP,
        node: NO_NODE,
        is_io_worker: false,
        may_repeat: false,
    }
}

fn task(tgid: u32) -> Task {
    Task { tgid, started: tgid, comm: Comm::truncated(b"bomb"), is_kthread: false }
}

fn nothing() -> Definitions {
    Definitions { caches: vec![cache(1)], ..Definitions::default() }
}

fn cache(n: u64) -> (u64, CacheInfo) {
    (n, CacheInfo { name: format!("c{n}"), object_size: 64, ..CacheInfo::default() })
}

fn process(n: u64, command: Option<Arc<Program>>) -> Definition {
    Definition {
        id: ProcessId { tgid: 7, started: 2 * n as u32 },
        slack: 0,
        comm: Comm::truncated(b"bomb"),
        chain: Vec::new(),
        command,
        has_ended: false,
    }
}

/// As many columns, rows and reports as there can be.
const REPORT: &[&str] =
    &["report", "FROM", "--by", "pid,callsite,cgroup", "-o", "html", "--out", "TO", "--force"];
const PLAIN: &[&str] = &["report", "FROM"];
const REDACT: &[&str] = &["redact", "FROM", "-o", "TO", "--force"];
const EVENTS: &[&str] = &["events", "FROM", "--out", "/dev/null"];

/// Makes a test of each: what it is, which commands read it, and how it is made.
macro_rules! bombs {
    ($($name:ident, $commands:expr, $make:expr;)+) => {
        $(#[test]
        fn $name() {
            is_survived(&$commands, $make);
        })+
    };
}

bombs! {
    half_a_million_slab_caches, [REPORT, EVENTS], |bomb| {
        for block in 0..2 {
            let caches = (block * MANY..(block + 1) * MANY).map(cache).collect();
            let mut allocs = (block * MANY..(block + 1) * MANY).map(|n| Alloc { cache: n, ..alloc(n) }.into());
            bomb.block(&Definitions { caches, ..Definitions::default() }, &mut allocs);
        }
    };
    half_a_million_rows, [REPORT, REDACT], |bomb| {
        for block in 0..2 {
            bomb.block(&nothing(), &mut (block * MANY..(block + 1) * MANY).map(|n| row(n).into()));
        }
    };
    as_many_rows_as_may_be, [REPORT], |bomb| {
        for block in 0..8 {
            bomb.block(&nothing(), &mut (block * 10_000..(block + 1) * 10_000).map(|n| row(n).into()));
        }
    };
    millions_of_objects, [PLAIN], |bomb| {
        for block in 0..10 {
            bomb.block(&nothing(), &mut (block * 300_000..(block + 1) * 300_000).map(|n| alloc(n).into()));
        }
    };
    long_paths_of_cgroups, [REPORT, REDACT], |bomb| {
        let long = "x".repeat(4000);
        for block in 0..6 {
            let path = |n: u64| format!("/{long}{}", block * 10_000 + n).into_bytes();
            let cgroups = (0..10_000).map(|n| (block * 10_000 + n, Some(path(n)))).collect();
            bomb.block(&Definitions { cgroups, ..nothing() }, &mut std::iter::empty());
        }
    };
    names_of_megabytes_in_directories_of_megabytes, [REPORT, REDACT], |bomb| {
        let (name, parent) = (vec![b'7'; 1 << 20], vec![b'a'; 2 << 20]);
        for block in 0..2 {
            let mut entries = (0..1_000).flat_map(|n| {
                let n = block * 1_000 + n;
                let name = if n % 1_000 == 0 { &name[..] } else { b"x" };
                [alloc(n).into(), Name { dentry: alloc(n).ptr, name, parent: &parent }.into()]
            });
            bomb.block(&nothing(), &mut entries);
        }
    };
    a_period_that_rises_step_by_step, [REPORT], |bomb| {
        bomb.block(&nothing(), &mut (0..100_000).map(|n| alloc(n).into()));
        bomb.block(&nothing(), &mut (2..20_000).map(Entry::Period));
    };
    processes_of_one_number, [REPORT], |bomb| {
        let processes = (0..MANY).map(|n| process(n, None)).collect();
        bomb.block(&Definitions { processes, ..nothing() }, &mut (0..1000).map(|n| alloc(n).into()));
    };
    texts_that_are_copied_again_and_again, [REPORT, REDACT], |bomb| {
        let command = Arc::new(Program { path: vec![b'/'; 4000].into(), arguments: vec![b'x'; 4000].into() });
        let processes = (0..7_000).map(|n| process(n, Some(Arc::clone(&command)))).collect();
        bomb.block(&Definitions { processes, ..nothing() }, &mut std::iter::empty());
        bomb.again(200);
    };
    frames_of_stacks, [REPORT, REDACT, EVENTS], |bomb| {
        for block in 0..20 {
            let stack = |n: u64| ((block * 15_000 + n) as u32, vec!["f".repeat(20); 40]);
            let stacks = (0..15_000).map(stack).collect();
            bomb.block(&Definitions { stacks, ..nothing() }, &mut std::iter::empty());
        }
    };
    frees_of_millions_of_tags, [REPORT], |bomb| {
        for block in 0..8 {
            let free = |n: u64| Free { ptr: 8 * n, cache: Some((block * MANY + n) as u32) };
            bomb.block(&nothing(), &mut (0..MANY).map(|n| free(n).into()));
        }
    };
    megabytes_of_zeros, [REPORT, REDACT], |bomb| {
        bomb.plain(&vec![0; 15 << 20], 0);
        bomb.again(3_000);
    };
}

fn row(n: u64) -> Alloc {
    Alloc { task: task(n as u32 + 2), call_site: n, cgroup: n, ..alloc(n) }
}

/// Runs memtrace; with the most memory that it took, in KiB.
fn run(arguments: &[&str], from: &Path, to: &Path) -> (Output, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memtrace"));
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    command.args(arguments.iter().map(|&argument| match argument {
        "FROM" => from,
        "TO" => to,
        argument => argument,
    }));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().expect("memtrace starts");
    let status = format!("/proc/{}/status", child.id());
    let watch = thread::spawn(move || {
        let mut most = 0;
        // A process that has ended has no memory.
        while let Some(now) = peak(&fs::read_to_string(&status).unwrap_or_default()) {
            most = now;
            thread::sleep(Duration::from_millis(5));
        }
        most
    });
    let output = child.wait_with_output().expect("it is our child");
    (output, watch.join().unwrap())
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Each command ends well, or refuses it, and takes no more memory than it may.
#[track_caller]
fn is_survived(commands: &[&[&str]], make: fn(&mut Bomb)) {
    let directory = tempfile::tempdir().unwrap();
    let mut bomb = Bomb::new(directory.path());
    make(&mut bomb);
    let from = bomb.finish();
    for arguments in commands {
        let (output, memory) = run(arguments, &from, &directory.path().join("to"));
        let said = String::from_utf8_lossy(&output.stderr);
        let is_refused =
            output.status.code() == Some(1) && said.contains("too much for a file of its length");
        assert!(output.status.success() || is_refused, "{arguments:?}: {}: {said}", output.status);
        assert!(memory < MOST_MEMORY_KIB, "{arguments:?} took {memory} KiB: {said}");
    }
}
