//! Who holds objects: the rows of the report.

use std::time::Duration;

use maud::{Markup, PreEscaped};

use super::detail;
use super::strings::{bar, clean, finite, host, number, objects, place, text};
use crate::{
    output::{
        json,
        table::{columns, partial},
    },
    text::human,
    view::{By, Keys, Row, Snapshot, Sort, Trend, key, series},
};

/// Beyond, a share of a row's objects is not told beside what it is of.
const NEARLY_ALL: f64 = 0.95;

/// A column: what it is called, how it sorts, whether a narrow window shows it.
struct Column {
    title: &'static str,
    kind: Kind,
    class: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "number",
        }
    }
}

/// The head of a column.
pub(super) fn head(title: &str, kind: Kind, class: &str) -> String {
    // Keys are to the left, pids too.
    let number = if kind == Kind::Number && class != "key" { "num " } else { "" };
    format!("<th scope=\"col\" class=\"{number}{class}\" data-sort=\"{}\">{title}</th>", kind.name())
}

pub(super) fn section(snapshot: &Snapshot, lines: &[series::Line]) -> Markup {
    let title = "<h2 id=\"rows-title\">Who holds it</h2>";
    if snapshot.rows.is_empty() && snapshot.rest.is_none() {
        return PreEscaped(format!(
            "<section id=\"rows\" aria-labelledby=\"rows-title\">\n{title}\n<p class=\"empty\">{}</p>\n</section>",
            text(&sentence(&columns::empty(snapshot)))
        ));
    }
    let columns = columns_of(snapshot);
    let heads: String = columns.iter().map(|column| head(column.title, column.kind, column.class)).collect();
    let most = snapshot.rows.iter().map(|row| row.bytes).max().unwrap_or(0);
    let rows: String = snapshot
        .rows
        .iter()
        .enumerate()
        .map(|(at, row)| {
            let name = row.keys.join(&b", "[..]);
            let series = lines.iter().find(|line| line.name == name);
            let detail = detail::of_row(row, snapshot.sampling, series).into_string();
            line(at, row, snapshot, &columns, most)
                + &format!("<tr class=\"detail\" hidden><td colspan=\"{}\">{detail}</td></tr>", columns.len())
        })
        .collect();
    PreEscaped(format!(
        "<section id=\"rows\" aria-labelledby=\"rows-title\">\n{title}\n<p class=\"lede\">Objects allocated in the window and not freed, by {}. A row opens to all that is known of it.</p>\n\
         <div class=\"scroll\"><table class=\"{}\" id=\"rows-table\" data-limit=\"20\" data-what=\"rows\" data-sorted=\"{}\"><thead><tr>{heads}</tr></thead>\n\
         <tbody>{rows}</tbody>\n{}</table></div>\n</section>",
        by_words(&snapshot.by),
        table_class(&snapshot.by),
        match snapshot.sort {
            Sort::Bytes => "bytes",
            Sort::Objects => "objects",
            Sort::Growth => "growth",
            Sort::Age => "oldest",
        },
        foot(snapshot, &columns),
    ))
}

/// Several keys share the room of one.
pub(super) fn table_class(by: &Keys) -> &'static str {
    if by.iter().count() > 1 { "data several" } else { "data" }
}

/// What rows are grouped by, in words.
pub(super) fn by_words(by: &Keys) -> String {
    let words = by.iter().map(|by| match by {
        By::Comm => "command",
        By::Pid => "process",
        By::Ancestors => "command and who started it",
        By::Cgroup => "cgroup",
        By::Cache => "slab cache",
        By::CallSite => "place in the kernel",
        By::Node => "NUMA node",
        By::Gfp => "allocation flags",
        By::Context => "context",
    });
    words.collect::<Vec<_>>().join(", ")
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>() + ".").unwrap_or_default()
}

