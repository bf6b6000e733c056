//! The page for an incident's ticket.

use super::{Block, Table, document};
use crate::{output::markdown, text::escape, triage::page::Page};

/// Of lines that are drawn: tickets are wider than terminals.
const WIDTH: usize = 120;

/// Longer than any run of backticks that a name may begin a line with.
const FENCE: &str = "````";

pub fn render(page: &Page) -> String {
    let blocks = document::blocks(page, WIDTH);
    blocks.iter().map(draw).collect::<Vec<_>>().join("\n")
}

fn draw(block: &Block) -> String {
    match block {
        Block::Title(title) => format!("# {}\n", escape::markdown_line(title)),
        Block::Heading(heading) => format!("## {}\n", escape::markdown_line(heading)),
        // Two blanks at the end break the line.
        Block::Lines(lines) => {
            lines.iter().map(|line| format!("{}  \n", escape::markdown_line(line))).collect()
        }
        Block::List(items) => {
            items.iter().map(|item| format!("- {}\n", escape::markdown_prose(item))).collect()
        }
        Block::Table(table) => draw_table(table),
        Block::Commands(commands) => {
            let lines = commands.iter().map(|(command, tells)| format!("{command}  # {tells}\n"));
            format!("{FENCE}sh\n{}{FENCE}\n", lines.collect::<String>())
        }
        Block::Drawn(text) => format!("{FENCE}\n{text}{FENCE}\n"),
    }
}

fn draw_table(table: &Table) -> String {
    let head: Vec<String> = table.head.iter().map(|title| escape::markdown(title).into_owned()).collect();
    let cells = |cells: &Vec<String>| cells.iter().map(|cell| escape::markdown(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = table.rows.iter().map(cells).collect();
    let foot =
        table.foot.as_ref().map(|foot| format!("\n{}\n", escape::markdown_line(foot))).unwrap_or_default();
    markdown::table(1, &head, &rows) + &foot
}
