//! Who does neither: what is held stays as it is, goes again, or goes with the page cache.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{Scene, stage::Stage};

pub const SCENES: &[Scene] = &[
    Scene::innocent("logger", logger),
    Scene::innocent("copy", copy),
    Scene::innocent("tar", |stage| walk_all(stage, |path| drop(fs::read(path)))),
    Scene::innocent("find", |stage| walk_all(stage, |path| drop(path.symlink_metadata()))),
    Scene::innocent("git-status", git_status),
    Scene::innocent("compiler", compiler),
    Scene::innocent("packages", packages),
    Scene::innocent("database", database),
    Scene::innocent("mail-spool", mail_spool),
    Scene::innocent("editor", editor),
    Scene::innocent("renamed", renamed),
    Scene::innocent("burst", burst),
    Scene::innocent("late-burst", late_burst),
    Scene::innocent("warm-up", warm_up),
    Scene::innocent("sawtooth", sawtooth),
    Scene::innocent("cron", |stage| stage.each(1.0, |_| run("true"))),
    Scene::innocent("shell", |stage| stage.each(10.0, |_| run("ls / >/dev/null"))),
    Scene::innocent("web-server", web_server),
    Scene::innocent("keep-alive", keep_alive),
    Scene::innocent("mmap", mmap),
    Scene::innocent("memory-hog", memory_hog),
    Scene::innocent("churn", |stage| stage.each(5_000.0, |_| drop(File::open("/dev/null")))),
    Scene::innocent("queue", queue),
    Scene::innocent("thread-pool", |stage| {
        stage.each(100.0, |_| thread::spawn(|| ()).join().expect("it ends"));
    }),
    Scene::innocent("same-missing", same_missing),
    Scene::innocent("monitor", monitor),
    Scene::innocent("mapper", mapper),
];

fn null() -> File {
    File::open("/dev/null").expect("it is there")
}

fn run(command: &str) {
    let status = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).status();
    drop(status);
}

/// 8 MB a second into one file, which is made anew when it is large.
fn logger(stage: &Stage) {
    let path = stage.directory.join("log");
    let lines = vec![b'x'; stage.many(400_000)];
    let mut log = File::create(&path).expect("the directory is ours");
    stage.each(20.0, |number| {
        if number % 400 == 399 {
            log = File::create(&path).expect("the directory is ours");
        }
        log.write_all(&lines).expect("there is room");
    });
}

fn copy(stage: &Stage) {
    let from = stage.directory.join("from");
    fs::write(&from, vec![b'x'; 16 << 20]).expect("there is room");
    stage.each(4.0, |number| {
        fs::copy(&from, stage.directory.join(format!("to-{}", number % 16))).expect("there is room");
    });
}

/// Each file below /usr once; then it is done.
fn walk_all(stage: &Stage, visit: impl Fn(&Path)) {
    let mut directories = vec![PathBuf::from("/usr")];
    while let (Some(directory), false) = (directories.pop(), stage.is_over()) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_file() => visit(&entry.path()),
                _ => {}
            }
        }
    }
    stage.rest();
}

fn git_status(stage: &Stage) {
    let path = |number: u64| stage.directory.join(format!("source-{number}.c"));
    (0..2000).for_each(|number| fs::write(path(number), "int x;").expect("the directory is ours"));
    stage.each(1.0, |_| (0..2000).for_each(|number| drop(path(number).symlink_metadata())));
}

/// Looks for the same headers in the same directories, and makes one object file after the other.
fn compiler(stage: &Stage) {
    stage.each(10.0, |number| {
        for header in 0..100 {
            for include in ["a", "b", "c"] {
                let _ = stage.directory.join(include).join(format!("header-{header}.h")).symlink_metadata();
            }
        }
        run(":");
        fs::write(stage.directory.join(format!("object-{}.o", number % 300)), vec![0; 20_000]).expect("room");
    });
}

/// Unpacks files and gives each its name.
fn packages(stage: &Stage) {
    stage.each(50.0, |number| {
        let path = stage.directory.join(format!("file-{number}"));
        fs::write(&path, vec![b'x'; 8_000]).expect("there is room");
    });
}

fn database(stage: &Stage) {
    let path = stage.directory.join("table");
    let mut table =
        OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path).expect("ours");
    stage.each(200.0, |number| {
        table.seek(SeekFrom::Start(number * 16_384)).expect("it can");
        table.write_all(&[1; 16_384]).expect("there is room");
        let _ = table.seek(SeekFrom::Start(number * 7919 % (number + 1) * 16_384));
        let _ = table.read(&mut [0; 4096]);
        if number % 50 == 0 {
            let _ = table.sync_data();
        }
    });
}

