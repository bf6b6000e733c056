//! A document as lines of text that fit a window.
//!
//! In width, the least important columns and facts go first, and long names are cut; in height, explanations go before figures,
//! then rows are hidden and counted. Everything that comes from outside passes through [`escape::terminal`](crate::text::escape).

mod layout;

use crate::{
    output::model::{BOUND, Block, Command, Content, Fact, Keep, Part, Table, Tone},
    text::width,
};

/// So many rows stay, if there are as many, before lines around the table go: three in eight of all lines, within these bounds.
const MIN_ROWS: usize = 3;
const MIN_ROWS_IN_A_WINDOW: usize = 8;
/// Longer commands have what they show on the next line.
const COMMAND_WIDTH: usize = 48;

/// The room that a document has. None means as much as needed, as in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// In cells of a terminal.
    pub width: Option<usize>,
    pub height: Option<usize>,
}

impl Frame {
    /// Where nobody says how wide: a file or a pipe, for a ticket or a pager.
    pub const PAGE: Frame = Frame { width: Some(132), height: None };

    pub fn wide(width: usize) -> Self {
        Frame { width: Some(width), height: None }
    }
}

/// Whether lines carry styles. Colour is for a terminal whose user did not set `NO_COLOR`; that is the
/// caller's to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    Colour,
}

/// One line, without a newline and without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    text: String,
    tone: Tone,
    keep: Keep,
}

impl Line {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn tone(&self) -> Tone {
        self.tone
    }

    /// The line as it is written, without a newline.
    pub fn paint(&self, style: Style) -> String {
        let paint = match (style, self.tone) {
            (Style::Plain, _) | (_, Tone::Normal) => return self.text.clone(),
            (_, Tone::Title) => anstyle::Style::new().bold(),
            (_, Tone::Head) => anstyle::Style::new().bold().underline(),
            (_, Tone::Quiet) => anstyle::Style::new().dimmed(),
            (_, Tone::Warning) => anstyle::AnsiColor::Yellow.on_default(),
            (_, Tone::Alarm) => anstyle::AnsiColor::Red.on_default().bold(),
        };
        format!("{paint}{}{paint:#}", self.text)
    }
}

/// The document as one text, each line ended by a newline.
pub fn text(blocks: &[Block], frame: Frame, style: Style) -> String {
    lines(blocks, frame).iter().map(|line| line.paint(style) + "\n").collect()
}

/// A table's titles, where it has some, then a line for each row and for what stands below them.
pub fn table_lines(table: &Table, width: usize) -> Vec<(Option<Part>, String)> {
    layout::lines(table, Some(width))
}

/// The document, line by line. A table that is live is cut where the frame is too low for it.
pub fn lines(blocks: &[Block], frame: Frame) -> Vec<Line> {
    let live =
        blocks.iter().position(|block| matches!(&block.content, Content::Table(table) if table.is_live));
    let (Some(at), Some(height)) = (live, frame.height) else {
        let mut lines = draw(blocks, frame.width);
        let height = frame.height.unwrap_or(usize::MAX);
        make_room(&mut lines, 0, height, Keep::Trust);
        lines.truncate(height);
        return lines;
    };
    let Content::Table(table) = &blocks[at].content else { return Vec::new() };
    let mut lines = draw(&blocks[..at], frame.width);
    let above = lines.len();
    lines.extend(draw(&blocks[at + 1..], frame.width));
    let full_height =
        1 + table.rows.len() + usize::from(table.rest.is_some()) + usize::from(table.total.is_some());
    let above = make_room(&mut lines, above, height.saturating_sub(full_height), Keep::OwnCost);
    let above = make_room(&mut lines, above, height.saturating_sub(least_height(table, height)), Keep::Trust);
    let table = fit_height(table.clone(), height.saturating_sub(lines.len()));
    let below = lines.split_off(above);
    lines.extend(draw_table(&table, frame.width, &blocks[at]));
    lines.extend(below);
    lines.truncate(height);
    lines
}

/// Drops the least important lines until they fit, but none that matters more than `most`; says how many of the first `above`
/// are left. The first line of a kind says most, so that the last one goes first.
fn make_room(lines: &mut Vec<Line>, mut above: usize, room: usize, most: Keep) -> usize {
    while lines.len() > room {
        let least = lines.iter().map(|line| line.keep).max().filter(|&keep| keep >= most);
        let Some(at) = least.and_then(|keep| lines.iter().rposition(|line| line.keep == keep)) else { break };
        lines.remove(at);
        above -= usize::from(at < above);
    }
    above
}

