//! Cells, sentences and tables as HTML. Text from outside is escaped as for a terminal first, then for HTML by `html!`.

use std::borrow::Cow;

use maud::{Markup, Render, html};

use crate::{
    output::model::{BOUND, Cell, Head, Line, Name, Part, Sentence, Span, Table},
    text::{capitalised, escape, human},
    view::diff::Seen,
};

/// A share of nothing sorts behind all others.
const NEW: f64 = 1e12;

const ABBREVIATIONS: [&str; 3] = ["FS", "GFP", "PID"];

/// Text from outside: what is invisible, or moves other text, is written out.
pub fn host(bytes: &[u8]) -> Cow<'_, str> {
    escape::terminal(bytes)
}

/// The first letter in upper case, and a full stop.
pub fn sentence(words: &str) -> String {
    capitalised(words) + "."
}

impl Render for Sentence {
    fn render(&self) -> Markup {
        html! {
            @for span in &self.0 {
                @match span {
                    Span::Words(words) => (words.replace(BOUND, " ")),
                    Span::Strong(words) => strong { (words) },
                    Span::Name(bytes) => code { (host(bytes)) },
                    Span::Outside(sentence) => (host(sentence.as_bytes())),
                    Span::Advice(sentence) => (advice(sentence)),
                }
            }
        }
    }
}

/// A sentence from outside in which `commands` stand between backticks.
pub fn advice(sentence: &str) -> Markup {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let sentence = words.join(" ");
    let is_paired = sentence.matches('`').count().is_multiple_of(2);
    let parts = sentence.split(|c| is_paired && c == '`').enumerate();
    html! {
        @for (at, part) in parts {
            @if at % 2 == 1 { code { (host(part.as_bytes())) } } @else { (host(part.as_bytes())) }
        }
    }
}

impl Render for Name {
    fn render(&self) -> Markup {
        let bytes = self.bytes.get(self.within..).unwrap_or_default();
        html! {
            @if self.is_path { (path(bytes)) } @else { (host(bytes)) }
            @if !self.tail.is_empty() { " " small { (self.tail) } }
            @if !self.aside.is_empty() { " " small.aside { (self.aside) } }
        }
    }
}

/// A path that may break at its slashes.
fn path(bytes: &[u8]) -> Markup {
    let path = host(bytes);
    html! { span.path { @for part in path.split_inclusive('/') { (part) @if part.ends_with('/') { wbr; } } } }
}

impl Render for Cell {
    fn render(&self) -> Markup {
        match self {
            Cell::Name(name) => name.render(),
            Cell::Unknown => html! { "–" },
            Cell::Count(count) => html! { (human::grouped(*count)) },
            Cell::Objects(objects, sampling) => html! {
                (human::grouped(*objects))
                @if let Some(error) = sampling.error(*objects) { " " small { (human::error(error)) } }
            },
            Cell::Bar(share) => bar(*share, "held"),
            cell => html! { (cell.text()) },
        }
    }
}

/// A share, 0 to 1, as a bar. Drawn as a shape, because the page's policy allows no styles of elements.
pub fn bar(share: f64, kind: &str) -> Markup {
    let width = if share.is_finite() { (share * 100.0).clamp(0.0, 100.0) } else { 0.0 };
    html! {
        svg.gauge.(kind) viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="100" height="8" {}
            rect.fill width=(format!("{width:.2}")) height="8" {}
        }
    }
}

/// How a table is shown.
#[derive(Default)]
pub struct Layout<'a> {
    /// `data` for one that sorts and filters.
    pub class: &'a str,
    /// The column that rows are sorted by.
    pub sorted: &'a str,
    /// Columns whose cells stand beneath the row's key.
    pub beneath: &'a [&'a str],
    /// The column of bytes is followed by bars in proportion.
    pub has_bars: bool,
    /// What the rows unfold to.
    pub details: Vec<Markup>,
}

impl Layout<'_> {
    fn is_beneath(&self, head: &Head) -> bool {
        self.beneath.contains(&head.id.as_ref())
    }

    fn has_bar(&self, head: &Head) -> bool {
        self.has_bars && head.id == "bytes"
    }
}

pub fn table(table: &Table, layout: &Layout<'_>) -> Markup {
    let (heads, lines) = table.for_people();
    let has_some = |at: usize| lines.iter().any(|line| !is_nothing(&line.cells[at]));
    let shown: Vec<usize> = (0..heads.len()).filter(|&at| heads[at].is_key || has_some(at)).collect();
    let columns: Vec<&Head> =
        shown.iter().map(|&at| heads[at]).filter(|head| !layout.is_beneath(head)).collect();
    let several = columns.iter().filter(|head| head.is_key).count() > 1;
    let with_bar = heads.iter().position(|head| layout.has_bar(head));
    let most = with_bar.map_or(1.0, |at| greatest(&lines, at));
    let width = columns.len() + usize::from(with_bar.is_some());
    let (rows, ends) = lines.split_at(table.rows.len());
    let cells = |of: &Line, most| line(shown.iter().map(|&at| (heads[at], &of.cells[at])), layout, most);
    html! {
        div.scroll {
            table.(layout.class).several[several] id={ (table.id) "-table" } data-limit="20" data-what=(table.id) data-sorted=(layout.sorted) {
                thead {
                    tr {
                        @for head in &columns {
                            th class=(class(head)) scope="col" data-sort=(if head.kind.is_text() { "text" } else { "number" }) { (title(head)) }
                            @if layout.has_bar(head) { th.proportion.wider scope="col" {} }
                        }
                    }
                }
                tbody {
                    @for (at, row) in rows.iter().enumerate() {
                        @match layout.details.get(at) {
                            None => tr { (cells(row, Some(most))) },
                            Some(detail) => {
                                tr data-row=(at) { (cells(row, Some(most))) }
                                tr.detail hidden { td colspan=(width) { (detail) } }
                            }
                        }
                    }
                }
                @if !ends.is_empty() { tfoot { @for end in ends { tr { (cells(end, None)) } } } }
            }
        }
    }
}

