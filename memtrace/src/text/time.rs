//! Moments of the wall clock as RFC 3339 writes them, in UTC. A clock outside of what it can write, as in a damaged file, is
//! shown as the nearest moment that it can.

use std::time::{Duration, SystemTime};

/// The last moment that RFC 3339 can write, in seconds: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// To the nanosecond.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_nanos(writable(time)).to_string()
}

/// To the millisecond.
pub fn rfc3339_millis(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(writable(time)).to_string()
}

/// To the second.
pub fn rfc3339_seconds(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(writable(time)).to_string()
}

/// Seconds, to the nanosecond: `-0.000000012`.
pub fn seconds(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    format!("{sign}{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

fn writable(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + since.min(Duration::from_secs(LAST_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_clock_can_be_written() {
        let check = |time, expect: &str| assert_eq!(rfc3339(time), expect);
        check(SystemTime::UNIX_EPOCH, "1970-01-01T00:00:00.000000000Z");
        check(SystemTime::UNIX_EPOCH - Duration::from_secs(1), "1970-01-01T00:00:00.000000000Z");
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
        check(far, "9999-12-31T23:59:59.000000000Z");
        assert_eq!(
            (rfc3339_millis(far), rfc3339_seconds(far)),
            ("9999-12-31T23:59:59.000Z".into(), "9999-12-31T23:59:59Z".into())
        );
    }
}
