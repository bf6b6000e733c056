//! From a text to a condition.
//!
//!     condition = "finding" | "pressure" ">" share | "memory.events" event
//!               | name (">" | "<") amount | name ("+" | "-") amount "/" time | name "lasts" "<" time
//!     amount    = a size, such as 10G | share, of all memory
//!     share     = a number and "%"

use std::time::Duration;

use strum::VariantNames as _;
use thiserror::Error;

use super::grammar::{Amount, Condition, Test, What};
use crate::{
    procfs::memory_events::MemoryEvent,
    text::{duration, escape, size},
};

/// What can be written, for whoever has written something else.
pub(super) const EXAMPLES: &str =
    "'dentry > 10G', 'slab > 40%', 'SUnreclaim +500M/1h', 'available lasts < 10m', 'pressure > 10%', finding";

const FINDING: &str = "finding";
const PRESSURE: &str = "pressure";
const MEMORY_EVENTS: &str = "memory.events";
const LASTS: &str = "lasts";

/// A mark is called like its condition, and no longer name fits.
const MAX_LEN: usize = 200;

/// What is wrong with a condition, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("column {column}: {what}; examples: {}", EXAMPLES)]
pub struct Mistake {
    /// In characters, from 1.
    pub column: usize,
    pub what: String,
}

/// Made for clap's `value_parser`.
pub fn parse(text: &str) -> Result<Condition, Mistake> {
    let mut rest = Rest { text, at: 0 };
    if text.len() > MAX_LEN {
        return Err(rest.mistake(format!("a condition has at most {MAX_LEN} bytes")));
    }
    let what = what(&mut rest)?;
    rest.skip_blanks();
    if !rest.left().is_empty() {
        return Err(rest.mistake(format!("nothing can follow here: {}", quoted(rest.left()))));
    }
    Ok(Condition { text: text.trim().to_owned(), what })
}

fn what(rest: &mut Rest<'_>) -> Result<What, Mistake> {
    rest.skip_blanks();
    let column = rest.column();
    // A dash is part of many names: as a sign it has a blank before it.
    let name = rest.take_while(|c| !c.is_whitespace() && !"<>=+".contains(c));
    if name.is_empty() {
        return Err(rest.mistake("a slab cache or a line of /proc/meminfo is missing here"));
    }
    rest.skip_blanks();
    match name {
        FINDING if rest.left().is_empty() => return Ok(What::Finding),
        PRESSURE => return pressure(rest),
        MEMORY_EVENTS => return event(rest),
        _ => {}
    }
    let test = if rest.skip_word(LASTS) { lasts(rest)? } else { test(name, rest)? };
    Ok(What::Figure { name: name.to_owned(), column, test })
}

fn pressure(rest: &mut Rest<'_>) -> Result<What, Mistake> {
    const NEEDED: &str =
        "pressure is the share of the time in which tasks wait for memory: write > and a share (10%) here";
    rest.skip_sign('>', NEEDED)?;
    let start = *rest;
    match amount(rest)? {
        Amount::Share(share) => Ok(What::Pressure(share)),
        Amount::Bytes(_) => Err(start.mistake(NEEDED)),
    }
}

fn event(rest: &mut Rest<'_>) -> Result<What, Mistake> {
    let start = *rest;
    let name = rest.take_while(|c| !c.is_whitespace());
    name.parse().map(What::Event).map_err(|_| {
        start.mistake(format!("which of its lines? Write one of {} here", MemoryEvent::VARIANTS.join(", ")))
    })
}

/// Behind the word.
fn lasts(rest: &mut Rest<'_>) -> Result<Test, Mistake> {
    rest.skip_sign('<', "how long is it to last? Write < and a time, such as < 10m, here")?;
    Ok(Test::Lasts(time(rest)?))
}

fn test(name: &str, rest: &mut Rest<'_>) -> Result<Test, Mistake> {
    let sign = rest.left().chars().next();
    let test: fn(Amount, Duration) -> Test = match sign {
        Some('>') => |amount, _| Test::Over(amount),
        Some('<') => |amount, _| Test::Under(amount),
        Some('+') => Test::Grown,
        Some('-') => Test::Shrunk,
        _ => {
            let name = quoted(name);
            return Err(rest.mistake(format!("{name} is to be compared: write >, <, + or - and a size here")));
        }
    };
    rest.at += 1;
    let amount = amount(rest)?;
    let is_change = matches!(sign, Some('+' | '-'));
    let time = if is_change { time_of_change(rest)? } else { Duration::ZERO };
    Ok(test(amount, time))
}

