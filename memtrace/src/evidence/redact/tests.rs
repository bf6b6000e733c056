use proptest::{collection::vec, prelude::*};

use super::*;
use crate::stream::{
    event::{FileType, ObjectKind},
    ledger::pattern::pattern,
};

fn text(redactor: &Redactor, text: &str) -> String {
    String::from_utf8(redactor.text(text.as_bytes())).unwrap()
}

/// Tokens as `word`, digits as `0`.
fn shape(text: &str) -> String {
    let redactor = Redactor::default();
    let redacted = self::text(&redactor, text);
    let mut shape = redacted.clone();
    for word in redacted.split(|c: char| !c.is_ascii_lowercase()).filter(|word| word.len() == 2 * SYLLABLES) {
        shape = shape.replace(word, "word");
    }
    shape.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[test]
fn what_stays_of_a_name() {
    let check = |text: &str, expect: &str| assert_eq!(shape(text), expect, "{text}");
    check("/srv/alice/.cache/nssdb", "/srv/word/.cache/word");
    check("/usr/bin/payroll", "/usr/bin/word");
    check(".123_dOeSnotExist_.db", ".000_word_.db");
    check("Rechnung-Müller-2024-01-31.json", "word-word-0000-00-00.json");
    check("/proc/4711/fd", "/proc/0000/fd");
    check("550e8400-e29b-41d4-a716-446655440000", "00000000-0000-0000-0000-000000000000");
    // Or they would be one id.
    check("v1beta2", "word0word-0");
    check("--password=geheim", "--word=word");
    check("/system.slice/payroll@7.service", "/system.slice/word@0.service");
    check("memfd:secret (deleted)", "memfd:word (deleted)");
    check("", "");
}

#[test]
fn the_same_is_the_same_by_one_key_only() {
    let (one, other) = (Redactor::default(), Redactor::default());
    assert_eq!(text(&one, "/srv/payroll"), text(&one, "/srv/payroll"));
    assert_ne!(text(&one, "payroll"), text(&other, "payroll"));
    // A program's path, and the name that its process goes by.
    let comm = one.comm(Comm::truncated(b"payroll"));
    assert!(one.text(b"/srv/payroll").ends_with(comm.as_bytes()));
    assert_ne!(one.comm(Comm::truncated(b"a-b-c")), one.comm(Comm::truncated(b"a-b-d")));
}

#[test]
fn no_two_numbers_become_one() {
    let redactor = Redactor::default();
    let numbers: std::collections::HashSet<_> =
        (0..1000).map(|number| redactor.number(format!("{number:03}").as_bytes())).collect();
    assert_eq!(numbers.len(), 1000);
    assert!(numbers.iter().all(|number| number.len() == 3 && number.iter().all(u8::is_ascii_digit)));
}

#[test]
fn addresses_of_sockets() {
    let redactor = Redactor::default();
    let socket = |text: &str| String::from_utf8(redactor.socket(text.as_bytes())).unwrap();
    let address = String::from_utf8(redactor.token(b"10.0.0.1")).unwrap();
    assert_eq!(socket(":443 CLOSE_WAIT"), ":443 CLOSE_WAIT");
    assert_eq!(socket("->10.0.0.1:<n> CLOSE_WAIT"), format!("->{address}:<n> CLOSE_WAIT"));
    assert_eq!(socket("127.0.0.1:443->10.0.0.1:5 CLOSE"), format!("127.0.0.1:443->{address}:5 CLOSE"));
    assert!(!socket("[2001:db8::7]:80").contains("2001"));
    assert_eq!(socket("protocol 17"), "protocol 17");
    assert_eq!(socket("unbound CLOSE"), "unbound CLOSE");
}

#[test]
fn the_kernels_words_before_a_path_stay() {
    let redactor = Redactor::default();
    let directory = |kind, text: &str| String::from_utf8(redactor.directory(kind, text.as_bytes())).unwrap();
    let file = Some(ObjectKind::File(FileType::Regular));
    assert_eq!(directory(file, "pipefs:"), "pipefs:");
    assert_eq!(directory(file, "ext4 sda1:"), "ext4 sda1:");
    assert_eq!(directory(file, "mnt:[4026531840]/tmp"), "mnt:[4026531840]/tmp");
    assert_eq!(directory(Some(ObjectKind::Socket), "unix stream"), "unix stream");
    assert_ne!(directory(None, "secret:"), "secret:");
    assert!(!directory(file, "mnt:[4026531840]/secret").contains("secret"));
}

#[test]
fn functions_of_programs() {
    let redactor = Redactor::default();
    let stack = |frames: &[&str]| redactor.stack(frames.iter().map(ToString::to_string).collect());
    let frames = stack(&[
        "ovl_lookup [overlay]",
        "do_sys_open",
        "open [libc.so.6]",
        "pay_all [payroll]",
        "payroll+0x12ab",
        "(no frame pointer)",
    ]);
    assert_eq!(frames[..3], ["ovl_lookup [overlay]", "do_sys_open", "open [libc.so.6]"]);
    assert_eq!(frames[5], "(no frame pointer)");
    assert!(frames[4].ends_with("+0x12ab") && !frames[4].contains("payroll"), "{frames:?}");
    assert!(!frames[3].contains("pay") && frames[3].ends_with(']'), "{frames:?}");
}

/// Names that are made of few words, so that many are alike.
fn names() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            "[a-d]{1,3}",
            "[0-9]{1,4}",
            "[0-9a-f]{8}",
            "[._-]",
            Just("tmp".to_owned()),
            Just("db".to_owned())
        ],
        0..8,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Rows of names stay the rows that they are.
    #[test]
    fn names_of_one_pattern_keep_one(one in names(), other in names()) {
        let redactor = Redactor::default();
        let same = pattern(one.as_bytes()) == pattern(other.as_bytes());
        let redacted = |name: &str| pattern(&redactor.text(name.as_bytes()));
        if same {
            prop_assert_eq!(redacted(&one), redacted(&other));
        }
    }

    /// A variable part is one before and after.
    #[test]
    fn the_pattern_of_a_token_is_as_variable(name in names()) {
        let redactor = Redactor::default();
        let count = |name: &[u8]| pattern(name).windows(3).filter(|part| part == b"<n>").count();
        prop_assert_eq!(count(name.as_bytes()), count(&redactor.text(name.as_bytes())));
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..100)) {
        let redactor = Redactor::default();
        let slashes = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'/').count();
        prop_assert_eq!(slashes(&bytes), slashes(&redactor.text(&bytes)));
        let _ = redactor.socket(&bytes);
        prop_assert_eq!(redactor.comm(Comm::truncated(&bytes)).as_bytes().is_empty(), bytes.first().is_none_or(|&byte| byte == 0));
    }
}
