//! Durations on the command line: `500ms`, `10s`, `1.5h`, `1h30m`, `2min`; a number alone is seconds, as for vmstat.

use std::time::Duration;

use thiserror::Error;

use crate::text::escape;

/// Longer durations are typing errors.
const MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const SECOND: u64 = 1_000_000_000;

/// As systemd spells them. The whole unit is compared, so the order does not matter.
const UNITS: [(&[&str], u64); 7] = [
    (&["ns", "nsec"], 1),
    (&["us", "usec", "µs"], 1_000),
    (&["ms", "msec"], 1_000_000),
    (&["s", "sec", "second", "seconds"], SECOND),
    (&["m", "min", "minute", "minutes"], 60 * SECOND),
    (&["h", "hr", "hour", "hours"], 3_600 * SECOND),
    (&["d", "day", "days"], 86_400 * SECOND),
];

/// Why a text is not a duration. clap puts the text and the option's name in front of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    #[error("empty; use seconds, or a number and a unit, such as 500ms, 10s or 5m")]
    Empty,
    #[error("durations cannot be negative")]
    Negative,
    #[error("durations must be longer than zero")]
    Zero,
    #[error("durations over 365d are not supported")]
    TooLong,
    #[error("not a number of seconds, nor a number and a unit, such as 500ms, 10s or 5m")]
    NoNumber,
    #[error("no unit; use {0}s for seconds, {0}ms for milliseconds or {0}m for minutes")]
    NoUnit(String),
    #[error("'{}' is not a unit of time; use ns, us, ms, s, m, h or d", escape::terminal(.0.as_bytes()))]
    UnknownUnit(String),
    #[error("'{0}' is not a number")]
    BadNumber(String),
}

/// One or more numbers with their units, added up. Made for clap's `value_parser`.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    if rest.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let in_seconds = format!("{rest}s");
    if is_number(rest) {
        rest = &in_seconds;
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let (part, after) = part(rest)?;
        nanoseconds = nanoseconds.saturating_add(part);
        rest = after.trim_start();
    }
    if nanoseconds == 0 {
        return Err(DurationError::Zero);
    }
    if nanoseconds > MAX.as_nanos() {
        return Err(DurationError::TooLong);
    }
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| DurationError::TooLong)
}

/// As [`parse`], or nothing: `0`, `0s`.
pub fn parse_or_none(text: &str) -> Result<Duration, DurationError> {
    match parse(text) {
        Err(DurationError::Zero) => Ok(Duration::ZERO),
        other => other,
    }
}

/// The first number and unit, in nanoseconds, and what follows them.
fn part(text: &str) -> Result<(u128, &str), DurationError> {
    let in_number = |c: char| c.is_ascii_digit() || c == '.';
    let (number, rest) = text.split_at(text.find(|c| !in_number(c)).unwrap_or(text.len()));
    if number.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let rest = rest.trim_start();
    let (unit, after) =
        rest.split_at(rest.find(|c: char| in_number(c) || c.is_whitespace()).unwrap_or(rest.len()));
    if unit.is_empty() {
        return Err(DurationError::NoUnit(number.to_owned()));
    }
    let (_, nanoseconds) = UNITS
        .into_iter()
        .find(|(names, _)| names.contains(&unit))
        .ok_or_else(|| DurationError::UnknownUnit(unit.to_owned()))?;
    Ok((scale(number, nanoseconds)?, after))
}

