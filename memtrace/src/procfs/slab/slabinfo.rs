//! /proc/slabinfo: how many objects each slab cache has.
//!
//! A reading walks every cache's lists of slabs under the locks that allocations take too, so nothing reads it
//! more often than every five seconds.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::text::escape;
use thiserror::Error;

/// One line: one cache, under the name that the kernel's `struct kmem_cache` has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlabinfoLine {
    pub name: String,
    /// Objects in use, those in per-CPU lists included. Since Linux commit 046f4c69090c
    /// ("mm/slub: introduce count_partial_free_approx", in v6.10) long lists are estimated.
    pub active_objs: u64,
    /// Objects that the slabs have room for.
    pub num_objs: u64,
    /// Bytes from one object to the next, padding included: SLUB prints `kmem_cache::size` here.
    pub objsize: u64,
    pub objs_per_slab: u64,
    pub pages_per_slab: u64,
    pub slabs: u64,
}

/// In a cache with more partial slabs than this (`MAX_PARTIAL_TO_SCAN`), the kernel counts the free objects of that many slabs and
/// extrapolates.
const MAX_SLABS_COUNTED: u64 = 10_000;

impl SlabinfoLine {
    /// By how much `active_objs` may be wrong.
    pub fn inexact(&self) -> u64 {
        let free = self.num_objs.saturating_sub(self.active_objs);
        if self.slabs > MAX_SLABS_COUNTED { free / 2 } else { 0 }
    }
}

#[derive(Debug, Error)]
pub enum SlabinfoError {
    #[error("{} is readable by root only: run as root (sudo)", escape::path(path))]
    NotPermitted { path: PathBuf },
    #[error(
        "{} does not exist: /proc is not mounted, or the kernel has no CONFIG_SLUB_DEBUG",
        escape::path(path)
    )]
    Absent { path: PathBuf },
    #[error("{} cannot be read: {source}", escape::path(path))]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// A line that is not what the kernel's format 2 prints.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} of slabinfo is malformed: {problem}")]
pub struct Malformed {
    /// Counted from 1.
    pub line: usize,
    pub problem: &'static str,
}

pub fn read(path: &Path) -> Result<Vec<SlabinfoLine>, SlabinfoError> {
    let bytes = std::fs::read(path).map_err(|source| {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::PermissionDenied => SlabinfoError::NotPermitted { path },
            io::ErrorKind::NotFound => SlabinfoError::Absent { path },
            _ => SlabinfoError::Io { path, source },
        }
    })?;
    Ok(parse(&bytes)?)
}

/// Takes bytes, for a cache's name is whatever a kernel module called it.
pub fn parse(bytes: &[u8]) -> Result<Vec<SlabinfoLine>, Malformed> {
    let mut lines = bytes.split(|&byte| byte == b'\n').enumerate();
    let is_version_2 = lines.next().is_some_and(|(_, first)| first.starts_with(b"slabinfo - version: 2."));
    if !is_version_2 {
        return Err(Malformed { line: 1, problem: "it does not say `slabinfo - version: 2.x`" });
    }
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"# name "))
        .map(|(index, line)| {
            parse_line(&String::from_utf8_lossy(line))
                .map_err(|problem| Malformed { line: index + 1, problem })
        })
        .collect()
}

/// Reads from the right, where the words are numbers: a name may have blanks in it (the caches that kernels before
/// 5.9 made per memory cgroup carried the cgroup's name).
fn parse_line(line: &str) -> Result<SlabinfoLine, &'static str> {
    let (rest, slabdata) = line.rsplit_once(" : slabdata").ok_or("there is no `: slabdata`")?;
    let (head, _tunables) = rest.rsplit_once(" : tunables").ok_or("there is no `: tunables`")?;
    let (head, pages_per_slab) = last_number(head)?;
    let (head, objs_per_slab) = last_number(head)?;
    let (head, objsize) = last_number(head)?;
    let (head, num_objs) = last_number(head)?;
    let (head, active_objs) = last_number(head)?;
    let name = head.trim_end();
    if name.is_empty() {
        return Err("the name is missing");
    }
    let slabs = slabdata.split_ascii_whitespace().nth(1).ok_or("the number of slabs is missing")?;
    Ok(SlabinfoLine {
        name: name.to_owned(),
        active_objs,
        num_objs,
        objsize,
        objs_per_slab,
        pages_per_slab,
        slabs: number(slabs)?,
    })
}

/// Cuts the last word off and reads it as a number.
fn last_number(text: &str) -> Result<(&str, u64), &'static str> {
    let text = text.trim_end();
    let (head, word) = text.rsplit_once(' ').ok_or("there are fewer than six columns before `: tunables`")?;
    Ok((head, number(word)?))
}

