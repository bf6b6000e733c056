//! Tables, for a terminal and for a Markdown file.

use std::fmt::Write as _;

/// A heading, sentences that say what the table is, and the table.
#[derive(Debug, Default)]
pub struct Section {
    pub title: String,
    pub about: Vec<String>,
    pub table: Table,
}

/// The first column is text, the others are figures unless said otherwise.
#[derive(Debug, Default)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Columns of text besides the first.
    text_columns: Vec<usize>,
}

impl Table {
    pub fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    pub fn with_text_columns(self, text_columns: impl Into<Vec<usize>>) -> Self {
        Self { text_columns: text_columns.into(), ..self }
    }

    /// A shorter row has nothing in its last columns.
    pub fn add(&mut self, row: impl IntoIterator<Item = impl Into<String>>) {
        let mut row: Vec<String> = row.into_iter().map(Into::into).collect();
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// Puts a row before all others.
    pub fn insert(&mut self, row: Vec<String>) {
        self.rows.insert(0, row);
    }

    fn widths(&self) -> Vec<usize> {
        let cells =
            |column: usize| std::iter::once(&self.header).chain(&self.rows).map(move |row| &row[column]);
        (0..self.header.len())
            .map(|column| cells(column).map(|cell| width(cell)).max().unwrap_or(0))
            .collect()
    }

    fn is_text(&self, column: usize) -> bool {
        column == 0 || self.text_columns.contains(&column)
    }

    /// The cells of a row, padded to be as wide as their columns.
    fn padded<'a>(&'a self, row: &'a [String], widths: &'a [usize]) -> impl Iterator<Item = String> {
        row.iter().zip(widths).enumerate().map(|(column, (cell, column_width))| {
            let padding = " ".repeat(column_width - width(cell));
            if self.is_text(column) { format!("{cell}{padding}") } else { format!("{padding}{cell}") }
        })
    }
}

/// All that is written in one go.
pub fn text(sections: &[Section]) -> String {
    let mut text = String::new();
    for Section { title, about, table } in sections {
        let _ = writeln!(text, "\n{title}");
        for sentence in about {
            let _ = writeln!(text, "  {sentence}");
        }
        if table.header.is_empty() {
            continue;
        }
        let widths = table.widths();
        text.push('\n');
        for row in std::iter::once(&table.header).chain(&table.rows) {
            let line = table.padded(row, &widths).collect::<Vec<_>>().join("  ");
            let _ = writeln!(text, "  {}", line.trim_end());
        }
    }
    text
}

pub fn markdown(sections: &[Section]) -> String {
    let mut text = String::new();
    for Section { title, about, table } in sections {
        let separator = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{separator}### {title}\n");
        let _ = writeln!(text, "{}", about.join("\n"));
        if table.header.is_empty() {
            continue;
        }
        let widths = table.widths();
        let line =
            |row: &[String]| format!("| {} |\n", table.padded(row, &widths).collect::<Vec<_>>().join(" | "));
        let rule: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(column, &width)| {
                let dashes = "-".repeat(width.max(2) - 1);
                format!("{dashes}{}", if table.is_text(column) { '-' } else { ':' })
            })
            .collect();
        let _ = write!(text, "\n{}| {} |\n", line(&table.header), rule.join(" | "));
        text.extend(table.rows.iter().map(|row| line(row)));
    }
    text
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let mut table = Table::new(["what", "added", "why"]).with_text_columns([2]);
        table.add(["floor", "+301 ns ±2", "nothing is less"]);
        table.add(["perf-kmem", "+5.02 us"]);
        Section { title: "Costs".into(), about: vec!["Less is better.".into()], table }
    }

    #[test]
    fn terminal() {
        insta::assert_snapshot!(text(&[section()]), @r"

        Costs
          Less is better.

          what            added  why
          floor      +301 ns ±2  nothing is less
          perf-kmem    +5.02 us
        ");
    }

    #[test]
    fn markdown_file() {
        insta::assert_snapshot!(markdown(&[section()]), @r"
        ### Costs

        Less is better.

        | what      |      added | why             |
        | --------- | ---------: | --------------- |
        | floor     | +301 ns ±2 | nothing is less |
        | perf-kmem |   +5.02 us |                 |
        ");
    }
}
