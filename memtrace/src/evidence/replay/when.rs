//! Times in a recording, as they are written on the command line and at the keyboard.

use std::time::SystemTime;

use super::window::When;
use crate::text::duration;

const PEAK: &str = "peak";
const MARK: &str = "mark:";

/// `30s` after the start, `-30s` before the end, `2026-11-25T03:00:00Z`, `peak`, `mark:deploy`. Made for clap's `value_parser`.
pub fn parse(text: &str) -> Result<When, String> {
    if text == PEAK {
        return Ok(When::Peak);
    }
    if let Some(label) = text.strip_prefix(MARK) {
        return Ok(When::Mark(label.to_owned()));
    }
    if let Some(before) = text.strip_prefix('-') {
        return duration::parse_or_none(before).map(When::BeforeEnd).map_err(|error| error.to_string());
    }
    if text.contains(':') {
        return wall(text).map(When::At);
    }
    duration::parse_or_none(text).map(When::After).map_err(|error| error.to_string())
}

fn wall(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "not a date and time in UTC, such as 2026-11-25T03:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_have_many_forms() {
        let second = Duration::from_secs(1);
        let check = |text, expected| assert_eq!(parse(text), Ok(expected), "{text}");
        check("90s", When::After(90 * second));
        check("0", When::After(Duration::ZERO));
        check("-30s", When::BeforeEnd(30 * second));
        check("peak", When::Peak);
        check("mark:deploy 7", When::Mark("deploy 7".to_owned()));
        let new_year = SystemTime::UNIX_EPOCH + 1_767_225_600 * second;
        check("2026-01-01T00:00:00Z", When::At(new_year));
        check("2026-01-01 00:00:00", When::At(new_year));
        for text in ["", "soon", "12:30", "2026-13-01T00:00:00Z", "--5s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