/// A file for each message: they stay, and they exist.
fn mail_spool(stage: &Stage) {
    stage.each(100.0, |number| {
        fs::write(stage.directory.join(format!("message-{number}")), "hello").expect("there is room");
    });
}

/// Writes one file again and again, each time by way of the same other name.
fn editor(stage: &Stage) {
    stage.each(20.0, |_| {
        let new = stage.directory.join("text~");
        fs::write(&new, "text").expect("the directory is ours");
        fs::rename(new, stage.directory.join("text")).expect("it was made just now");
    });
}

/// Each time by way of another name, which does not stay: the file takes the name's object along.
fn renamed(stage: &Stage) {
    stage.each(300.0, |number| {
        let new = stage.directory.join(format!("new.{number:08}"));
        fs::write(&new, "x").expect("the directory is ours");
        fs::rename(new, stage.directory.join("file")).expect("it was made just now");
    });
}

fn burst(stage: &Stage) {
    let _held: Vec<File> = (0..stage.many(5000)).map(|_| null()).collect();
    stage.rest();
}

fn late_burst(stage: &Stage) {
    let mut held = Vec::new();
    stage.to(|seconds| if seconds < 15.0 { 0.0 } else { 4000.0 }, |_| held.push(null()));
}

/// Ever fewer are new.
fn warm_up(stage: &Stage) {
    let mut held = Vec::new();
    stage.to(|seconds| 5000.0 * (1.0 - (-seconds / 1.5).exp()), |_| held.push(null()));
}

/// Closes all that it has every two seconds.
fn sawtooth(stage: &Stage) {
    let (mut held, mut tooth) = (Vec::new(), 0);
    stage.each(300.0, |_| {
        let now = stage.seconds() as u64 / 2;
        if now > tooth {
            held.clear();
            tooth = now;
        }
        held.push(null());
    });
}

/// Whoever connects is answered, and the connection closed.
fn web_server(stage: &Stage) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    stage.each(200.0, |_| {
        let client = TcpStream::connect(address);
        let served = listener.accept();
        drop((served, client));
    });
}

/// Each connection lives a second.
fn keep_alive(stage: &Stage) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let mut open = VecDeque::new();
    stage.each(50.0, |_| {
        let client = TcpStream::connect(address);
        open.push_back((client, listener.accept()));
        if open.len() > 50 {
            open.pop_front();
        }
    });
}

/// The page cache by way of a mapping, 8 MB a second.
fn mmap(stage: &Stage) {
    const BYTES: usize = 512 << 20;
    let path = stage.directory.join("mapped");
    let file =
        OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path).expect("ours");
    file.set_len(BYTES as u64).expect("a hole needs no room");
    let protection = rustix::mm::ProtFlags::READ;
    // SAFETY: a mapping of our own, at an address that the kernel chooses; nobody makes the file smaller.
    let mapped = unsafe {
        rustix::mm::mmap(std::ptr::null_mut(), BYTES, protection, rustix::mm::MapFlags::SHARED, &file, 0)
    };
    let mapped = mapped.expect("there is room").cast::<u8>();
    let mut sum = 0_u64;
    stage.each(2048.0, |number| {
        let at = number as usize * 4096 % BYTES;
        // SAFETY: within the mapping, which stays until the process ends.
        sum += u64::from(unsafe { mapped.add(at).read_volatile() });
    });
    std::hint::black_box(sum);
}

/// Takes 20 MB a second, and after 20 s gives them back.
fn memory_hog(stage: &Stage) {
    let mut memory: Vec<Vec<u8>> = Vec::new();
    stage.each(20.0, |number| {
        if number == 400 {
            memory.clear();
        }
        if number < 400 {
            memory.push(vec![1; 1 << 20]);
        }
    });
}

/// Holds the last thousand.
fn queue(stage: &Stage) {
    let mut held = VecDeque::new();
    stage.each(500.0, |_| {
        held.push_back(null());
        if held.len() > 1000 {
            held.pop_front();
        }
    });
}

/// A health check for the same hundred files, which do not exist.
fn same_missing(stage: &Stage) {
    stage.each(2000.0, |number| {
        let _ = stage.directory.join(format!("missing-{}", number % 100)).symlink_metadata();
    });
}

/// Reads of all processes what they do, each second.
fn monitor(stage: &Stage) {
    stage.each(1.0, |_| {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let _ = fs::read(entry.path().join("stat"));
        }
    });
}

/// Maps and unmaps memory.
fn mapper(stage: &Stage) {
    stage.each(500.0, |number| {
        let memory = vec![1_u8; 1 << 20];
        std::hint::black_box(&memory);
        if number % 100 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = io::sink().write(&memory[..10]);
    });
}
