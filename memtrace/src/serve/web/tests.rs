use std::fs;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;

/// A certificate and its key in a directory, and what the file says of them.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("there is room");
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).expect("it can be made");
    write(&directory, "server.crt", &cert.pem());
    write(&directory, "server.key", &signing_key.serialize_pem());
    directory
}

fn write(directory: &tempfile::TempDir, name: &str, text: &str) {
    fs::write(directory.path().join(name), text).expect("there is room");
}

fn told(directory: &tempfile::TempDir, text: &str) -> String {
    write(directory, "web.yml", text);
    let path = directory.path().join("web.yml");
    match Web::open(Some(&path)) {
        Ok(web) => {
            let config = web.current();
            let users = config.users.is_empty();
            format!("TLS {}, no users {users}, {} headers", config.tls.is_some(), config.headers.len())
        }
        Err(error) => error.to_string().replace(&directory.path().display().to_string(), "DIR"),
    }
}

const TLS: &str = "tls_server_config: {cert_file: server.crt, key_file: server.key";

#[test]
fn files_of_prometheus_are_understood() {
    let directory = directory();
    let files = [
        String::new(),
        "# Nothing.\n".to_owned(),
        "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\n".to_owned(),
        format!("{TLS}}}"),
        format!("{TLS}, client_auth_type: NoClientCert, min_version: TLS13, max_version: TLS13, prefer_server_cipher_suites: false}}"),
        format!("{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: server.crt}}"),
        format!("{TLS}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: server.crt}}"),
        "tls_server_config: {cert_file: \"\", key_file: \"\"}".to_owned(),
        "http_server_config: {http2: false, headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}".to_owned(),
        "basic_auth_users:\n  alice: $2y$12$1DpfPeqF9HzHJt.EWswy1exHluGfbhnn3yXhR7Xes6m3WJqFg0Wby\n".to_owned(),
    ];
    insta::assert_snapshot!(files.map(|text| format!("{text}\n    {}", told(&directory, &text))).join("\n"));
}

#[test]
fn what_is_wrong_is_told() {
    let directory = directory();
    write(&directory, "empty.pem", "");
    let files = [
        "tls_server_config: {cert: x, kye: y}".to_owned(),
        "users: {}".to_owned(),
        "rate_limit: {burst: 1}".to_owned(),
        "basic_auth_users: [a]".to_owned(),
        "basic_auth_users: {alice: secret}".to_owned(),
        "tls_server_config: {cert_file: server.crt}".to_owned(),
        "tls_server_config: {key_file: server.key}".to_owned(),
        "tls_server_config: {cert_file: nowhere, key_file: server.key}".to_owned(),
        "tls_server_config: {cert_file: empty.pem, key_file: server.key}".to_owned(),
        "tls_server_config: {cert_file: server.crt, key_file: server.crt}".to_owned(),
        format!("{TLS}, min_version: TLS11}}"),
        format!("{TLS}, min_version: SSL}}"),
        format!("{TLS}, min_version: TLS13, max_version: TLS12}}"),
        format!("{TLS}, client_auth_type: RequireAnyClientCert}}"),
        format!("{TLS}, client_auth_type: Always}}"),
        format!("{TLS}, client_auth_type: RequireAndVerifyClientCert}}"),
        format!("{TLS}, client_ca_file: server.crt}}"),
        format!("{TLS}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}"),
        "http_server_config: {headers: {Server: x}}".to_owned(),
        "http_server_config: {headers: {X-Frame-Options: always}}".to_owned(),
        "http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}".to_owned(),
        "http_server_config: {http2: maybe}".to_owned(),
        "a: [".to_owned(),
        "basic_auth_users: {a: b}\nbasic_auth_users: {a: b}".to_owned(),
    ];
    insta::assert_snapshot!(files.map(|text| format!("{text}\n    {}", told(&directory, &text))).join("\n"));
}

#[test]
fn a_key_that_is_another_certificate_s_is_told() {
    let (directory, other) = (directory(), self::directory());
    fs::copy(other.path().join("server.key"), directory.path().join("server.key")).expect("there is room");
    insta::assert_snapshot!(told(&directory, &format!("{TLS}}}")));
}

#[test]
fn a_file_that_changes_is_read_again_and_one_that_breaks_is_not() {
    let directory = directory();
    write(&directory, "web.yml", "");
    let web = Web::open(Some(&directory.path().join("web.yml"))).expect("it is right");
    let is_encrypted = || web.current().tls.is_some();
    assert!(!is_encrypted());
    write(&directory, "web.yml", &format!("{TLS}}}"));
    assert!(is_encrypted());
    let before = web.current();
    assert!(Arc::ptr_eq(&before, &web.current()), "nothing changed");
    // The certificate is renewed: its key comes a moment later.
    let renewed = self::directory();
    let copy =
        |name: &str| fs::copy(renewed.path().join(name), directory.path().join(name)).expect("there is room");
    copy("server.crt");
    assert!(Arc::ptr_eq(&before, &web.current()), "what held goes on to hold");
    copy("server.key");
    assert!(!Arc::ptr_eq(&before, &web.current()));
    write(&directory, "web.yml", "tls_server_config: [");
    assert!(is_encrypted());
    fs::remove_file(directory.path().join("web.yml")).expect("it is there");
    assert!(is_encrypted());
}
