//! Names that are clocks: some programs put the time into the names that they make. If all numbers of a pattern are moments since
//! the host was started, the names say when they were made.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use crate::stream::ledger::pattern::{Part, parts};

/// Fewer names, or fewer different ones, may be moments by chance.
const LEAST_NAMES: usize = 8;
/// More would tell no more.
const MOST_NAMES: usize = 4_096;
/// NSS measures how fast a directory is by names that count on from the milliseconds of CLOCK_MONOTONIC, at most so many: a number
/// may be so far ahead of its time. See `sdb_measureAccess` in NSS's lib/softoken/sdb.c.
const NSS: &[u8] = b"_dOeSnotExist_.db";
const NSS_AHEAD: Duration = Duration::from_millis(10_000);
/// It keeps 32 bits of them.
const NSS_AGAIN: u64 = 1 << 32;
/// Any number counts from the start of something. One that is the time since the host's start comes this near to it, as a share.
const NEAR_NOW: f64 = 0.01;
/// From 1582-10-15, where the clock of UUIDs begins, to 1970-01-01, in 100 ns.
const UUID_EPOCH: u64 = 0x01b2_1dd2_1381_4000;
const UUID_LEN: usize = 36;

/// When objects were made, by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub after: SystemTime,
    pub before: SystemTime,
    pub clock: Clock,
}

/// What the numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Milliseconds since the host was started.
    Uptime,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    Date,
    Uuid,
}

/// The moment of a census.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub time: SystemTime,
    /// CLOCK_MONOTONIC.
    pub uptime: Duration,
}

/// From and to, since 1970.
type Span = (Duration, Duration);

impl Now {
    fn since_epoch(self) -> Duration {
        self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn boot(self) -> Duration {
        self.since_epoch().saturating_sub(self.uptime)
    }
}

/// None where the names of a pattern are no clock, or too few.
pub fn period<'a>(names: impl Iterator<Item = &'a [u8]>, now: Now) -> Option<Period> {
    let names: Vec<&[u8]> = names.take(MOST_NAMES).collect();
    let is_nss = names.iter().all(|name| name.ends_with(NSS));
    let readers = if is_nss { &NSS_CLOCK[..] } else { &CLOCKS[..] };
    let names: Vec<Vec<&[u8]>> = names.into_iter().map(variables).collect();
    let columns = names.first()?.len();
    if names.iter().any(|name| name.len() != columns) {
        return None;
    }
    (0..columns).find_map(|at| {
        let parts: HashSet<&[&[u8]]> = names.iter().map(|name| &name[at..]).collect();
        let is_enough = parts.len() >= LEAST_NAMES;
        readers.iter().filter(|_| is_enough).find_map(|reader| reader.period(&parts, now))
    })
}

/// The variable parts of a name.
fn variables(name: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    parts(name, |part| {
        if let Part::Variable(bytes) = part {
            found.push(bytes);
        }
    });
    found
}

/// Reads moments.
struct Reader {
    clock: Clock,
    /// From the variable parts of a name, of which the first is a number.
    read: fn(&[&[u8]], Now) -> Option<Span>,
    /// Any counter would be one, if it need not.
    reaches_now: bool,
}

const CLOCKS: [Reader; 7] = [
    Reader::new(Clock::Seconds, |parts, _| epoch(parts, Duration::from_secs)),
    Reader::new(Clock::Milliseconds, |parts, _| epoch(parts, Duration::from_millis)),
    Reader::new(Clock::Microseconds, |parts, _| epoch(parts, Duration::from_micros)),
    Reader::new(Clock::Nanoseconds, |parts, _| epoch(parts, Duration::from_nanos)),
    Reader::new(Clock::Date, |parts, _| date(parts)),
    Reader::new(Clock::Uuid, |parts, _| uuid(parts.first()?)),
    Reader { reaches_now: true, ..Reader::new(Clock::Uptime, uptime) },
];

const NSS_CLOCK: [Reader; 1] = [Reader::new(Clock::Uptime, nss)];

impl Reader {
    const fn new(clock: Clock, read: fn(&[&[u8]], Now) -> Option<Span>) -> Self {
        Self { clock, read, reaches_now: false }
    }

    /// If all names are moments between the host's start and now.
    fn period(&self, names: &HashSet<&[&[u8]]>, now: Now) -> Option<Period> {
        let (boot, present) = (now.boot(), now.since_epoch());
        let spans = names
            .iter()
            .map(|name| (self.read)(name, now).filter(|&(from, to)| to >= boot && from <= present));
        let spans: Vec<Span> = spans.collect::<Option<_>>()?;
        let from = spans.iter().map(|span| span.0).min()?.max(boot);
        let to = spans.iter().map(|span| span.1).max()?.min(present);
        let near = now.uptime.as_secs_f64() * NEAR_NOW;
        if self.reaches_now && (present - to).as_secs_f64() > near {
            return None;
        }
        let moment = |since: Duration| SystemTime::UNIX_EPOCH + since;
        Some(Period { after: moment(from), before: moment(to), clock: self.clock })
    }
}

