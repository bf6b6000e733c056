//! Where a row's objects are: `/etc/pki/nssdb/.<n>_dOeSnotExist_.db ~98%  negative ~100%`.

use std::borrow::Cow;

use super::columns::Cell;
use crate::{
    stream::event::FileType,
    text::{escape, human, width},
    view::{Class, NameGroup, Row},
};

/// The place, which share of the row's named objects is there, and what they are. `~` marks what only some of them tell.
pub(super) fn cell(group: &NameGroup, row: &Row) -> Cell {
    let text = escape::terminal(&name(group)).into_owned();
    let tail = match row.named_objects {
        0 => String::new(),
        named => {
            format!(" {}{}", about(named, row.objects), human::percent(group.objects as f64 / named as f64))
        }
    };
    Cell { text, tail, aside: aside(group), is_path: group.kind != Some(Class::Socket) }
}

/// The directory and the pattern in one.
pub(in crate::output) fn name(group: &NameGroup) -> Vec<u8> {
    let directory = group.path.as_deref().unwrap_or(&group.parent);
    let between: &[u8] = match (group.kind, directory.last()) {
        (Some(Class::Socket), _) => b" ",
        (_, None | Some(b'/' | b':')) => b"",
        _ => b"/",
    };
    [directory, between, &group.pattern].concat()
}

fn aside(group: &NameGroup) -> String {
    if let Some(dentries) = group.negatives.filter(|dentries| dentries.negative > 0) {
        let share = human::percent(dentries.share());
        return format!("  negative {}{share}", about(dentries.looked_at, group.objects));
    }
    let is_told_by_its_name = matches!(group.file_type, Some(FileType::Regular | FileType::Anonymous));
    let file_type = group.file_type.filter(|_| !is_told_by_its_name).map(file_type);
    file_type.map_or_else(String::new, |file_type| format!("  {file_type}"))
}

fn about(known: u64, all: u64) -> &'static str {
    if known < all { "~" } else { "" }
}

/// In words that may go on: `directory`, `character device`.
fn file_type(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "regular",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Anonymous => "anonymous",
    }
}

/// A path in at most `max` cells: its beginning goes, directory by directory.
pub(super) fn cut(path: &str, max: usize) -> Cow<'_, str> {
    if width::cells(path) <= max {
        return Cow::Borrowed(path);
    }
    let ends = path.match_indices('/').map(|(slash, _)| &path[slash..]);
    let mut ends = ends.filter(|end| end.len() > 1).peekable();
    let mut last = path;
    while let Some(end) = ends.next() {
        if width::cells(end) < max {
            return Cow::Owned(format!("{}{end}", width::ELLIPSIS));
        }
        if ends.peek().is_none() {
            last = &end[1..];
        }
    }
    width::cut(last, max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_of_a_path_stays() {
        let check = |path, max, expect: &str| assert_eq!(cut(path, max), expect);
        check("/etc/pki/nssdb/.<n>.db", 22, "/etc/pki/nssdb/.<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 21, "…/pki/nssdb/.<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 15, "…/nssdb/.<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 14, "…/.<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 8, ".<n>.db");
        check("/etc/pki/nssdb/.<n>.db", 5, ".<n>…");
        check("name", 3, "na…");
        check("/", 0, "");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_asked(path in "(/?[\\PC--/]{0,8}){0,6}", max in 0_usize..30) {
            prop_assert!(width::cells(&cut(&path, max)) <= max);
        }
    }
}