/// `number` may have a decimal point: `1.5` times `unit`, what is below a nanosecond cut off.
fn scale(number: &str, unit: u64) -> Result<u128, DurationError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(DurationError::BadNumber(number.to_owned()));
    }
    // Digits only, so what does not fit is too long.
    let whole: u64 = whole.parse().map_err(|_| DurationError::TooLong)?;
    // A day has 8.64e13 nanoseconds: later digits cannot count.
    let fraction = &fraction[..fraction.len().min(15)];
    let digits: u64 = fraction.parse().map_err(|_| DurationError::BadNumber(number.to_owned()))?;
    let denominator = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(15));
    Ok(u128::from(whole) * u128::from(unit) + u128::from(digits) * u128::from(unit) / denominator)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<Duration, &str>) {
        let found = parse(text).map_err(|error| error.to_string());
        assert_eq!(found, expect.map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn durations() {
        let ms = Duration::from_millis;
        for (text, expect) in [
            ("500ms", ms(500)),
            ("10s", ms(10_000)),
            ("5m", ms(300_000)),
            ("1h30m", ms(5_400_000)),
            (" 1h 30m ", ms(5_400_000)),
            ("2 s", ms(2_000)),
            ("0.5s", ms(500)),
            ("1.5d", ms(129_600_000)),
            ("0s1ms", ms(1)),
            ("250us", Duration::from_micros(250)),
            ("250µs", Duration::from_micros(250)),
            ("1ns", Duration::from_nanos(1)),
            ("365d", MAX),
            ("10", ms(10_000)),
            (" 0.5 ", ms(500)),
            ("2min", ms(120_000)),
            ("1hr 5minutes 3sec", ms(3_903_000)),
            ("1day", ms(86_400_000)),
            ("30 msec", ms(30)),
            ("0.33333333333333333333333333333333333333s", Duration::from_nanos(333_333_333)),
        ] {
            check(text, Ok(expect));
        }
    }

    #[test]
    fn errors_say_what_was_wrong() {
        let too_long = "durations over 365d are not supported";
        let zero = "durations must be longer than zero";
        let number = "not a number of seconds, nor a number and a unit, such as 500ms, 10s or 5m";
        for (text, expect) in [
            ("", "empty; use seconds, or a number and a unit, such as 500ms, 10s or 5m"),
            ("  ", "empty; use seconds, or a number and a unit, such as 500ms, 10s or 5m"),
            ("0s", zero),
            ("0", zero),
            ("0.0000000001s", zero),
            ("-5s", "durations cannot be negative"),
            ("365d1ns", too_long),
            ("99999999999999999999s", too_long),
            ("1h30", "no unit; use 30s for seconds, 30ms for milliseconds or 30m for minutes"),
            ("10secs", "'secs' is not a unit of time; use ns, us, ms, s, m, h or d"),
            ("10S", "'S' is not a unit of time; use ns, us, ms, s, m, h or d"),
            ("1e3s", "'e' is not a unit of time; use ns, us, ms, s, m, h or d"),
            ("5\u{1b}[31m", "'\\x1b[' is not a unit of time; use ns, us, ms, s, m, h or d"),
            ("1.s", "'1.' is not a number"),
            (".5s", "'.5' is not a number"),
            ("1.2.3s", "'1.2.3' is not a number"),
            ("1.2.3", "'1.2.3' is not a number"),
            ("fast", number),
            ("s", number),
            ("+5s", number),
            ("١s", number),
        ] {
            check(text, Err(expect));
        }
    }

    #[test]
    fn nothing_may_be_asked_for_where_it_makes_sense() {
        for text in ["0", " 0", "00", "0s", "0ms"] {
            assert_eq!(parse_or_none(text), Ok(Duration::ZERO), "{text:?}");
        }
        assert_eq!(parse_or_none("2s"), Ok(Duration::from_secs(2)));
        for text in ["", "-1s", "1s0"] {
            assert_eq!(parse_or_none(text), Err(parse(text).unwrap_err()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn text_that_looks_like_durations_never_panics(text in "([0-9.]{0,30}[a-zµ -]{0,3}){0,4}") {
            let _ = parse(&text);
        }

        #[test]
        fn whole_numbers_are_read_back(nanoseconds in 1..=MAX.as_nanos() as u64) {
            let (s, ns) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            for text in [format!("{nanoseconds}ns"), format!("{s}s{ns}ns"), format!("{s}.{ns:09}s")] {
                prop_assert_eq!(parse(&text), Ok(Duration::from_nanos(nanoseconds)));
            }
        }
    }
}