fn columns_of(snapshot: &Snapshot) -> Vec<Column> {
    use Kind::{Number, Text};
    let any = |is: &dyn Fn(&Row) -> bool| snapshot.rows.iter().any(is);
    let mut columns = Vec::new();
    let mut add = |title, kind, class| columns.push(Column { title, kind, class });
    for by in snapshot.by.iter() {
        let (title, kind) = of_key(by);
        add(title, kind, "key");
    }
    if needs_comm(snapshot) {
        add("Command", Text, "comm");
    }
    add("Objects", Number, "objects wide");
    add("Bytes", Number, "bytes");
    add("", Number, "share wider");
    add("Allocs", Number, "allocs wider");
    add("Frees", Number, "frees wider");
    add("Growth", Number, "growth");
    if any(&|row| row.trend != Trend::TooEarly) {
        add("Trend", Text, "trend");
    }
    add("Oldest", Number, "oldest wide");
    add("Kept", Number, "kept wide");
    if !snapshot.by.contains(By::Pid) {
        add("Procs", Number, "procs wider");
    }
    if any(&|row| !row.names.is_empty()) {
        add("Where", Text, "where broad");
    }
    if !snapshot.by.contains(By::Cgroup) && any(&|row| !row.cgroups.is_empty()) {
        add("Cgroup", Text, "cgroup wider");
    }
    columns
}

/// What a key's column is called, and how it sorts.
pub(super) fn of_key(by: By) -> (&'static str, Kind) {
    match by {
        By::Pid => ("Pid", Kind::Number),
        By::Comm => ("Command", Kind::Text),
        By::Ancestors => ("Command and who started it", Kind::Text),
        By::Cgroup => ("Cgroup", Kind::Text),
        By::Cache => ("Cache", Kind::Text),
        By::CallSite => ("Call site", Kind::Text),
        By::Node => ("Node", Kind::Number),
        By::Gfp => ("Flags", Kind::Text),
        By::Context => ("Context", Kind::Text),
    }
}

/// A number alone says little.
fn needs_comm(snapshot: &Snapshot) -> bool {
    let by = &snapshot.by;
    by.contains(By::Pid) && !by.contains(By::Comm) && !by.contains(By::Ancestors)
}

fn line(at: usize, row: &Row, snapshot: &Snapshot, columns: &[Column], most: u64) -> String {
    let mut keys = row.keys.iter().zip(snapshot.by.iter());
    let cells: String = columns
        .iter()
        .map(|column| cell(column, row, key_cell(column, row, snapshot, &mut keys), snapshot, most))
        .collect();
    format!("<tr data-row=\"{at}\">{cells}</tr>")
}

/// The next key, for a column that is one. Below a command name stands who started it.
fn key_cell<'a>(
    column: &Column,
    row: &Row,
    snapshot: &Snapshot,
    keys: &mut impl Iterator<Item = (&'a Vec<u8>, By)>,
) -> Option<String> {
    if column.class != "key" {
        return None;
    }
    let (key, by) = keys.next()?;
    let chain = if by == By::Comm { started_by(row) } else { String::new() };
    // Beside the first key, since it is about the whole row.
    let partial = match partial::of_row(snapshot, row) {
        mark if !mark.is_empty() && snapshot.by.iter().next() == Some(by) => {
            format!(" <small class=\"traced\">{mark}</small>")
        }
        _ => String::new(),
    };
    Some(head_of_row(key, by, &(partial + &chain)))
}

/// A key at the beginning of its row, and what stands beside it.
pub(super) fn head_of_row(key: &[u8], by: By, beside: &str) -> String {
    let shown = host(key);
    let sorted = match of_key(by) {
        (_, Kind::Number) => format!(" data-v=\"{shown}\""),
        (_, Kind::Text) => String::new(),
    };
    format!("<th scope=\"row\" class=\"key\"{sorted}>{shown}{beside}</th>")
}

