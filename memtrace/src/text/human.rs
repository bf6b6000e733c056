//! Numbers for people. Each kind has a greatest width, so that columns stand still while the figures move.
//!
//! Our own and not a crate's: the ones at hand each miss a thing that a table needs (a bounded width, three
//! digits that matter, rounding that never shows `1024 KiB`, a sign).

use std::time::Duration;

/// Greatest width of [`bytes`]: `1023 KiB`.
pub const BYTES_WIDTH: usize = 8;
/// Greatest width of [`count`]: `999,999`.
pub const COUNT_WIDTH: usize = 7;
/// Greatest width of [`rate`]: `99.9 k/s`.
pub const RATE_WIDTH: usize = 8;
/// Greatest width of [`growth`]: `+99.9 k/s`.
pub const GROWTH_WIDTH: usize = 9;
/// Greatest width of [`bytes_growth`]: `+1023 KiB/s`.
pub const BYTES_GROWTH_WIDTH: usize = 11;
/// Greatest width of [`duration`]: `59 m 59 s`.
pub const DURATION_WIDTH: usize = 9;
/// Greatest width of [`percent`]: `>99%`.
pub const PERCENT_WIDTH: usize = 4;
/// Greatest width of [`bytes_change`]: `+1023 KiB`.
pub const BYTES_CHANGE_WIDTH: usize = 9;
/// Greatest width of [`count_change`]: `+999,999`.
pub const COUNT_CHANGE_WIDTH: usize = 8;
/// Greatest width of [`relative_change`]: `+900%`.
pub const RELATIVE_WIDTH: usize = 5;
/// Greatest width of [`error`]: `±999%`.
pub const ERROR_WIDTH: usize = 5;

const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];

/// Memory in powers of 1024, as free and slabtop count: `512 B`, `1.9 KiB`, `23.4 MiB`, `1023 GiB`.
pub fn bytes(n: u64) -> String {
    let (digits, unit) = if n < 1024 { (n.to_string(), 0) } else { scale(n as f64, 1024.0) };
    format!("{digits} {}", BINARY[unit])
}

/// How many: exact below a million (`1,234`), then `1.9 M`.
pub fn count(n: u64) -> String {
    if n < 1_000_000 {
        return grouped(n);
    }
    let (digits, unit) = scale(n as f64, 1000.0);
    format!("{digits} {}", DECIMAL[unit])
}

/// The exact number with its thousands set apart: `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The exact number with its sign: `+1,234,567`.
pub fn grouped_change(change: i64) -> String {
    let sign = if change < 0 { "-" } else { "+" };
    format!("{sign}{}", grouped(change.unsigned_abs()))
}

/// By how much memory changed: `+1.9 MiB`, `-12.0 KiB`, `0 B`.
pub fn bytes_change(change: i64) -> String {
    format!("{}{}", sign(change), bytes(change.unsigned_abs()))
}

/// By how many something changed: `+1,234`.
pub fn count_change(change: i64) -> String {
    format!("{}{}", sign(change), count(change.unsigned_abs()))
}

fn sign(change: i64) -> &'static str {
    match change {
        0 => "",
        ..0 => "-",
        _ => "+",
    }
}

/// A change as a share of what was before: `+12%`, `-50%`, `0%`; ten times and more as a factor: `x12`, at most `x9999`. Where
/// nothing was before, `new`.
pub fn relative_change(share: Option<f64>) -> String {
    let Some(share) = share.filter(|share| share.is_finite()) else { return "new".to_owned() };
    if share >= 9.0 {
        return format!("x{:.0}", (share + 1.0).min(9999.0));
    }
    let sign = if share < 0.0 { "-" } else { "+" };
    match share.abs() * 100.0 {
        0.0 => "0%".to_owned(),
        percent if percent < 1.0 => format!("{sign}<1%"),
        // What is left is not nothing.
        percent if share > -1.0 && share < 0.0 => format!("-{:.0}%", percent.min(99.0)),
        percent => format!("{sign}{percent:.0}%"),
    }
}

/// Events per second: `0 /s`, `0.3 /s`, `850 /s`, `1.9 k/s`. What is not a number is `-`.
pub fn rate(per_s: f64) -> String {
    if !per_s.is_finite() {
        return "-".to_owned();
    }
    let size = per_s.abs();
    if size < 0.05 {
        return "0 /s".to_owned();
    }
    let (digits, unit) = scale(size, 1000.0);
    let sign = if per_s < 0.0 { "-" } else { "" };
    format!("{sign}{digits} {}/s", DECIMAL[unit])
}

