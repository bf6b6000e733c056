//! Whole numbers on the command line. clap puts the text and the option's name in front of an error.

use std::str::FromStr;

use crate::stream::ledger::MAX_PERIOD;

/// For the non-zero types, whose own message is for programmers.
pub fn at_least_one<N: FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "not a whole number of 1 or more")
}

/// Of sampling: one object in this many.
pub fn period(text: &str) -> Result<u32, &'static str> {
    let period = text.parse().ok().filter(|period| (1..=MAX_PERIOD).contains(period));
    period.ok_or("not a whole number from 1 to 65536")
}

/// Percent of one CPU, with or without the sign.
pub fn percent(text: &str) -> Result<f64, &'static str> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent =
        number.parse().ok().filter(|percent: &f64| is_plain && *percent > 0.0 && percent.is_finite());
    percent.ok_or("not a number above 0, in percent of one CPU")
}

/// The kernel's process ids are positive `int`s; 0, the idle task, cannot be chosen.
pub fn process_id(text: &str) -> Result<u32, &'static str> {
    let id = text.parse().ok().filter(|id| (1..=i32::MAX as u32).contains(id));
    id.ok_or("not a process id (1 to 2147483647)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods() {
        for (text, expect) in [("1", Some(1)), ("64", Some(64)), ("65536", Some(65536))] {
            assert_eq!(period(text).ok(), expect, "{text:?}");
        }
        for text in ["", "0", "-1", "1.5", "65537", "1/64", "99999999999"] {
            assert!(period(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn percents() {
        for (text, expect) in [("5", 5.0), ("5%", 5.0), ("0.01", 0.01), ("250 %", 250.0), (" 1.5 ", 1.5)] {
            assert_eq!(percent(text), Ok(expect), "{text:?}");
        }
        for text in ["", "%", "0", "0%", "-5", "five", "1e3", "inf", "NaN", "5%%x", "1.2.3"] {
            assert!(percent(text).is_err(), "{text:?}");
        }
    }
}