fn number(word: &str) -> Result<u64, &'static str> {
    word.parse().map_err(|_| "a column is not a number")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> \
        <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> \
        <sharedavail>\n";

    /// As the kernel's `cache_show` prints it.
    fn render(lines: &[SlabinfoLine]) -> String {
        let lines = lines.iter().map(|line| {
            format!(
                "{:<17} {:6} {:6} {:6} {:4} {:4} : tunables {:4} {:4} {:4} : slabdata {:6} {:6} {:6}\n",
                line.name,
                line.active_objs,
                line.num_objs,
                line.objsize,
                line.objs_per_slab,
                line.pages_per_slab,
                0,
                0,
                0,
                line.slabs,
                line.slabs,
                0
            )
        });
        HEADER.to_owned() + &lines.collect::<String>()
    }

    fn dentry() -> SlabinfoLine {
        SlabinfoLine {
            name: "dentry".into(),
            active_objs: 54_285,
            num_objs: 54_306,
            objsize: 192,
            objs_per_slab: 21,
            pages_per_slab: 1,
            slabs: 2_586,
        }
    }

    #[track_caller]
    fn check(text: &str, expect: Result<Vec<SlabinfoLine>, (usize, &'static str)>) {
        let expect = expect.map_err(|(line, problem)| Malformed { line, problem });
        assert_eq!(parse(text.as_bytes()), expect, "{text:?}");
    }

    #[test]
    fn lines_as_kernels_print_them() {
        let slab = "dentry             54285  54306    192   21    1 : tunables  120   60    8 : slabdata   2586   2586      0";
        let named = |name: &str| SlabinfoLine { name: name.into(), ..dentry() };
        check(HEADER, Ok(vec![]));
        check(&format!("{HEADER}{slab}\n"), Ok(vec![dentry()]));
        // No newline at the end; the statistics of a SLAB kernel.
        check(&format!("{HEADER}{slab} : globalstat 1 2 3 : cpustat 4 5"), Ok(vec![dentry()]));
        // A name longer than its column, one with blanks, one that looks like the format itself.
        for name in ["x".repeat(40).as_str(), "dentry(12:my cgroup)", "a 1 2 : tunables 3 : slabdata 4", "#x"]
        {
            check(&render(&[named(name), dentry()]), Ok(vec![named(name), dentry()]));
        }
    }

    #[test]
    fn malformed_lines_are_named() {
        let one = |line: &str| format!("{HEADER}{line}\n");
        check("", Err((1, "it does not say `slabinfo - version: 2.x`")));
        check("slabinfo - version: 1.1\n", Err((1, "it does not say `slabinfo - version: 2.x`")));
        check(&one("dentry 1 2 3 4 5"), Err((3, "there is no `: slabdata`")));
        check(&one("dentry 1 2 3 4 5 : slabdata 1 1 0"), Err((3, "there is no `: tunables`")));
        check(
            &one("1 2 3 4 : tunables 0 : slabdata 1 1 0"),
            Err((3, "there are fewer than six columns before `: tunables`")),
        );
        check(&one(" 1 2 3 4 5 : tunables 0 : slabdata 1 1 0"), Err((3, "the name is missing")));
        check(&one("dentry 1 2 x 4 5 : tunables 0 : slabdata 1 1 0"), Err((3, "a column is not a number")));
        check(&one("dentry -1 2 3 4 5 : tunables 0 : slabdata 1 1 0"), Err((3, "a column is not a number")));
        check(&one("dentry 1 2 3 4 5 : tunables 0 : slabdata 1"), Err((3, "the number of slabs is missing")));
        check(
            &one("dentry 99999999999999999999 2 3 4 5 : tunables 0 : slabdata 1 1 0"),
            Err((3, "a column is not a number")),
        );
    }

    #[test]
    fn a_name_that_is_not_utf8_is_kept_readable() {
        let mut text = render(&[dentry()]).into_bytes();
        let at = text.windows(6).rposition(|window| window == b"dentry").unwrap();
        text[at] = 0xff;
        assert_eq!(parse(&text).unwrap()[0].name, "\u{fffd}entry");
    }

    #[test]
    fn an_absent_file_says_why_it_may_be() {
        let error = read(Path::new("/nonexistent/slabinfo")).unwrap_err();
        insta::assert_snapshot!(error, @"/nonexistent/slabinfo does not exist: /proc is not mounted, or the kernel has no CONFIG_SLUB_DEBUG");
    }

    #[test]
    fn who_is_not_root_is_told_to_be() {
        let error = SlabinfoError::NotPermitted { path: "/proc/slabinfo".into() };
        insta::assert_snapshot!(error, @"/proc/slabinfo is readable by root only: run as root (sudo)");
    }

    fn any_line() -> impl Strategy<Value = SlabinfoLine> {
        ("[!-~]([ -~]{0,30}[!-~])?", any::<[u64; 6]>()).prop_map(|(name, n)| SlabinfoLine {
            name,
            active_objs: n[0],
            num_objs: n[1],
            objsize: n[2],
            objs_per_slab: n[3],
            pages_per_slab: n[4],
            slabs: n[5],
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(lines in prop::collection::vec(any_line(), 0..20)) {
            prop_assume!(lines.iter().all(|line| !line.name.starts_with("# name ")));
            prop_assert_eq!(parse(render(&lines).as_bytes()), Ok(lines));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
            let _ = parse(&[HEADER.as_bytes(), &bytes].concat());
        }

        #[test]
        fn damaged_lines_never_panic(at in 0usize..600, byte: u8) {
            let mut text = render(&[dentry(), dentry()]).into_bytes();
            let at = at % text.len();
            text[at] = byte;
            let _ = parse(&text);
        }
    }
}
