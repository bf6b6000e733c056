use std::{net::TcpStream, num::NonZeroUsize, os::unix::net::UnixStream, path::PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{Certificate, CertifiedKey, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};

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
    serve_with(address, Web::open(None).expect("it needs no file"))
}

fn serve_with(address: &str, web: Web) -> Served {
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
    let server = Server::start(listeners, Arc::clone(&board), web).expect("a thread");
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

/// A client that trusts this certificate, and may show one itself.
fn https(
    served: &Served,
    request: &str,
    trusted: &Certificate,
    own: Option<&CertifiedKey<KeyPair>>,
) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).expect("it is one");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.expect("there are some").with_root_certificates(roots);
    let client = match own {
        None => client.with_no_client_auth(),
        Some(CertifiedKey { cert, signing_key }) => {
            let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes()).expect("a key");
            client.with_client_auth_cert(vec![cert.der().clone()], key).expect("they belong together")
        }
    };
    let name = "localhost".try_into().expect("it is a name");
    let connection = ClientConnection::new(Arc::new(client), name).expect("it is right");
    let Address::Tcp(address) = served.address else { unreachable!("it is TCP") };
    let stream = StreamOwned::new(connection, TcpStream::connect(address).expect("it listens"));
    String::from_utf8_lossy(&exchange(stream, request.as_bytes())).into_owned()
}

fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("it can be made")
}

/// A server with a certificate, and what else the file says.
fn encrypted(section: &str, rest: &str) -> (Served, CertifiedKey<KeyPair>, tempfile::TempDir) {
    let (own, directory) = (certificate(), tempfile::tempdir().expect("there is room"));
    let write =
        |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("there is room");
    write("server.crt", &own.cert.pem());
    write("server.key", &own.signing_key.serialize_pem());
    let file =
        format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{section}\n{rest}\n");
    write("web.yml", &file);
    let web = Web::open(Some(&directory.path().join("web.yml"))).expect("it is right");
    let served = serve_with("127.0.0.1:0", web);
    served.post();
    (served, own, directory)
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";

#[test]
fn with_a_certificate_all_is_encrypted() {
    let (served, own, _directory) =
        encrypted("", "http_server_config: {headers: {X-Content-Type-Options: nosniff}}");
    let answer = https(&served, &format!("{GET}\r\n"), &own.cert, None);
    assert!(status(&answer) == "200" && answer.contains("x-content-type-options: nosniff"), "{answer}");
    assert!(!served.get("/metrics", "").contains("memtrace"), "in the clear there is no answer");
}

#[test]
fn users_have_passwords() {
    let hash = bcrypt::hash("secret", 4).expect("it can be hashed");
    let (served, own, directory) = encrypted("", &format!("basic_auth_users:\n  prometheus: {hash}"));
    let get = |credentials: &str| {
        let authorization = format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(credentials));
        https(&served, &format!("{GET}{authorization}\r\n"), &own.cert, None)
    };
    let asked = https(&served, &format!("{GET}\r\n"), &own.cert, None);
    assert!(status(&asked) == "401" && asked.contains("www-authenticate: Basic"), "{asked}");
    assert_eq!(status(&get("prometheus:wrong")), "401");
    assert_eq!(status(&get("nobody:secret")), "401");
    assert_eq!(status(&get("prometheus:secret")), "200");
    // Nobody has to start it again.
    let file = std::fs::read_to_string(directory.path().join("web.yml")).expect("it is there");
    std::fs::write(directory.path().join("web.yml"), file.replace("prometheus:", "grafana:"))
        .expect("there is room");
    assert_eq!(status(&get("prometheus:secret")), "401");
    assert_eq!(status(&get("grafana:secret")), "200");
}

#[test]
fn clients_show_certificates() {
    let known = certificate();
    let section = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: |\n    ".to_owned()
        + &known.cert.pem().replace('\n', "\n    ");
    let (served, own, _directory) = encrypted(&section, "");
    let request = format!("{GET}\r\n");
    assert_eq!(status(&https(&served, &request, &own.cert, Some(&known))), "200");
    assert_eq!(https(&served, &request, &own.cert, None), "");
    assert_eq!(https(&served, &request, &own.cert, Some(&certificate())), "");
}
