use std::{net::TcpStream, num::NonZeroUsize, os::unix::net::UnixStream, path::PathBuf};

use super::*;
use crate::{
    output::{Output as _, sample},
    serve::{
        address::Address,
        board::{Adjustable, Publisher},
        listen,
    },
    session::requests::{OwnProfile, Request, Requests},
};

/// A server whose session is a sample.
struct Served {
    board: Arc<Board>,
    address: Address,
    _server: Server,
}

fn serve(address: &str) -> Served {
    let (asker, mut requests) = Requests::new();
    let series = NonZeroUsize::new(200).expect("it is not 0");
    let adjustable = Adjustable { interval: Duration::from_secs(1), series, config: None };
    let board = Arc::new(Board::new(asker, adjustable));
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            loop {
                let Request::Profile(reply) = requests.next().await else { continue };
                let _ = reply.send(OwnProfile { profile: sample::profile(), snapshot: sample::dentry() });
            }
        });
    });
    let listeners = listen::listen(&[address.parse().expect("an address")]).expect("it is free");
    let address = listeners[0].address.clone();
    let server = Server::start(listeners, Arc::clone(&board)).expect("a thread");
    Served { board, address, _server: server }
}

impl Served {
    fn post(&self) {
        let mut publisher = Publisher::new(Arc::clone(&self.board));
        assert_eq!(publisher.show(&sample::dentry()).expect("it cannot fail"), crate::output::Shown::Yes);
    }

    /// Sends these bytes, and returns all that comes.
    fn send(&self, request: &[u8]) -> String {
        let answer = match &self.address {
            Address::Tcp(address) => exchange(TcpStream::connect(address).expect("it listens"), request),
            Address::Unix(path) => exchange(UnixStream::connect(path).expect("it listens"), request),
        };
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").as_bytes())
    }
}

fn exchange(mut stream: impl io::Read + io::Write, request: &[u8]) -> Vec<u8> {
    // A server that refuses a request early may close before it has read all of it.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn metrics_come_as_asked_for() {
    let served = serve("127.0.0.1:0");
    assert_eq!(status(&served.get("/metrics", "")), "503");
    assert_eq!(status(&served.get("/healthz", "")), "503");
    served.post();
    let older = served.get("/metrics", "");
    assert!(older.contains("content-type: text/plain; version=0.0.4"), "{older}");
    assert!(older.contains("# TYPE memtrace_events_total counter") && !older.contains("# EOF"), "{older}");
    let newer = served.get("/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(newer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{newer}");
    assert!(newer.ends_with("# EOF\n"), "{newer}");
    assert_eq!(status(&served.get("/healthz", "")), "200");
}

#[test]
fn pages_and_profiles_are_there() {
    let served = serve("127.0.0.1:0");
    served.post();
    for path in ["/", "/debug/pprof/", "/debug/pprof"] {
        let page = served.get(path, "");
        assert!(status(&page) == "200" && page.contains("<h1>memtrace"), "{page}");
    }
    for path in ["/debug/pprof/heap", "/debug/pprof/allocs", "/debug/pprof/heap?seconds=1"] {
        let profile = served.get(path, "");
        assert!(status(&profile) == "200" && profile.contains("application/octet-stream"), "{profile}");
        // gzip's magic number.
        assert!(profile.contains("\r\n\r\n\u{1f}"), "{profile}");
    }
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let served = serve("127.0.0.1:0");
    served.post();
    assert_eq!(status(&served.get("/nowhere", "")), "404");
    assert_eq!(status(&served.get("/debug/pprof/heap?seconds=1e9", "")), "400");
    let post =
        served.send(b"POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert!(status(&post) == "405" && post.contains("allow: GET, HEAD"), "{post}");
    let head = served.send(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(status(&head) == "200" && head.ends_with("\r\n\r\n"), "{head}");
    let large = served.get("/metrics", &format!("X-Large: {}\r\n", "x".repeat(1 << 20)));
    assert!(large.is_empty() || status(&large) == "431", "{}", &large[..large.len().min(200)]);
    let many = served.get("/metrics", &"X-Many: x\r\n".repeat(200));
    assert_eq!(status(&many), "431");
    assert_eq!(status(&served.send(b"\x16\x03\x01 this is no HTTP\r\n\r\n")), "400");
    // And it goes on.
    assert_eq!(status(&served.get("/metrics", "")), "200");
}

#[test]
fn a_crowd_is_served_one_after_another() {
    let served = serve("127.0.0.1:0");
    served.post();
    // These never say anything.
    let Address::Tcp(address) = served.address else { unreachable!("it is TCP") };
    let _silent: Vec<_> =
        (0..MAX_CONNECTIONS / 2).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..300).map(|_| scope.spawn(|| served.get("/metrics", ""))).collect();
        for client in clients {
            assert_eq!(status(&client.join().expect("it does not panic")), "200");
        }
    });
}

#[test]
fn a_unix_socket_serves_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let path: PathBuf = directory.path().join("memtrace.sock");
    let served = serve(&format!("unix:{}", path.display()));
    served.post();
    assert_eq!(status(&served.get("/metrics", "")), "200");
    drop(served);
    assert!(!path.exists());
}
