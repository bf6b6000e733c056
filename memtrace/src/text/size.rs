//! Sizes on the command line: `64M`, `1.5G`, `512MiB`. Units are powers of 1024, as in the reports and in `free -h`.

use thiserror::Error;

use crate::text::escape;

const UNITS: [(&str, u64); 5] = [("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

/// Why a text is not a size. clap puts the text and the option's name in front of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SizeError {
    #[error("not a number with a unit, such as 64M or 1G")]
    NoNumber,
    #[error("'{}' is not a unit of memory; use K, M, G or T", escape::terminal(.0.as_bytes()))]
    UnknownUnit(String),
    #[error("too large")]
    TooLarge,
}

/// In bytes. Made for clap's `value_parser`.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let (number, unit) =
        text.split_at(text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len()));
    let number: f64 = number.parse().map_err(|_| SizeError::NoNumber)?;
    let bytes = number * bytes_of(unit.trim())? as f64;
    if bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(SizeError::TooLarge) }
}

/// `M`, `MB` and `MiB` are the same here.
fn bytes_of(unit: &str) -> Result<u64, SizeError> {
    let upper = unit.to_ascii_uppercase();
    let prefixed = upper.strip_suffix("IB").filter(|letter| !letter.is_empty());
    let letter = prefixed.or(upper.strip_suffix('B')).unwrap_or(&upper);
    let known = UNITS.iter().find(|(name, _)| *name == letter);
    known.map(|(_, bytes)| *bytes).ok_or_else(|| SizeError::UnknownUnit(unit.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<u64, &str>) {
        let found = parse(text).map_err(|error| error.to_string());
        assert_eq!(found, expect.map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn sizes() {
        for (text, expect) in [
            ("0", 0),
            ("65536", 65536),
            ("64K", 65536),
            ("64M", 64 << 20),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            (" 64 MiB ", 64 << 20),
            ("1.5G", 3 << 29),
            ("2T", 2 << 40),
            ("10B", 10),
        ] {
            check(text, Ok(expect));
        }
    }

    #[test]
    fn errors_say_what_was_wrong() {
        let number = "not a number with a unit, such as 64M or 1G";
        for (text, expect) in [
            ("", number),
            ("M", number),
            ("-5M", number),
            ("1.2.3M", number),
            (".", number),
            ("much", number),
            ("5X", "'X' is not a unit of memory; use K, M, G or T"),
            ("5iB", "'iB' is not a unit of memory; use K, M, G or T"),
            ("1e3M", "'e3M' is not a unit of memory; use K, M, G or T"),
            ("5\u{1b}[m", "'\\x1b[m' is not a unit of memory; use K, M, G or T"),
            ("99999999T", "too large"),
        ] {
            check(text, Err(expect));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn text_that_looks_like_sizes_never_panics(text in "[0-9.]{0,400}[a-zA-Z ]{0,4}") {
            let _ = parse(&text);
        }

        #[test]
        fn whole_numbers_are_read_back(n in 0_u64..1 << 53) {
            prop_assert_eq!(parse(&n.to_string()), Ok(n));
        }
    }
}