fn amount(rest: &mut Rest<'_>) -> Result<Amount, Mistake> {
    rest.skip_blanks();
    let start = *rest;
    let number = rest.take_while(|c| c.is_ascii_digit() || c == '.');
    if number.is_empty() {
        return Err(start.mistake("a size (10G) or a share of all memory (40%) is missing here"));
    }
    rest.skip_blanks();
    if rest.left().starts_with('%') {
        rest.at += 1;
        let percent = number.parse().ok().filter(|percent| *percent > 0.0 && *percent < 100.0);
        let share = percent.map(|percent: f64| Amount::Share(percent / 100.0));
        return share.ok_or_else(|| start.mistake("a share is above 0% and below 100%"));
    }
    let unit = rest.take_while(char::is_alphabetic);
    match size::parse(&format!("{number}{unit}")) {
        Ok(0) => Err(start.mistake("this is to be more than nothing")),
        Ok(bytes) => Ok(Amount::Bytes(bytes)),
        Err(error) => Err(start.mistake(format!("{}: {error}", quoted(&format!("{number}{unit}"))))),
    }
}

/// Within which something grows or shrinks.
fn time_of_change(rest: &mut Rest<'_>) -> Result<Duration, Mistake> {
    rest.skip_sign('/', "within which time? Write it as /1h here")?;
    time(rest)
}

/// To the end.
fn time(rest: &mut Rest<'_>) -> Result<Duration, Mistake> {
    rest.skip_blanks();
    let start = *rest;
    let time = rest.take_while(|_| true).trim_end();
    if time.is_empty() {
        return Err(start.mistake("a time, such as 10m or 1h, is missing here"));
    }
    duration::parse(time).map_err(|error| start.mistake(format!("{}: {error}", quoted(time))))
}

fn quoted(text: &str) -> String {
    format!("'{}'", escape::terminal(text.as_bytes()))
}

