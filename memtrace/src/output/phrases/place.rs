//! Where a row's objects are: `/etc/pki/nssdb/.<n>_dOeSnotExist_.db ~98%  negative ~100%`.

use crate::{
    output::model::Name,
    stream::event::FileType,
    text::human,
    view::{Class, NameGroup, Row},
};

/// The place, which share of the row's named objects is there, and what they are. `~` marks what a sample of them shows.
pub fn name(group: &NameGroup, row: &Row) -> Name {
    let tail = match row.placed_objects {
        0 => String::new(),
        placed => share(group.objects as f64 / placed as f64, row.named_objects < row.objects),
    };
    Name { tail, aside: aside(group), ..of_group(group) }
}

/// The place alone.
pub fn of_group(group: &NameGroup) -> Name {
    Name { bytes: path(group), is_path: group.kind != Some(Class::Socket), ..Name::default() }
}

/// Directory and pattern in one; of sockets the protocol and the service.
pub fn path(group: &NameGroup) -> Vec<u8> {
    join(directory(group), &group.pattern, group.kind == Some(Class::Socket))
}

pub fn join(directory: &[u8], pattern: &[u8], is_socket: bool) -> Vec<u8> {
    let between: &[u8] = match directory.last() {
        _ if is_socket => b" ",
        None | Some(b'/' | b':') => b"",
        _ => b"/",
    };
    [directory, between, pattern].concat()
}

/// The whole path, or the name where only that is known.
pub fn directory(group: &NameGroup) -> &[u8] {
    group.path.as_deref().unwrap_or(&group.parent)
}

/// What share of its dentries is negative, or what kind of file it is.
fn aside(group: &NameGroup) -> String {
    if let Some(dentries) = group.negatives.filter(|dentries| dentries.negative > 0) {
        return format!("negative {}", share(dentries.share(), dentries.looked_at < group.objects));
    }
    match group.file_type {
        // The name says it.
        None | Some(FileType::Regular | FileType::Anonymous) => String::new(),
        Some(kind) => file_type(kind).to_owned(),
    }
}

fn share(share: f64, is_estimate: bool) -> String {
    if is_estimate { human::about(share) } else { human::percent(share) }
}

pub fn file_type(file_type: FileType) -> &'static str {
    match file_type {
        FileType::CharDevice => "character device",
        FileType::BlockDevice => "block device",
        file_type => file_type.into_str(),
    }
}
