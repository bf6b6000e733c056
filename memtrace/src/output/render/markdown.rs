//! A document in Markdown (GitHub's), to be pasted into a ticket.
//!
//! What comes from outside stands as code, where neither Markdown nor HTML means anything; sentences that are from outside in
//! part have their signs escaped. See [`escape::code`] and [`escape::markdown`].

use crate::{
    output::model::{BOUND, Block, Cell, Command, Content, Fact, Head, Line, Name, Sentence, Span, Table},
    text::{escape, width},
};

/// How much of a name a table shows.
const NAME_WIDTH: usize = 120;
/// Longer than any run of backticks that a name may begin a line with.
const FENCE: &str = "````";

pub fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    let mut heading = None;
    for block in blocks {
        if let Content::Section(title) = block.content {
            heading = Some(title).filter(|title| !title.is_empty());
            continue;
        }
        let drawn = draw(&block.content);
        if drawn.is_empty() {
            continue;
        }
        if let Some(title) = heading.take() {
            out += &format!("{}## {title}\n", gap(&out));
        }
        // Sentences one after the other are lists.
        let goes_on = out.ends_with('\n') && drawn.starts_with("- ") && last_line(&out).starts_with("- ");
        out += if goes_on { "" } else { gap(&out) };
        out += &drawn;
    }
    out
}

fn gap(before: &str) -> &'static str {
    if before.is_empty() { "" } else { "\n" }
}

fn last_line(text: &str) -> &str {
    text.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default()
}

fn draw(content: &Content) -> String {
    match content {
        Content::Title(facts) => format!("# {}\n", joined(facts)),
        Content::Heading(text) => format!("## {}\n", line(text)),
        Content::Section(_) => String::new(),
        Content::Facts(facts) => format!("- {}\n", joined(facts)),
        Content::Sentence { text, .. } => format!("- {}\n", line(text)),
        Content::List { items, .. } => items.iter().map(|item| format!("- {}\n", line(item))).collect(),
        Content::Table(table) if table.is_empty() => String::new(),
        Content::Table(table) if table.heads.iter().all(|head| head.title.is_empty()) => draw_facts(table),
        Content::Table(table) => draw_table(table),
        Content::Commands(commands) => {
            let lines = commands.iter().map(|Command { line, shows }| format!("{line}  # {shows}\n"));
            format!("{FENCE}sh\n{}{FENCE}\n", lines.collect::<String>())
        }
        Content::Code(text) => format!("{FENCE}\n{text}{FENCE}\n"),
    }
}

/// `label: fact, fact`.
fn joined(facts: &[Fact]) -> String {
    let mut text = String::new();
    for (at, fact) in facts.iter().enumerate() {
        let between = if at + 1 == facts.len() {
            ""
        } else if fact.is_label {
            ": "
        } else {
            ", "
        };
        text += &(line(&fact.text) + between);
    }
    text
}

fn line(sentence: &Sentence) -> String {
    let span = |(at, span): (usize, &Span)| match span {
        Span::Words(words) if at == 0 => escape::markdown_line(&words.replace(BOUND, " ")).into_owned(),
        Span::Words(words) => escape::markdown(&words.replace(BOUND, " ")).into_owned(),
        Span::Strong(words) => format!("**{}**", escape::markdown(words)),
        Span::Name(bytes) => name(bytes),
        Span::Outside(text) => outside(text),
        Span::Advice(text) => advice(text),
    };
    sentence.0.iter().enumerate().map(span).collect()
}

/// A name as code, or nothing.
fn name(bytes: &[u8]) -> String {
    escape::code(&width::cut(&escape::terminal(bytes), NAME_WIDTH))
}

/// A sentence that may have a name in it. What a forge would make a link of stands as code, whole.
fn outside(text: &str) -> String {
    let text = escape::terminal(text.as_bytes());
    if is_linked(&text) { escape::code(&text) } else { escape::markdown_line(&text).into_owned() }
}

fn is_linked(text: &str) -> bool {
    ["@", "#", "://", "www."].iter().any(|sign| text.contains(sign))
}

/// A sentence in which commands stand between backticks.
fn advice(text: &str) -> String {
    let links = text.split('`').step_by(2).any(is_linked);
    if links { outside(text) } else { escape::markdown_prose(&escape::terminal(text.as_bytes())) }
}

/// What has no titles: an item for each line.
fn draw_facts(table: &Table) -> String {
    let item = |line: &Line| {
        let cells = line.cells.iter().map(cell).filter(|cell| !cell.is_empty());
        format!("- {}\n", cells.collect::<Vec<_>>().join(", "))
    };
    table.for_people().1.iter().map(item).collect()
}

/// Texts to the left, figures to the right.
fn draw_table(table: &Table) -> String {
    let (heads, lines) = table.for_people();
    let is_drawn: Vec<bool> = heads.iter().map(|head| head.id != "bar").collect();
    let row = |cells: Vec<String>| {
        let mut drawn = is_drawn.iter();
        let cells: Vec<String> = cells.into_iter().filter(|_| drawn.next() == Some(&true)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = |head: &&Head| if head.kind.is_text() { "---|" } else { "--:|" };
    let rules = heads.iter().zip(&is_drawn).filter(|(_, drawn)| **drawn).map(|(head, _)| rule(head));
    let rules = format!("|{}\n", rules.collect::<String>());
    let body = lines.iter().map(|Line { cells, .. }| row(cells.iter().map(cell).collect()));
    row(heads.iter().map(|head| escape::markdown(&head.title).into_owned()).collect())
        + &rules
        + &body.collect::<String>()
}

fn cell(cell: &Cell) -> String {
    let Cell::Name(Name { bytes, tail, aside, .. }) = cell else {
        return escape::markdown(cell.text().trim()).into_owned();
    };
    let words = [tail, aside].into_iter().filter(|words| !words.is_empty());
    let words = words.map(|words| escape::markdown(words).into_owned());
    std::iter::once(name(bytes)).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
