//! Names to patterns: the variable parts of a file name become `<n>`, so that a million names are one row.
//!
//! A *word* is a run of ASCII letters and digits, as long as it goes; everything else separates words and is
//! kept as it is. The first rule that fits a word is used:
//!
//! 1. A uuid (five words of 8-4-4-4-12 hex digits joined by `-`) becomes `<n>` as a whole.
//! 2. A hex id becomes `<n>`: eight or more hex digits, a letter somewhere after a digit (`0f3a9c77be`).
//!    Letters may stand before its first digit: hex letters belong to the id (`ab12cd34`) when the whole word
//!    is hex, other letters are a prefix and stay (`nfs00000000a3c2b1` is `nfs<n>`).
//! 3. What follows `tmp` is the random suffix of mktemp(1) and its kin when it has six letters and digits or
//!    more and a digit, or a capital where `.`, `-` or `_` stands between (`tmp.aBcDeFgHiJ` is `tmp.<n>`).
//! 4. A word of eight or more with two or more separate runs of digits is a random id in a larger alphabet and
//!    becomes `<n>` (`X7faQ2kL9z`, PHP sessions, base 36).
//! 5. Else every run of digits becomes `<n>` (`core.1234` is `core.<n>`).
//!
//! Thus `deadbeef` and `Feedface` stay, being words as far as anyone can tell, and so does a six-letter mkstemp
//! suffix behind anything but `tmp`, except for its digits: by its spelling alone it is not told from a word.
//! Where in doubt we rather fold a word too many (`utf8mb4x` is `<n>`) than let a flood of random names make
//! one row each; outputs also show one real name.
//!
//! Two things follow, and tests hold them: a pattern has no ASCII digit, and it is its own pattern. A literal
//! `<n>` in a name stays. Bytes are all that counts: names need not be UTF-8.

/// What stands for a variable part.
pub const VARIABLE: &[u8] = b"<n>";

const HEX_ID_MIN: usize = 8;
const MIXED_ID_MIN: usize = 8;
const TMP_SUFFIX_MIN: usize = 6;
/// Where the hyphens of a uuid stand.
const UUID_HYPHENS: [usize; 4] = [8, 13, 18, 23];
const UUID_LEN: usize = 36;

/// The pattern of `name`, in a buffer of its own.
pub fn pattern(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + VARIABLE.len());
    pattern_into(name, &mut out);
    out
}

/// Replaces what is in `out` by the pattern of `name`. Allocates only while `out` is still growing: this runs
/// for every named object.
pub fn pattern_into(name: &[u8], out: &mut Vec<u8>) {
    out.clear();
    parts(name, |part| match part {
        Part::Kept(bytes) => out.extend_from_slice(bytes),
        Part::Variable(_) => out.extend_from_slice(VARIABLE),
    });
}

/// A piece of a name: what its pattern keeps, or what `<n>` stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Kept(&'a [u8]),
    Variable(&'a [u8]),
}

/// The pieces of a name, in their order. None is of two words.
pub fn parts<'a>(name: &'a [u8], mut emit: impl FnMut(Part<'a>)) {
    let mut at = 0;
    while at < name.len() {
        let rest = &name[at..];
        let len = if !rest[0].is_ascii_alphanumeric() {
            emit(Part::Kept(&rest[..1]));
            1
        } else if is_uuid(rest) {
            emit(Part::Variable(&rest[..UUID_LEN]));
            UUID_LEN
        } else {
            let word = Word::scan(rest);
            word.fold(&name[..at], &mut emit);
            word.bytes.len()
        };
        at += len;
    }
}

/// A word and what the rules ask about it, gathered in one pass.
struct Word<'a> {
    bytes: &'a [u8],
    digit_runs: usize,
    first_digit: usize,
    has_capital: bool,
    /// From the start on.
    hex: bool,
    /// From the first digit on.
    hex_after_digit: bool,
    letter_after_digit: bool,
}

impl<'a> Word<'a> {
    /// Takes the word at the start of `text`.
    fn scan(text: &'a [u8]) -> Self {
        let mut word = Word {
            bytes: text,
            digit_runs: 0,
            first_digit: 0,
            has_capital: false,
            hex: true,
            hex_after_digit: true,
            letter_after_digit: false,
        };
        let mut after_digit = false;
        for (at, &byte) in text.iter().enumerate() {
            if byte.is_ascii_digit() {
                if word.digit_runs == 0 {
                    word.first_digit = at;
                }
                word.digit_runs += usize::from(!after_digit);
                after_digit = true;
            } else if byte.is_ascii_alphabetic() {
                let hex = byte.is_ascii_hexdigit();
                let behind = word.digit_runs > 0;
                word.has_capital |= byte.is_ascii_uppercase();
                word.hex &= hex;
                word.hex_after_digit &= hex || !behind;
                word.letter_after_digit |= behind;
                after_digit = false;
            } else {
                word.bytes = &text[..at];
                break;
            }
        }
        word
    }