/// What has not been read yet.
#[derive(Clone, Copy)]
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    fn left(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn skip_blanks(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let left = self.left();
        let taken = &left[..left.find(|c| !is_part(c)).unwrap_or(left.len())];
        self.at += taken.len();
        taken
    }

    /// With the blanks before it.
    fn skip_sign(&mut self, sign: char, needed: &str) -> Result<(), Mistake> {
        self.skip_blanks();
        if !self.left().starts_with(sign) {
            return Err(self.mistake(needed));
        }
        self.at += sign.len_utf8();
        Ok(())
    }

    /// Whether it is there, as a word of its own.
    fn skip_word(&mut self, word: &str) -> bool {
        let start = *self;
        let is_it = self.take_while(char::is_alphanumeric) == word;
        if !is_it {
            *self = start;
        }
        is_it
    }

    /// What is wrong here.
    fn mistake(&self, what: impl Into<String>) -> Mistake {
        Mistake { column: self.column(), what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const G: u64 = 1 << 30;

    #[test]
    fn conditions() {
        let check = |text: &str, name: &str, column: usize, test: Test| {
            let what = What::Figure { name: name.to_owned(), column, test };
            assert_eq!(parse(text), Ok(Condition { text: text.trim().to_owned(), what }), "{text}");
        };
        let hour = Duration::from_secs(3600);
        check("dentry > 10G", "dentry", 1, Test::Over(Amount::Bytes(10 * G)));
        check("dentry>10GiB", "dentry", 1, Test::Over(Amount::Bytes(10 * G)));
        check("  kmalloc-rcl-192 < 1.5 G ", "kmalloc-rcl-192", 3, Test::Under(Amount::Bytes(3 * G / 2)));
        check("slab > 40%", "slab", 1, Test::Over(Amount::Share(0.4)));
        check("slab>12.5 %", "slab", 1, Test::Over(Amount::Share(0.125)));
        check("SUnreclaim +500M/1h", "SUnreclaim", 1, Test::Grown(Amount::Bytes(500 << 20), hour));
        check("SUnreclaim+1% / 1h 30m", "SUnreclaim", 1, Test::Grown(Amount::Share(0.01), 3 * hour / 2));
        check("MemAvailable -2G/60m", "MemAvailable", 1, Test::Shrunk(Amount::Bytes(2 * G), hour));
        check("'x > 1", "'x", 1, Test::Over(Amount::Bytes(1)));
        check("finding > 1G", "finding", 1, Test::Over(Amount::Bytes(G)));
        check("available lasts < 10m", "available", 1, Test::Lasts(Duration::from_secs(600)));
        check(" SwapFree  lasts<1h 30m ", "SwapFree", 2, Test::Lasts(3 * hour / 2));
        check("lasts > 1G", "lasts", 1, Test::Over(Amount::Bytes(G)));
        let what = |text| parse(text).map(|condition| condition.what);
        assert_eq!(what(" finding "), Ok(What::Finding));
        assert_eq!(what("pressure > 12.5 %"), Ok(What::Pressure(0.125)));
        assert_eq!(what("memory.events  oom_kill "), Ok(What::Event(MemoryEvent::OomKill)));
    }

    #[test]
    fn mistakes_have_a_place() {
        let lines = [
            "",
            "   ",
            "> 10G",
            "dentry",
            "dentry 10G",
            "dentry >= 10G",
            "dentry > ",
            "dentry > ten",
            "dentry > 10X",
            "dentry > 1.2.3G",
            "dentry > 0",
            "dentry > 10G now",
            "dentry > 10G/1h",
            "slab > 0%",
            "slab > 100%",
            "slab > 1.2.3%",
            "slab +500M",
            "slab +500M/",
            "slab +500M/0s",
            "slab -500M/soon",
            "slab-500M/1h",
            "größe > 1 X",
            "\u{1b}[31m > 1X",
            "findings",
            "finding now",
            "available lasts",
            "available lasts > 10m",
            "available lasts < ",
            "available lasts < soon",
            "available lasts < 10%",
            "available lastsabit < 10m",
            "pressure",
            "pressure < 10%",
            "pressure > 1G",
            "pressure > 0%",
            "pressure > 10% now",
            "memory.events",
            "memory.events oomkill",
            "memory.events oom_kill +1",
            &"x".repeat(300),
        ];
        let told = lines.map(|line| {
            let mistake = parse(line).unwrap_err();
            let line: String = line.escape_debug().take(40).collect();
            format!("{line}\n{:>2$}^ {}\n", "", mistake.what, mistake.column - 1)
        });
        insta::assert_snapshot!(told.concat());
        insta::assert_snapshot!(parse("dentry > 10X").unwrap_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            if let Err(mistake) = parse(&text) {
                prop_assert!((1..=text.chars().count() + 1).contains(&mistake.column), "{}", mistake);
            }
        }

        #[test]
        fn what_looks_like_one_is_read_or_refused(text in "(pressure|memory.events|[a-zA-Z0-9_:-]{0,9}) ?(lasts)? ?[<>+-]{0,2} ?[0-9.]{0,4}[KMGT%]{0,2}/?[0-9]{0,3}[smhd]?.{0,4}") {
            match parse(&text) {
                Ok(condition) => prop_assert_eq!(parse(&condition.to_string()).map(|again| again.text), Ok(condition.text)),
                Err(mistake) => prop_assert!((1..=text.chars().count() + 1).contains(&mistake.column), "{}", mistake),
            }
        }

        #[test]
        fn whatever_is_written_is_read_back(
            name in "[a-zA-Z][a-zA-Z0-9_:-]{0,15}",
            bytes in 1_u64..1 << 53,
            seconds in 1_u64..86_400,
            blank in " {0,2}",
        ) {
            let (amount, within) = (Amount::Bytes(bytes), Duration::from_secs(seconds));
            for (text, test) in [
                (format!("{name}{blank}>{blank}{bytes}"), Test::Over(amount)),
                (format!("{name}{blank}<{blank}{bytes}B"), Test::Under(amount)),
                (format!("{name}{blank}+{blank}{bytes}{blank}/{blank}{seconds}s"), Test::Grown(amount, within)),
                (format!("{name} -{blank}{bytes}/{seconds}"), Test::Shrunk(amount, within)),
                (format!("{name} lasts{blank}<{blank}{seconds}"), Test::Lasts(within)),
            ] {
                let what = What::Figure { name: name.clone(), column: 1, test };
                prop_assert_eq!(parse(&text), Ok(Condition { text: text.clone(), what }));
            }
        }
    }
}