fn cell(column: &Column, row: &Row, key: Option<String>, snapshot: &Snapshot, most: u64) -> String {
    if let Some(key) = key {
        return key;
    }
    let class = column.class;
    let named = |said: String| format!("<td class=\"{class}\">{said}</td>");
    let rate = |per_s: f64, shown: String| number(finite(per_s), &text(&shown), class);
    match class.split(' ').next().unwrap_or_default() {
        "comm" => named(row.comm.as_deref().map_or_else(|| "–".to_owned(), host) + &started_by(row)),
        "objects" => number(row.objects, &objects(row.objects, snapshot.sampling), class),
        "bytes" => number(row.bytes, &human::bytes(row.bytes), class),
        "share" => number(row.bytes, &bar(row.bytes as f64 / most.max(1) as f64, "held"), class),
        "allocs" => rate(row.allocs_per_s, human::rate(row.allocs_per_s)),
        "frees" => rate(row.frees_per_s, human::rate(row.frees_per_s)),
        "growth" => rate(row.growth_per_s, human::growth(row.growth_per_s)),
        "trend" => {
            let word = columns::trend_word(row.trend);
            format!("<td class=\"{class} is-{word}\">{word}</td>")
        }
        "oldest" => {
            let shown = row.oldest.map_or_else(|| "–".to_owned(), human::duration);
            number(json::nanos(row.oldest.unwrap_or(Duration::ZERO)), &text(&shown), class)
        }
        "kept" => number(finite(row.survival()), &text(&human::percent(row.survival())), class),
        "procs" => number(row.processes, &human::grouped(row.processes), class),
        "where" => named(row.names.first().map(|group| where_(group, row)).unwrap_or_default()),
        "cgroup" => named(cgroup(row)),
        _ => named(String::new()),
    }
}

/// `~` marks what a sample of the row's objects tells.
fn where_(group: &crate::view::NameGroup, row: &Row) -> String {
    let about = |known: u64, all: u64| if known < all { "~" } else { "" };
    let share = match row.named_objects {
        0 => String::new(),
        named => format!(
            " <small>{}{}</small>",
            about(named, row.objects),
            text(&human::percent(group.objects as f64 / named as f64))
        ),
    };
    let negative = group.negatives.filter(|negatives| negatives.negative > 0).map(|negatives| {
        let share = text(&human::percent(negatives.share()));
        format!(
            " <small class=\"negative\">negative {}{share}</small>",
            about(negatives.looked_at, group.objects)
        )
    });
    place(group) + &share + &negative.unwrap_or_default()
}

/// Who started most of its processes.
fn started_by(row: &Row) -> String {
    let Some(most) = row.started_by.first().filter(|most| !most.comms.is_empty()) else {
        return String::new();
    };
    let comms: Vec<String> = most.comms.iter().map(|comm| host(comm)).collect();
    format!(" <span class=\"chain-of-row\">&lt; {}{}</span>", comms.join(" &lt; "), share(most.objects, row))
}

/// The cgroup of most of its objects.
fn cgroup(row: &Row) -> String {
    let Some(most) = row.cgroups.first() else { return String::new() };
    host(&key::cgroup(most.id, most.path.as_deref())) + &share(most.objects, row)
}

/// Of most of a row's objects, their share, where it is worth a word.
fn share(objects: u64, row: &Row) -> String {
    if objects as f64 >= row.objects as f64 * NEARLY_ALL {
        return String::new();
    }
    format!(" <small>{}</small>", text(&human::percent(objects as f64 / row.objects as f64)))
}

/// The rows that are not here, and all rows added up.
fn foot(snapshot: &Snapshot, columns: &[Column]) -> String {
    let rest = snapshot.rest.unwrap_or_default();
    let sum = |of: fn(&Row) -> u64| snapshot.rows.iter().map(of).fold(0, u64::saturating_add);
    let all = (
        sum(|row| row.objects).saturating_add(rest.objects),
        sum(|row| row.bytes).saturating_add(rest.bytes),
    );
    let line = |label: String, (count, bytes): (u64, u64)| {
        let mut label = Some(label);
        let cells: String = columns
            .iter()
            .map(|column| match column.class.split(' ').next().unwrap_or_default() {
                "key" => format!("<th scope=\"row\" class=\"key\">{}</th>", label.take().unwrap_or_default()),
                "objects" => {
                    format!("<td class=\"num {}\">{}</td>", column.class, objects(count, snapshot.sampling))
                }
                "bytes" => format!("<td class=\"num {}\">{}</td>", column.class, human::bytes(bytes)),
                _ => format!("<td class=\"{}\"></td>", column.class),
            })
            .collect();
        format!("<tr>{cells}</tr>")
    };
    let more = (rest.rows > 0)
        .then(|| line(format!("{} more rows", human::grouped(rest.rows)), (rest.objects, rest.bytes)));
    if snapshot.rows.len() as u64 + rest.rows < 2 {
        return String::new();
    }
    format!("<tfoot>{}{}</tfoot>\n", more.unwrap_or_default(), line(clean("total"), all))
}
