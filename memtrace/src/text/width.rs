//! Text measured in the cells of a terminal. The text is escaped already: it has no control characters, and
//! every character takes a cell or two of its own.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// Stands for what was cut.
pub const ELLIPSIS: char = '…';

/// Cells that `text` takes. Summed over characters, as most terminals do it, not over joined sequences.
pub fn cells(text: &str) -> usize {
    text.chars().map(char_cells).sum()
}

/// `text` in at most `max` cells, with a `…` where something is missing.
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if cells(text) <= max {
        return Cow::Borrowed(text);
    }
    let Some(room) = max.checked_sub(1) else { return Cow::Borrowed("") };
    let mut used = 0;
    let kept = text.chars().take_while(|&c| {
        used += char_cells(c);
        used <= room
    });
    Cow::Owned(kept.chain([ELLIPSIS]).collect())
}

/// Between names that stand beside each other.
const BETWEEN: &str = ", ";

/// A path in at most `max` cells: its beginning goes, directory by directory.
pub fn cut_path(path: &str, max: usize) -> Cow<'_, str> {
    if cells(path) <= max {
        return Cow::Borrowed(path);
    }
    let ends = path.match_indices('/').map(|(slash, _)| &path[slash..]);
    let mut ends = ends.filter(|end| end.len() > 1).peekable();
    let mut last = path;
    while let Some(end) = ends.next() {
        if cells(end) < max {
            return Cow::Owned(format!("{ELLIPSIS}{end}"));
        }
        if ends.peek().is_none() {
            last = &end[1..];
        }
    }
    // Where it stands beside another name, that one says more than half of both.
    match last.rsplit_once(BETWEEN) {
        Some((_, name)) if cells(name) + cells(BETWEEN) < max => {
            Cow::Owned(format!("{ELLIPSIS}{BETWEEN}{name}"))
        }
        _ => cut(last, max),
    }
}

/// Spaces up to `to` cells behind `text`.
pub fn pad_right(text: &str, to: usize) -> String {
    format!("{text}{:1$}", "", to.saturating_sub(cells(text)))
}

/// Spaces up to `to` cells before `text`.
pub fn pad_left(text: &str, to: usize) -> String {
    format!("{:1$}{text}", "", to.saturating_sub(cells(text)))
}

/// Breaks `text` at spaces into lines of at most `max` cells, those after the first indented. A word that is
/// longer than a line is cut.
pub fn wrap(text: &str, max: usize, indent: usize) -> Vec<String> {
    wrap_whole(text, max, indent).into_iter().map(|line| cut(&line, max).into_owned()).collect()
}

/// The same for a file, where a word that is longer than a line has one of its own: a path is of use only as a whole.
pub fn wrap_whole(text: &str, max: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && cells(&line) + 1 + cells(word) > max {
            lines.push(line);
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

/// Breaks `text` into lines of at most `max` cells, at spaces where there are any. Of a word that is longer than a
/// line nothing is cut: it goes on in the next one.
pub fn fold(text: &str, max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in wrap_whole(text, max, 0) {
        let mut part = String::new();
        for c in line.chars() {
            if !part.is_empty() && cells(&part) + char_cells(c) > max {
                lines.push(std::mem::take(&mut part));
            }
            part.push(c);
        }
        lines.push(part);
    }
    lines
}

fn char_cells(c: char) -> usize {
    c.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cutting() {
        let check = |text, max, expect: &str| assert_eq!(cut(text, max), expect);
        check("curl", 4, "curl");
        check("curl", 3, "cu…");
        check("curl", 1, "…");
        check("curl", 0, "");
        check("日本語", 6, "日本語");
        // A wide character does not fit into one cell: the result is a cell short.
        check("日本語", 4, "日…");
        check("日本語", 5, "日本…");
    }

    #[test]
    fn long_words_go_on_in_the_next_line() {
        assert_eq!(fold("top /a/long/path --by comm", 8), ["top", "/a/long/", "path", "--by", "comm"]);
        assert_eq!(fold("日本語 x", 5), ["日本", "語", "x"]);
        assert_eq!(fold("", 5), [""]);
    }

    #[test]
    fn the_end_of_a_path_stays() {
        let check = |path, max, expect: &str| assert_eq!(cut_path(path, max), expect);
        check("/etc/pki/nssdb/.<n>.db", 22, "/etc/pki/nssdb/.<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 21, "…/pki/nssdb/.<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 15, "…/nssdb/.<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 14, "…/.<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 8, ".<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 5, ".<n>…");
        check("name", 3, "na…");
        check("/", 0, "");
    }

    #[test]
    fn wrapping() {
        assert_eq!(wrap("one two three", 8, 2), ["one two", "  three"]);
        assert_eq!(wrap("one", 8, 2), ["one"]);
        assert_eq!(wrap("incomprehensible one", 8, 2), ["incompr…", "  one"]);
        assert_eq!(wrap("", 8, 2), [""]);
    }

    proptest! {
        #[test]
        fn no_path_is_wider_than_asked(path in "(/?[\\PC--/]{0,8}){0,6}", max in 0_usize..30) {
            prop_assert!(cells(&cut_path(&path, max)) <= max);
        }

        #[test]
        fn nothing_is_wider_than_asked(text in "\\PC{0,40}", max in 0_usize..30, indent in 0_usize..4) {
            prop_assert!(cells(&cut(&text, max)) <= max);
            prop_assert!(wrap(&text, max, indent).iter().all(|line| cells(line) <= max));
        }

        #[test]
        fn wrapping_loses_no_word_that_fits(words in proptest::collection::vec("[a-z]{1,6}", 0..20)) {
            let text = words.join(" ");
            let lines = wrap(&text, 10, 2);
            let back: Vec<&str> = lines.iter().map(|line| line.trim_start()).collect();
            prop_assert_eq!(back.join(" "), text);
        }
    }
}
