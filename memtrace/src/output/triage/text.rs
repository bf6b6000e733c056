//! The page for a terminal or a file.

use super::{Block, Table, document};
use crate::{text::width, triage::page::Page};

/// Where nobody tells how wide the window is.
const WIDTH: usize = 100;

const GAP: &str = "  ";

/// A name that is longer would push the figures out of sight.
const NAME_WIDTH: usize = 60;

/// Longer commands have what they tell on the next line.
const COMMAND_WIDTH: usize = 48;

/// `width` is the window's; None where there is none.
pub fn render(page: &Page, width: Option<usize>) -> String {
    let width = width.unwrap_or(WIDTH);
    let mut out = String::new();
    for block in document::blocks(page, width) {
        draw(&mut out, &block, width);
    }
    out
}

fn draw(out: &mut String, block: &Block, width: usize) {
    match block {
        Block::Title(title) => line(out, title, width),
        Block::Heading(heading) => {
            out.push('\n');
            paragraph(out, heading, width, 2);
        }
        Block::Lines(lines) => lines.iter().for_each(|text| paragraph(out, text, width, 2)),
        Block::List(items) => items.iter().for_each(|text| paragraph(out, &format!("- {text}"), width, 2)),
        Block::Table(table) => {
            out.push('\n');
            draw_table(out, table, width);
        }
        Block::Commands(commands) => draw_commands(out, commands, width),
        Block::Drawn(text) => out.push_str(text),
    }
}

fn paragraph(out: &mut String, words: &str, width: usize, indent: usize) {
    width::wrap(words, width, indent).iter().for_each(|text| line(out, text, width));
}

fn line(out: &mut String, line: &str, width: usize) {
    out.push_str(width::cut(line, width).trim_end());
    out.push('\n');
}

/// Each on a line of its own, and what it tells behind it, if there is room. A command is never broken: it is to be copied.
fn draw_commands(out: &mut String, commands: &[(String, &'static str)], width: usize) {
    let widths = commands.iter().map(|(command, _)| width::cells(command));
    let column = widths.filter(|&command| command <= COMMAND_WIDTH).max().unwrap_or(0);
    for (command, tells) in commands {
        let behind = format!("  {}  # {tells}", width::pad_right(command, column));
        if width::cells(command) <= column && width::cells(&behind) <= width {
            line(out, &behind, width);
        } else {
            out.push_str(&format!("  {command}\n"));
            paragraph(out, &format!("      # {tells}"), width, 8);
        }
    }
}

fn draw_table(out: &mut String, table: &Table, width: usize) {
    let head: Vec<String> = table.head.iter().map(ToString::to_string).collect();
    let rows: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(|cell| width::cut(cell, NAME_WIDTH).into_owned()).collect())
        .collect();
    let all = || std::iter::once(&head).chain(&rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            all().filter_map(|row| row.get(column)).map(|cell| width::cells(cell)).max().unwrap_or(0)
        })
        .collect();
    for row in all() {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => width::pad_right(cell, width),
            _ => width::pad_left(cell, width),
        });
        line(out, &cells.collect::<Vec<_>>().join(GAP), width);
    }
    if let Some(foot) = &table.foot {
        paragraph(out, foot, width, 0);
    }
}