/// A rate whose direction matters: `+1.9 k/s`, `-12.0 /s`, `0 /s`.
pub fn growth(per_s: f64) -> String {
    let text = rate(per_s);
    if per_s > 0.0 && per_s.is_finite() && text != "0 /s" { format!("+{text}") } else { text }
}

/// How fast memory grows or shrinks: `+1.9 MiB/s`.
pub fn bytes_growth(per_s: f64) -> String {
    format!("{}/s", bytes_change(per_s.round() as i64))
}

/// Time that has passed, rounded down: `850 ms`, `12.3 s`, `4 m 10 s`, `3 h 2 m`, `5 d 7 h`, `250 d`.
pub fn duration(time: Duration) -> String {
    let s = time.as_secs();
    let (m, h, d) = (s / 60, s / 3600, s / 86_400);
    match s {
        0 => format!("{} ms", time.subsec_millis()),
        1..60 => format!("{s}.{} s", time.subsec_millis() / 100),
        60..3600 => format!("{m} m {} s", s % 60),
        3600..86_400 => format!("{h} h {} m", m % 60),
        _ if d < 100 => format!("{d} d {} h", h % 24),
        _ if d < 10_000 => format!("{d} d"),
        _ => ">9999 d".to_owned(),
    }
}

/// A bound of time that somebody chose: `10 s`, `5 m`, `1 h 30 m`, without parts that are nothing.
pub fn round_duration(time: Duration) -> String {
    duration(time)
        .replace(".0 s", " s")
        .replace(" m 0 s", " m")
        .replace(" h 0 m", " h")
        .replace(" d 0 h", " d")
}

/// In the largest unit of which there is one, with a tenth where it is not whole.
pub fn in_largest_unit(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let (unit, name) = units.into_iter().find(|&(unit, _)| seconds >= unit).unwrap_or((1.0, "s"));
    let tenths = (seconds / unit * 10.0).round() / 10.0;
    format!("{tenths} {name}")
}