/// Lines that a table wants at least, of so many.
fn least_height(table: &Table, height: usize) -> usize {
    let rows = table.rows.len().min((height * 3 / 8).clamp(MIN_ROWS, MIN_ROWS_IN_A_WINDOW));
    let total = usize::from(table.total.is_some() && height > 2 * MIN_ROWS_IN_A_WINDOW);
    1 + rows + usize::from(rows < table.rows.len() || table.rest.is_some()) + total
}

/// First the total goes, then rows.
fn fit_height(mut table: Table, room: usize) -> Table {
    let (rows, has_rest) = (table.rows.len(), table.rest.is_some());
    let body = room.saturating_sub(1);
    if rows + usize::from(has_rest) + usize::from(table.total.is_some()) <= body {
        return table;
    }
    table.total = table.total.filter(|_| body > MIN_ROWS + 1);
    let shown = body.saturating_sub(usize::from(table.total.is_some()));
    let shown = if has_rest || rows > shown { shown.saturating_sub(1) } else { shown };
    table.cut_to(shown.clamp(1, rows.max(1)))
}

/// A blank line stands before a section only if that has something.
fn draw(blocks: &[Block], width: Option<usize>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut blank = None;
    for block in blocks {
        if matches!(block.content, Content::Section(_)) {
            blank = Some(Line { text: String::new(), tone: Tone::Normal, keep: block.keep });
            continue;
        }
        let drawn = draw_block(block, width);
        if !drawn.is_empty() {
            lines.extend(blank.take());
            lines.extend(drawn);
        }
    }
    // What follows is a table of its own.
    lines.extend(blank);
    lines
}

fn draw_block(block: &Block, width: Option<usize>) -> Vec<Line> {
    let room = width.unwrap_or(usize::MAX);
    let line = |text: String| Line { text: text.trim_end().to_owned(), tone: block.tone, keep: block.keep };
    let wrapped = |text: &str, hang| {
        let lines = width::wrap(text, room, hang).into_iter();
        lines.map(|text| line(text.replace(BOUND, " "))).collect::<Vec<_>>()
    };
    match &block.content {
        Content::Title(facts) | Content::Facts(facts) => {
            vec![line(width::cut(&fit(facts, room), room).into_owned())]
        }
        Content::Heading(text) => {
            std::iter::once(line(String::new())).chain(wrapped(&text.bound_text(), 2)).collect()
        }
        Content::Section(_) => Vec::new(),
        Content::Sentence { text, indent, hang } => {
            // A comma may follow a name.
            let text = text.bound_text_within(room.saturating_sub((*indent).max(*hang) + 1));
            wrapped(&format!("{:indent$}{text}", ""), *hang)
        }
        Content::List { items, indent } => items
            .iter()
            .flat_map(|item| wrapped(&format!("{:indent$}- {}", "", item.bound_text()), indent + 2))
            .collect(),
        Content::Table(table) => draw_table(table, width, block),
        Content::Commands(commands) => {
            let column = commands.iter().map(|command| width::cells(&command.line));
            let column = column.filter(|&command| command <= COMMAND_WIDTH).max().unwrap_or(0);
            commands.iter().flat_map(|command| draw_command(command, column, room)).map(line).collect()
        }
        Content::Code(text) => text.lines().map(|text| line(text.to_owned())).collect(),
    }
}

/// The facts beside each other, without the least important ones where the line is too long.
fn fit(facts: &[Fact], room: usize) -> String {
    let mut ranks: Vec<u8> = facts.iter().map(|fact| fact.rank).collect();
    ranks.sort_unstable();
    loop {
        let most = ranks.pop().unwrap_or(0);
        let kept = facts.iter().filter(|fact| fact.rank <= most).map(|fact| fact.text.text());
        let line = kept.collect::<Vec<_>>().join("  ");
        if ranks.is_empty() || width::cells(&line) <= room {
            return line;
        }
    }
}

/// What it shows stands behind it, if there is room. A command is never broken: it is to be copied.
fn draw_command(command: &Command, column: usize, room: usize) -> Vec<String> {
    let Command { line, shows } = command;
    let behind = format!("  {}  # {shows}", width::pad_right(line, column));
    if width::cells(line) <= column && width::cells(&behind) <= room {
        return vec![behind];
    }
    let below = width::wrap(&format!("      # {shows}"), room, 8);
    std::iter::once(format!("  {line}")).chain(below).collect()
}

fn draw_table(table: &Table, width: Option<usize>, block: &Block) -> Vec<Line> {
    let tone = |part| match part {
        None => Tone::Head,
        Some(Part::Row) => block.tone,
        Some(Part::Rest | Part::Total) => Tone::Quiet,
    };
    let lines = layout::lines(table, width).into_iter();
    lines.map(|(part, text)| Line { text, tone: tone(part), keep: block.keep }).collect()
}