    fn has_digit(&self) -> bool {
        self.digit_runs > 0
    }

    /// The word's pieces. `before` is the name up to the word.
    fn fold(&self, before: &[u8], emit: &mut impl FnMut(Part<'a>)) {
        match self.kept_prefix(before) {
            Some(prefix) => {
                let (kept, id) = self.bytes.split_at(prefix);
                if !kept.is_empty() {
                    emit(Part::Kept(kept));
                }
                emit(Part::Variable(id));
            }
            None if self.has_digit() => fold_digits(self.bytes, emit),
            None => emit(Part::Kept(self.bytes)),
        }
    }

    /// How much of the word stays before the id that is the rest of it; None if it does not end in an id.
    fn kept_prefix(&self, before: &[u8]) -> Option<usize> {
        let len = self.bytes.len();
        let hex_id = |start: usize| len - start >= HEX_ID_MIN && self.letter_after_digit;
        if self.hex && hex_id(0) {
            Some(0)
        } else if self.hex_after_digit && hex_id(self.first_digit) {
            Some(self.first_digit)
        } else if self.bytes.starts_with(b"tmp") && len - 3 >= TMP_SUFFIX_MIN && self.has_digit() {
            Some(3)
        } else if (len >= MIXED_ID_MIN && self.digit_runs >= 2) || self.is_tmp_suffix(before) {
            Some(0)
        } else {
            None
        }
    }

    fn is_tmp_suffix(&self, before: &[u8]) -> bool {
        self.bytes.len() >= TMP_SUFFIX_MIN
            && (self.has_digit() || self.has_capital)
            && matches!(before, [.., b't', b'm', b'p', b'.' | b'-' | b'_'])
    }
}

/// Each run of digits is variable.
fn fold_digits<'a>(bytes: &'a [u8], emit: &mut impl FnMut(Part<'a>)) {
    for run in bytes.chunk_by(|one, next| one.is_ascii_digit() == next.is_ascii_digit()) {
        emit(if run[0].is_ascii_digit() { Part::Variable(run) } else { Part::Kept(run) });
    }
}

/// A uuid stands at the start of `text` and ends where a word would. One without any digit is not taken for one,
/// so that a pattern stays its own pattern.
fn is_uuid(text: &[u8]) -> bool {
    let Some((id, rest)) = text.split_at_checked(UUID_LEN) else { return false };
    // The cheapest test first: this is asked at every word.
    id[UUID_HYPHENS[0]] == b'-'
        && !rest.first().is_some_and(u8::is_ascii_alphanumeric)
        && id.iter().any(u8::is_ascii_digit)
        && id.iter().enumerate().all(|(at, byte)| {
            if UUID_HYPHENS.contains(&at) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(name: &str, expect: &str) {
        assert_eq!(String::from_utf8_lossy(&pattern(name.as_bytes())), expect, "pattern of {name:?}");
    }

    #[test]
    fn digits() {
        check(".123_dOeSnotExist_.db", ".<n>_dOeSnotExist_.db");
        check("._dOeSnotExist_42.db", "._dOeSnotExist_<n>.db");
        check("core.1234", "core.<n>");
        check("7", "<n>");
        check("2024-01-31.log", "<n>-<n>-<n>.log");
        check("libssl.so.3", "libssl.so.<n>");
        check("Screenshot20240131", "Screenshot<n>");
        check("cache12345678", "cache<n>");
        check("file1234567", "file<n>");
        check("1080p", "<n>p");
        check("v1beta2", "v<n>beta<n>");
    }

    #[test]
    fn nothing_variable() {
        check("", "");
        check("passwd", "passwd");
        check(".bashrc", ".bashrc");
        check("deadbeef", "deadbeef");
        check("Feedface", "Feedface");
        check("._dOeSnotExist_.db", "._dOeSnotExist_.db");
        check("tmp", "tmp");
        check("tmp.config", "tmp.config");
        check("tmpfilesystem", "tmpfilesystem");
        check("<n>", "<n>");
        check("a<n>.db", "a<n>.db");
        check("päth", "päth");
        check("a\nb\\c\x1b[31m", "a\nb\\c\x1b[<n>m");
    }

    #[test]
    fn hex_ids() {
        check("sess_0f3a9c77be", "sess_<n>");
        check("ab12cd34.tmp", "<n>.tmp");
        check("0F3A9C77BE", "<n>");
        check("d41d8cd98f00b204e9800998ecf8427e", "<n>");
        check(".nfs00000000a3c2b100000001", ".nfs<n>");
        check(".nfs000000001234567800000001", ".nfs<n>");
        // Too short to tell from a word with numbers; letters before a number are a word.
        check("a3f90c7", "a<n>f<n>c<n>");
        check("face12345678", "face<n>");
        check("0x7ffe", "<n>x<n>ffe");
    }

    #[test]
    fn uuids() {
        check("550e8400-e29b-41d4-a716-446655440000.json", "<n>.json");
        check("550E8400-E29B-41D4-A716-446655440000", "<n>");
        check("vol-550e8400-e29b-41d4-a716-446655440000-v1", "vol-<n>-v<n>");
        check("550e8400-e29b-41d4-a716-44665544000", "<n>-e<n>b-<n>d<n>-a<n>-<n>");
        check("550e8400-e29b-41d4-a716-446655440000x", "<n>-e<n>b-<n>d<n>-a<n>-<n>x");
        check("abcdefab-abcd-abcd-abcd-abcdefabcdef", "abcdefab-abcd-abcd-abcd-abcdefabcdef");
    }

    #[test]
    fn random_ids() {
        check("tmp.X7faQ2kL9z", "tmp.<n>");
        check("tmp.aBcDeFgHiJ", "tmp.<n>");
        check("tmpk3x9_a2b", "tmpk<n>x<n>_a<n>b");
        check("tmpk3xqzaab", "tmp<n>");
        check("sess_m3ka9q7dv0lq2p8r5t1u6s4n3o", "sess_<n>");
        check("web-7d9f8b6c5d-x7k2p", "web-<n>-x<n>k<n>p");
        check("20240131T101530Z", "<n>");
        check("passwd.X7faQ2", "passwd.X<n>faQ<n>");
    }

    #[test]
    fn arbitrary_bytes() {
        assert_eq!(pattern(b"\xff12\xfe\0"), b"\xff<n>\xfe\0");
        assert_eq!(pattern("٣٤".as_bytes()), "٣٤".as_bytes());
    }

    #[test]
    fn a_used_buffer_is_replaced_and_kept() {
        let mut out = Vec::with_capacity(64);
        pattern_into(b"core.1234", &mut out);
        let place = out.as_ptr();
        pattern_into(b"core.5", &mut out);
        assert_eq!(out, b"core.<n>");
        assert_eq!(out.as_ptr(), place);
    }

    /// Names that are likely to meet the rules, beside any bytes.
    fn names() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("tmp".to_owned()),
            Just("<n>".to_owned()),
            "[-._]",
            "[0-9]{1,9}",
            "[0-9a-f]{1,12}",
            "[0-9A-Za-z]{1,12}",
            "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        ];
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..64),
            proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes()),
        ]
    }

    proptest! {
        #[test]
        fn is_its_own_pattern(name in names()) {
            let once = pattern(&name);
            prop_assert_eq!(pattern(&once), once);
        }

        #[test]
        fn has_no_digit(name in names()) {
            prop_assert!(!pattern(&name).iter().any(u8::is_ascii_digit));
        }

        #[test]
        fn grows_only_by_short_runs_of_digits(name in names()) {
            let short: usize = name
                .split(|byte| !byte.is_ascii_digit())
                .map(|run| if run.is_empty() { 0 } else { VARIABLE.len().saturating_sub(run.len()) })
                .sum();
            prop_assert!(pattern(&name).len() <= name.len() + short);
        }

        #[test]
        fn keeps_what_stands_between_words(name in names()) {
            // `-`, `<` and `>` aside, which uuids swallow and `<n>` adds.
            let separators = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().copied().filter(|b| !b.is_ascii_alphanumeric() && !b"-<>".contains(b)).collect()
            };
            prop_assert_eq!(separators(&pattern(&name)), separators(&name));
        }

        #[test]
        fn numbers_of_one_template_share_a_pattern(a in any::<u64>(), b in any::<u64>(), word in "[g-z]{1,8}") {
            let name = |n: u64| pattern(format!(".{word}_{n}.db").as_bytes());
            prop_assert_eq!(name(a), name(b));
        }
    }
}