fn uptime(parts: &[&[u8]], now: Now) -> Option<Span> {
    let at = now.boot() + Duration::from_millis(number(parts)?);
    Some((at, at))
}

fn nss(parts: &[&[u8]], now: Now) -> Option<Span> {
    let uptime = u64::try_from((now.uptime + NSS_AHEAD).as_millis()).ok()?;
    let number = number(parts)?;
    // Where the numbers began again, the latest time that fits.
    let again = uptime.checked_sub(number)? / NSS_AGAIN;
    let at = now.boot() + Duration::from_millis(number + again * NSS_AGAIN);
    Some((at.saturating_sub(NSS_AHEAD), at))
}

fn epoch(parts: &[&[u8]], unit: fn(u64) -> Duration) -> Option<Span> {
    let at = unit(number(parts)?);
    Some((at, at))
}

fn number(parts: &[&[u8]]) -> Option<u64> {
    digits(parts.first()?)?.parse().ok()
}

fn digits(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// `20240131`, `20240131101530`, `20240131T101530Z`, or year, month and day apart.
fn date(parts: &[&[u8]]) -> Option<Span> {
    let text = std::str::from_utf8(parts.first()?).ok()?;
    let compact: String = text.chars().filter(char::is_ascii_digit).collect();
    match (text.len(), compact.len()) {
        (8, 8) => day(&compact[..4], &compact[4..6], &compact[6..]),
        (14..=16, 14) => moment(&compact),
        (4, 4) => day(text, digits(parts.get(1)?)?, digits(parts.get(2)?)?),
        _ => None,
    }
}

fn day(year: &str, month: &str, day: &str) -> Option<Span> {
    let start = parse(&format!("{year}-{month:0>2}-{day:0>2} 00:00:00"))?;
    Some((start, start + Duration::from_secs(86_400 - 1)))
}

fn moment(digits: &str) -> Option<Span> {
    let [year, month, day, hour, minute, second] =
        [0..4, 4..6, 6..8, 8..10, 10..12, 12..14].map(|range| &digits[range]);
    let at = parse(&format!("{year}-{month}-{day} {hour}:{minute}:{second}"))?;
    Some((at, at))
}

fn parse(text: &str) -> Option<Duration> {
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    time.duration_since(SystemTime::UNIX_EPOCH).ok()
}

/// Versions 1 and 7 have the time in them.
fn uuid(bytes: &[u8]) -> Option<Span> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() == UUID_LEN)?;
    let hex = |range: std::ops::Range<usize>| u64::from_str_radix(text.get(range)?, 16).ok();
    let at = match text.as_bytes()[14] {
        b'1' => {
            let ticks = hex(15..18)? << 48 | hex(9..13)? << 32 | hex(0..8)?;
            Duration::from_nanos(ticks.checked_sub(UUID_EPOCH)?.checked_mul(100)?)
        }
        b'7' => Duration::from_millis(hex(0..8)? << 16 | hex(9..13)?),
        _ => return None,
    };
    Some((at, at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-29T08:00:00Z, ten days after the start.
    fn now() -> Now {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_939_200);
        Now { time, uptime: Duration::from_secs(864_000) }
    }

    fn of(names: &[String]) -> Option<(i64, i64, Clock)> {
        let found = period(names.iter().map(|name| name.as_bytes()), now());
        let ago = |time: SystemTime| now().time.duration_since(time).unwrap().as_secs() as i64;
        found.map(|period| (ago(period.after), ago(period.before), period.clock))
    }

    /// Names of moments so many seconds ago.
    fn names(ago: std::ops::Range<u64>, name: impl Fn(u64) -> String) -> Vec<String> {
        let step = ((ago.end - ago.start) / 100).max(1);
        ago.step_by(step as usize).map(name).collect()
    }

    const EPOCH: u64 = 1_795_939_200;

    #[test]
    fn nss() {
        let of_nss = |ago: u64| format!(".{}_dOeSnotExist_.db", (864_000 - ago) * 1000);
        let found = of(&names(3_600..777_600, of_nss)).unwrap();
        assert!(found.0.abs_diff(777_600) < 8_000 && found.1 == 3_600, "{found:?}");
        assert_eq!(found.2, Clock::Uptime);
        // Up to ten seconds ahead.
        let ahead: Vec<_> =
            (0..100).map(|at| format!(".{}_dOeSnotExist_.db", 864_000_000 + at * 100)).collect();
        assert_eq!(of(&ahead).unwrap().1, 0);
        let beyond: Vec<_> = (0..100).map(|at| format!(".{}_dOeSnotExist_.db", 864_011_000 + at)).collect();
        assert_eq!(of(&beyond), None);
    }

    /// 60 days: the numbers began again ten days ago.
    #[test]
    fn nss_s_numbers_begin_again() {
        let now = Now { uptime: Duration::from_secs(60 * 86_400), ..now() };
        let uptime = 60 * 86_400_000;
        let names: Vec<String> = (0..50_u64)
            .map(|hours| format!(".{}_dOeSnotExist_.db", (uptime - hours * 3_600_000) % (1 << 32)))
            .collect();
        let found = period(names.iter().map(|name| name.as_bytes()), now).unwrap();
        let ago = |time: SystemTime| now.time.duration_since(time).unwrap().as_secs();
        assert!(ago(found.after).abs_diff(49 * 3_600) < 20 && ago(found.before) == 0, "{found:?}");
    }

    #[test]
    fn moments_since_1970() {
        let check = |name: &dyn Fn(u64) -> String, clock| {
            let found = of(&names(100..50_100, name)).expect("a clock");
            assert!(found.0.abs_diff(49_600) <= 500 && found.1 == 100, "{found:?}");
            assert_eq!(found.2, clock);
        };
        check(&|ago| format!("probe-{}.tmp", EPOCH - ago), Clock::Seconds);
        check(&|ago| format!("{}.lock", (EPOCH - ago) * 1000), Clock::Milliseconds);
        check(&|ago| format!("x_7_{}", (EPOCH - ago) * 1_000_000), Clock::Microseconds);
        check(&|ago| format!("x{}", (EPOCH - ago) * 1_000_000_000), Clock::Nanoseconds);
    }

    #[test]
    fn dates() {
        let day = |at: u64| format!("log-2026-11-{:02}-{at}", 20 + at);
        let found = of(&(0..9).map(day).collect::<Vec<_>>()).unwrap();
        assert_eq!(found.2, Clock::Date);
        assert_eq!(found.0, 9 * 86_400 + 8 * 3_600, "midnight of the 20th");
        let compact = |at: u64| format!("dump.202611{:02}T08{at:02}00Z", 20 + at);
        assert_eq!(of(&(0..9).map(compact).collect::<Vec<_>>()).unwrap().2, Clock::Date);
        let wrong = |at: u64| format!("log-2026-13-{:02}", 20 + at);
        assert_eq!(of(&(0..9).map(wrong).collect::<Vec<_>>()), None);
    }

    #[test]
    fn uuids() {
        let v7 = |ago: u64| {
            let ms = (EPOCH - ago) * 1000;
            format!("{:08x}-{:04x}-7abc-8def-0123456789ab", ms >> 16, ms & 0xffff)
        };
        assert_eq!(of(&names(100..50_100, v7)).unwrap().2, Clock::Uuid);
        let v1 = |ago: u64| {
            let ticks = (EPOCH - ago) * 10_000_000 + UUID_EPOCH;
            format!(
                "{:08x}-{:04x}-1{:03x}-8def-0123456789ab",
                ticks & 0xffff_ffff,
                ticks >> 32 & 0xffff,
                ticks >> 48
            )
        };
        let found = of(&names(100..50_100, v1)).unwrap();
        assert_eq!((found.1, found.2), (100, Clock::Uuid));
        let v4 = |at: u64| format!("{:08x}-1234-4abc-8def-0123456789ab", at * 77_777);
        assert_eq!(of(&names(100..50_100, v4)), None);
    }

    #[test]
    fn other_numbers_are_no_clock() {
        assert_eq!(of(&(1..5_000).map(|at| format!("file{at}")).collect::<Vec<_>>()), None, "a counter");
        assert_eq!(of(&(0..100).map(|at| format!("a{}", at * 17_000_000)).collect::<Vec<_>>()), None);
        assert_eq!(of(&(0..7).map(|at| format!("a{}", EPOCH - at)).collect::<Vec<_>>()), None, "too few");
        assert_eq!(of(&vec![format!("a{}", EPOCH - 5); 50]), None, "all the same");
        let old = [format!("a{}", EPOCH - 2_000_000)];
        let with_old = [names(100..50_100, |ago| format!("a{}", EPOCH - ago)), old.to_vec()].concat();
        assert_eq!(of(&with_old), None, "one is from before the start");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["passwd".to_owned()]), None);
    }

    /// Milliseconds since the start, by a program that is not known, and that still runs.
    #[test]
    fn an_unknown_clock_has_to_reach_the_present() {
        let name = |ago: u64| format!("probe.{}", (864_000 - ago) * 1000);
        assert_eq!(of(&names(1..400_000, name)).unwrap().2, Clock::Uptime);
        assert_eq!(of(&names(100_000..400_000, name)), None);
    }

    proptest! {
        #[test]
        fn any_names(names in prop::collection::vec("[a-z0-9.-]{0,40}", 0..30), uptime in 0_u64..u64::MAX) {
            let now = Now { uptime: Duration::from_millis(uptime), ..now() };
            if let Some(found) = period(names.iter().map(|name| name.as_bytes()), now) {
                prop_assert!(found.after <= found.before && found.before <= now.time);
            }
        }
    }
}