fn greatest(lines: &[Line], at: usize) -> f64 {
    let rows = lines.iter().filter(|line| line.part == Part::Row);
    rows.map(|row| exact(&row.cells[at])).fold(1.0, f64::max)
}

/// Bars are in proportion to the most.
fn line<'a>(
    cells: impl Iterator<Item = (&'a Head, &'a Cell)>,
    layout: &Layout<'_>,
    most: Option<f64>,
) -> Markup {
    let (beneath, columns): (Vec<_>, Vec<_>) = cells.partition(|(head, _)| layout.is_beneath(head));
    let beneath = html! {
        @for (head, cell) in beneath {
            @if !is_nothing(cell) && *cell != Cell::Unknown { " " span.beneath.(head.id) { (cell) } }
        }
    };
    html! {
        @for (at, (head, cell)) in columns.into_iter().enumerate() {
            @let exact_value = (!head.kind.is_text() && *cell != Cell::Blank).then(|| exact(cell).to_string());
            @if head.is_key {
                th.key scope="row" data-v=[exact_value] { (cell) @if at == 0 { (beneath) } }
            } @else {
                td class={ (class(head)) @if let Cell::Trend(_) = cell { " is-" (cell) } } data-v=[exact_value] { (cell) }
            }
            @if layout.has_bar(head) {
                td.proportion.wider { @if let Some(most) = most { (bar(exact(cell) / most, "held")) } }
            }
        }
    }
}

fn is_nothing(cell: &Cell) -> bool {
    match cell {
        Cell::Blank => true,
        Cell::Words(_) | Cell::Trend(_) => cell.text().is_empty(),
        _ => false,
    }
}

/// What a figure is sorted by. What is unknown sorts as nothing.
fn exact(cell: &Cell) -> f64 {
    let exact = match cell {
        Cell::Number(n) | Cell::Count(n) | Cell::Objects(n, _) | Cell::Bytes(n) => *n as f64,
        Cell::CountChange(n) | Cell::BytesChange(n) => *n as f64,
        Cell::Rate(n) | Cell::Growth(n) | Cell::BytesGrowth(n) | Cell::Share(n) | Cell::Bar(n) => *n,
        Cell::Duration(time) => time.as_secs_f64(),
        Cell::YesNo(yes) => f64::from(u8::from(*yes)),
        Cell::RelativeChange(share, seen) => share.filter(|_| *seen != Seen::After).unwrap_or(NEW),
        Cell::Name(name) => std::str::from_utf8(&name.bytes).ok().and_then(|n| n.parse().ok()).unwrap_or(0.0),
        Cell::Blank | Cell::Unknown | Cell::Words(_) | Cell::Trend(_) => 0.0,
    };
    if exact.is_finite() { exact } else { 0.0 }
}

/// As in a sentence; an abbreviation stays.
pub fn title(head: &Head) -> String {
    let is_abbreviation = ABBREVIATIONS.contains(&head.title.as_ref());
    if is_abbreviation { head.title.to_string() } else { capitalised(&head.title.to_lowercase()) }
}

/// Side, name, and how wide a window has to be to show the column.
fn class(head: &Head) -> String {
    let side = if head.kind.is_text() || head.is_key { "" } else { "num " };
    let window = match head.id.as_ref() {
        _ if head.is_key => "key",
        "trend" => "",
        "where" => "broad",
        "share" | "after" if head.rank > 0 => "wide",
        "growth_per_s_before" | "objects_now" | "slabinfo_before" => "wider",
        _ if head.rank > 9 => "wider",
        _ if head.rank > 3 => "wide",
        _ => "",
    };
    format!("{side}{} {window}", head.id).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::output::model::{Column, Kind};

    #[test]
    fn titles_are_as_in_a_sentence() {
        let check = |title: &'static str, expect: &str| {
            let column = Column::<()>::new("id", title, Kind::Count, |()| Cell::Blank);
            assert_eq!(super::title(&column.head), expect);
        };
        check("CALL SITE", "Call site");
        check("±BYTES", "±Bytes");
        check("PID", "PID");
        check("±%", "±%");
        check("", "");
    }

    proptest! {
        /// In an attribute too: quotes there are always double ones.
        #[test]
        fn html_has_no_sign_of_its_own(bytes in prop_oneof![any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes)]) {
            let escaped = Cell::name(&*bytes).render().into_string();
            prop_assert!(!escaped.contains(['<', '>', '"']), "{}", escaped);
            let back = ["&lt;<", "&gt;>", "&quot;\"", "&amp;&"].iter().fold(escaped, |text, pair| {
                let (entity, sign) = pair.split_at(pair.len() - 1);
                text.replace(entity, sign)
            });
            prop_assert_eq!(back, escape::terminal(&bytes));
        }
    }
}
