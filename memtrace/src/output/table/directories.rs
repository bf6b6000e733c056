//! Where dentries are, as a tree: below the table of the final report.

use super::{Keep, Line, Tone, place};
use crate::{
    text::{escape, human, width},
    view::{Directory, Snapshot},
};

/// Below that, paths tell too little.
const MIN_WIDTH: usize = 24;
/// With less, a directory is not worth a line.
const MIN_SHARE: f64 = 0.01;
/// Behind the path.
const FIGURES: usize = 2 + human::COUNT_WIDTH + 2 + SHARE.len() + 2 + NEGATIVE.len();
const SHARE: &str = "SHARE";
const NEGATIVE: &str = "NEGATIVE";

pub(super) fn lines(snapshot: &Snapshot, width: Option<usize>) -> Vec<Line> {
    let directories: Vec<&Directory> =
        snapshot.directories.iter().filter(|directory| directory.share >= MIN_SHARE).collect();
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(FIGURES));
    if directories.is_empty() || room < MIN_WIDTH {
        return Vec::new();
    }
    let names: Vec<String> = directories.iter().map(|directory| name(directory, room)).collect();
    let widest = names.iter().map(|name| width::cells(name)).max().unwrap_or(0).max(MIN_WIDTH);
    let line = |name: &str, objects: &str, share: &str, negative: &str, filesystem: &str| {
        let [objects, share, negative] =
            [(objects, human::COUNT_WIDTH), (share, SHARE.len()), (negative, NEGATIVE.len())]
                .map(|(cell, width)| width::pad_left(cell, width));
        format!("{}  {objects}  {share}  {negative}  {filesystem}", width::pad_right(name, widest))
    };
    let head = line("DIRECTORY, WITH ALL BELOW", "DENTRIES", SHARE, NEGATIVE, "FS");
    let rows = directories.iter().zip(&names).map(|(directory, name)| {
        let objects = human::count(directory.objects);
        let (share, negative) =
            (human::percent(directory.share), human::percent(directory.negatives.share()));
        let filesystem = directory.filesystem.as_deref().map(escape::terminal).unwrap_or_default();
        Line::new(line(name, &objects, &share, &negative, &filesystem), Tone::Normal, Keep::Directory)
    });
    let head = Line::new(head, Tone::Head, Keep::Directory);
    [Line::new("", Tone::Normal, Keep::Directory), head].into_iter().chain(rows).collect()
}

/// Below its parent, without what that has said.
fn name(directory: &Directory, room: usize) -> String {
    let rest = &directory.path[directory.within..];
    let rest = if directory.depth == 0 { rest } else { rest.strip_prefix(b"/").unwrap_or(rest) };
    let indent = "  ".repeat(directory.depth);
    let room = room.saturating_sub(indent.len());
    format!("{indent}{}", place::cut(&escape::terminal(rest), room))
}