/// A count and what is counted: `1 event`, `2 events`.
pub fn number(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `1 process`, `2 processes`.
pub fn processes(n: u64) -> String {
    format!("{} process{}", grouped(n), if n == 1 { "" } else { "es" })
}

/// A share between 0 and 1: `98%`; `0%` and `100%` only for exactly none and all, else `<1%` and `>99%`.
pub fn percent(share: f64) -> String {
    if share.is_nan() {
        "-".to_owned()
    } else if share <= 0.0 {
        "0%".to_owned()
    } else if share >= 1.0 {
        "100%".to_owned()
    } else if share < 0.01 {
        "<1%".to_owned()
    } else if share > 0.99 {
        ">99%".to_owned()
    } else {
        format!("{:.0}%", share * 100.0)
    }
}

/// A share that is an estimate: `~98%`, `<1%`.
pub fn about(share: f64) -> String {
    let percent = percent(share);
    if percent.starts_with(['<', '>']) { percent } else { format!("~{percent}") }
}

/// How far an estimate can be wrong, as a share of it: `±<1%`, `±4%`, `±270%`, at most `±999%`.
pub fn error(share: f64) -> String {
    let percent = (share * 100.0).round();
    if percent < 1.0 { "±<1%".to_owned() } else { format!("±{}%", percent.min(999.0)) }
}

/// CPU time as a share of one CPU, of which there may be several: `0%`, `<0.1%`, `1.2%`, `340%`.
pub fn cpu(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        "-".to_owned()
    } else if percent <= 0.0 {
        "0%".to_owned()
    } else if percent < 0.1 {
        "<0.1%".to_owned()
    } else if percent < 9.95 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

/// `n` in the largest of seven units that keeps it at one or more, to a tenth below 100, else whole; and which
/// unit that is. Rounds before it chooses: 1023.96 KiB is `1.0` of the next unit. What is beyond the last unit
/// is `999` of it, so that no width is ever broken.
fn scale(mut n: f64, base: f64) -> (String, usize) {
    let mut unit = 0;
    while unit < 6 && n.round() >= base {
        n /= base;
        unit += 1;
    }
    let tenths = (n * 10.0).round() / 10.0;
    if tenths < 100.0 { (format!("{tenths:.1}"), unit) } else { (format!("{:.0}", n.min(base - 1.0)), unit) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_in_binary_units() {
        let check = |n, expect: &str| assert_eq!(bytes(n), expect);
        check(0, "0 B");
        check(1023, "1023 B");
        check(1024, "1.0 KiB");
        check(1945, "1.9 KiB");
        check(102_349, "100 KiB");
        check(1024 * 1023 + 500, "1023 KiB");
        check(1024 * 1024 - 1, "1.0 MiB");
        check(24_536_678, "23.4 MiB");
        check(5 << 30, "5.0 GiB");
        check(u64::MAX, "16.0 EiB");
    }

    #[test]
    fn counts() {
        let check = |n, expect: &str| assert_eq!(count(n), expect);
        check(0, "0");
        check(999, "999");
        check(1234, "1,234");
        check(999_999, "999,999");
        check(1_000_000, "1.0 M");
        check(1_948_211, "1.9 M");
        check(999_600_000, "1.0 G");
        check(u64::MAX, "18.4 E");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn rates() {
        let check = |n, expect: &str| assert_eq!(rate(n), expect);
        check(0.0, "0 /s");
        check(-0.0, "0 /s");
        check(0.04, "0 /s");
        check(0.3, "0.3 /s");
        check(12.0, "12.0 /s");
        check(850.0, "850 /s");
        check(999.7, "1.0 k/s");
        check(1948.0, "1.9 k/s");
        check(f64::NAN, "-");
        check(f64::INFINITY, "-");
        check(f64::MAX, "999 E/s");
    }

    #[test]
    fn growth_has_a_sign() {
        let check = |n, expect: &str| assert_eq!(growth(n), expect);
        check(1948.0, "+1.9 k/s");
        check(-1948.0, "-1.9 k/s");
        check(0.0, "0 /s");
        check(-0.01, "0 /s");
        check(0.01, "0 /s");
        check(f64::NAN, "-");
        check(f64::INFINITY, "-");
        check(f64::NEG_INFINITY, "-");
    }

    #[test]
    fn durations() {
        let check = |ms, expect: &str| assert_eq!(duration(Duration::from_millis(ms)), expect);
        check(0, "0 ms");
        check(850, "850 ms");
        check(1_000, "1.0 s");
        check(12_399, "12.3 s");
        check(59_999, "59.9 s");
        check(250_000, "4 m 10 s");
        check(10_920_000, "3 h 2 m");
        check(86_399_999, "23 h 59 m");
        check(5 * 86_400_000 + 7 * 3_600_000, "5 d 7 h");
        check(250 * 86_400_000, "250 d");
        check(u64::MAX, ">9999 d");
        assert_eq!(duration(Duration::MAX), ">9999 d");
    }

    #[test]
    fn round_durations() {
        let check = |s, expect: &str| assert_eq!(round_duration(Duration::from_secs(s)), expect);
        check(10, "10 s");
        check(300, "5 m");
        check(310, "5 m 10 s");
        check(3600, "1 h");
        check(5400, "1 h 30 m");
        check(86_400, "1 d");
        assert_eq!(round_duration(Duration::from_millis(10_500)), "10.5 s");
        assert_eq!(round_duration(Duration::from_millis(100)), "100 ms");
    }

    #[test]
    fn percents() {
        let check = |share, expect: &str| assert_eq!(percent(share), expect);
        check(0.0, "0%");
        check(0.000_1, "<1%");
        check(0.01, "1%");
        check(0.984, "98%");
        check(0.99, "99%");
        check(0.999_9, ">99%");
        check(1.0, "100%");
        check(7.0, "100%");
        check(-1.0, "0%");
        check(f64::NAN, "-");
        check(f64::INFINITY, "100%");
    }

    #[test]
    fn changes() {
        assert_eq!([0, 1, -1, i64::MIN].map(bytes_change), ["0 B", "+1 B", "-1 B", "-8.0 EiB"]);
        assert_eq!([0, 1234, -1_900_000].map(count_change), ["0", "+1,234", "-1.9 M"]);
        let check = |share, expect: &str| assert_eq!(relative_change(share), expect);
        check(None, "new");
        check(Some(0.0), "0%");
        check(Some(0.001), "+<1%");
        check(Some(-0.001), "-<1%");
        check(Some(0.12), "+12%");
        check(Some(-0.999), "-99%");
        check(Some(-1.0), "-100%");
        check(Some(8.99), "+899%");
        check(Some(9.0), "x10");
        check(Some(1e9), "x9999");
        check(Some(f64::NAN), "new");
    }

    #[test]
    fn errors_are_rounded() {
        let check = |share, expect: &str| assert_eq!(error(share), expect);
        check(0.0, "±<1%");
        check(0.004_9, "±<1%");
        check(0.006, "±1%");
        check(0.041, "±4%");
        check(2.74, "±274%");
        check(1e9, "±999%");
        check(f64::INFINITY, "±999%");
    }

    #[test]
    fn an_estimate_is_marked_once() {
        let check = |share, expect: &str| assert_eq!(about(share), expect);
        check(0.98, "~98%");
        check(0.004, "<1%");
        check(0.999, ">99%");
        check(1.0, "~100%");
    }

    #[test]
    fn cpu_time_has_a_tenth_where_it_is_little() {
        let check = |share, expect: &str| assert_eq!(cpu(share), expect);
        check(0.0, "0%");
        check(-0.1, "0%");
        check(0.000_3, "<0.1%");
        check(0.012, "1.2%");
        check(0.099_49, "9.9%");
        check(0.099_6, "10%");
        check(3.4, "340%");
        check(f64::NAN, "-");
        check(f64::INFINITY, "-");
    }

    /// What the text says, to compare sizes.
    fn value(text: &str, units: &[&str], base: f64) -> f64 {
        let text = text.replace(['+', ','], "");
        let (digits, unit) = text.split_once(' ').unwrap_or((&text, ""));
        let power = units.iter().position(|known| *known == unit).expect("a known unit");
        digits.parse::<f64>().unwrap() * base.powi(power as i32)
    }

    fn seconds(text: &str) -> f64 {
        let words: Vec<&str> = text.trim_start_matches('>').split(' ').collect();
        let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
        let worth = |unit| units.iter().find(|(name, _)| *name == unit).unwrap().1;
        words.chunks(2).map(|pair| pair[0].parse::<f64>().unwrap() * worth(pair[1])).sum()
    }

    fn any_size() -> impl Strategy<Value = u64> {
        // As many small numbers as great ones.
        (any::<u64>(), 0_u32..64).prop_map(|(n, shift)| n >> shift)
    }

    proptest! {
        #[test]
        fn changes_have_their_width(change in any::<i64>(), share in -1.0..1e12_f64) {
            prop_assert!(bytes_change(change).len() <= BYTES_CHANGE_WIDTH);
            prop_assert!(count_change(change).len() <= COUNT_CHANGE_WIDTH);
            prop_assert!(relative_change(Some(share)).len() <= RELATIVE_WIDTH);
        }

        #[test]
        fn sizes_grow_with_the_number(a in any_size(), b in any_size()) {
            let (a, b) = (a.min(b), a.max(b));
            let of_bytes = |n| value(&bytes(n), &BINARY, 1024.0);
            let of_count = |n| value(&count(n), &DECIMAL, 1000.0);
            let of_rate = |n: u64| value(rate(n as f64).trim_end_matches("/s"), &DECIMAL, 1000.0);
            prop_assert!(of_bytes(a) <= of_bytes(b));
            prop_assert!(of_count(a) <= of_count(b));
            prop_assert!(of_rate(a) <= of_rate(b));
        }

        #[test]
        fn durations_grow_with_time(a in any_size(), b in any_size()) {
            let of = |ns| seconds(&duration(Duration::from_nanos(ns)));
            prop_assert!(of(a.min(b)) <= of(a.max(b)));
        }

        #[test]
        fn widths_are_bounded(n in any_size(), f in any::<f64>(), nanos in any::<u32>()) {
            prop_assert!(bytes(n).len() <= BYTES_WIDTH);
            prop_assert!(count(n).len() <= COUNT_WIDTH);
            prop_assert!(duration(Duration::from_secs(n)).len() <= DURATION_WIDTH);
            prop_assert!(duration(Duration::from_nanos(u64::from(nanos))).len() <= DURATION_WIDTH);
            for f in [f, n as f64, n as f64 / 1e9, 1.0 / (n as f64 + 1.0)] {
                prop_assert!(rate(f.abs()).len() <= RATE_WIDTH);
                prop_assert!(growth(f).len() <= GROWTH_WIDTH && growth(-f).len() <= GROWTH_WIDTH);
                prop_assert!(percent(f).len() <= PERCENT_WIDTH);
                prop_assert!(!growth(f).contains("NaN") && !growth(f).contains("inf"));
            }
        }

        #[test]
        fn a_shrinking_rate_is_the_growing_one_with_a_minus(f in 0.1_f64..1e15) {
            prop_assert_eq!(growth(-f), growth(f).replacen('+', "-", 1));
        }

        #[test]
        fn percents_grow_with_the_share(a in 0.0_f64..1.0, b in 0.0_f64..1.0) {
            let of = |share| match percent(share).as_str() {
                "<1%" => 0.5,
                ">99%" => 99.5,
                text => text.trim_end_matches('%').parse::<f64>().unwrap(),
            };
            prop_assert!(of(a.min(b)) <= of(a.max(b)));
        }
    }
}
