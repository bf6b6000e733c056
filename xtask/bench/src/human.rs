//! Figures as people read them: three digits and a unit.

/// `301 ns`, `2.05 us`, `1.20 s`.
pub fn ns(ns: f64) -> String {
    scaled(ns, 1000.0, &[" ns", " us", " ms", " s"])
}

/// `+301 ns`, `-12.0 ns`.
pub fn added_ns(value: f64) -> String {
    format!("{}{}", if value < 0.0 { "-" } else { "+" }, ns(value.abs()))
}

/// `1.50 M`
pub fn count(count: f64) -> String {
    scaled(count, 1000.0, &["", " k", " M", " G"])
}

/// `11.4 MiB`
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, 1024.0, &[" B", " KiB", " MiB", " GiB"])
}

/// `1.27`, `12.4`, `310`
pub fn number(value: f64) -> String {
    scaled(value, f64::MAX, &[""])
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    // What would be rounded up to four digits is of the next unit.
    while value.abs() >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = match value.abs() {
        whole if whole == 0.0 || (unit == 0 && units.len() > 1 && whole.fract() == 0.0) => 0,
        large if large >= 99.95 => 0,
        middle if middle >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let texts = [0.0, 0.25, 1.0, 12.34, 99.96, 301.4, 999.4, 999.6, 2050.0, 1.2e9, 9e12].map(ns);
        assert_eq!(
            texts,
            [
                "0 ns", "0.25 ns", "1 ns", "12.3 ns", "100 ns", "301 ns", "999 ns", "1.00 us", "2.05 us",
                "1.20 s", "9000 s"
            ]
        );
        assert_eq!([added_ns(301.0), added_ns(-12.04)], ["+301 ns", "-12.0 ns"]);
        assert_eq!([count(0.0), count(37.0), count(1_500_000.0)], ["0", "37", "1.50 M"]);
        assert_eq!([bytes(4096.0), bytes(12_000_000.0)], ["4.00 KiB", "11.4 MiB"]);
        assert_eq!(
            [number(1.2745), number(12.41), number(310.2), number(1.0)],
            ["1.27", "12.4", "310", "1.00"]
        );
    }
}
