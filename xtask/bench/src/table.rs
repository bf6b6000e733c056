//! Tables, for a terminal and for a Markdown file.

use comfy_table::{CellAlignment, Row, TableStyle, presets};

/// A heading, sentences that say what the table is, and the table.
#[derive(Debug, Default)]
pub struct Section {
    pub title: String,
    pub about: Vec<String>,
    pub table: Table,
}

pub type Column<T> = (&'static str, fn(&T) -> String);

/// The first column is text, the others are figures unless said otherwise.
#[derive(Debug, Default)]
pub struct Table {
    grid: comfy_table::Table,
    /// Columns of text besides the first.
    text_columns: Vec<usize>,
}

impl Table {
    pub fn new(header: impl Into<Row>) -> Self {
        let mut grid = comfy_table::Table::new();
        grid.set_header(header);
        Self { grid, text_columns: Vec::new() }
    }

    /// A row for each of `rows`; a column is its title and its cells.
    pub fn from_rows<T>(columns: &[Column<T>], rows: impl IntoIterator<Item = T>) -> Self {
        let mut table = Self::new(columns.iter().map(|(title, _)| title));
        for row in rows {
            table.add(columns.iter().map(|(_, cell)| cell(&row)));
        }
        table
    }

    pub fn with_text_columns(self, text_columns: impl Into<Vec<usize>>) -> Self {
        Self { text_columns: text_columns.into(), ..self }
    }

    /// A shorter row has nothing in its last columns.
    pub fn add(&mut self, row: impl Into<Row>) {
        self.grid.add_row(row);
    }

    fn is_text(&self, column: usize) -> bool {
        column == 0 || self.text_columns.contains(&column)
    }

    fn lines(&self, style: TableStyle) -> Vec<String> {
        let mut grid = self.grid.clone();
        grid.load_style(style);
        let figures = grid.column_iter_mut().enumerate().filter(|(index, _)| !self.is_text(*index));
        figures.for_each(|(_, column)| column.set_cell_alignment(CellAlignment::Right));
        grid.lines().collect()
    }

    /// The line below the header; a colon at the right aligns to the right.
    fn markdown_rule(&self) -> String {
        let widths = self.grid.column_max_content_widths().into_iter().enumerate();
        let rule = widths.map(|(column, width)| {
            let last = if self.is_text(column) { '-' } else { ':' };
            format!(" {:->width$} |", last, width = usize::from(width))
        });
        format!("|{}", rule.collect::<String>())
    }

    fn is_empty(&self) -> bool {
        self.grid.header().is_none()
    }
}

pub fn text(sections: &[Section]) -> String {
    let section = |Section { title, about, table }: &Section| {
        let mut text = format!("\n{title}\n");
        text.extend(about.iter().map(|sentence| format!("  {sentence}\n")));
        if !table.is_empty() {
            text.push('\n');
            // Each cell has a space on both sides.
            text.extend(table.lines(presets::NOTHING).iter().map(|line| format!(" {}\n", line.trim_end())));
        }
        text
    };
    sections.iter().map(section).collect()
}

pub fn markdown(sections: &[Section]) -> String {
    let section = |Section { title, about, table }: &Section| {
        let mut text = format!("### {title}\n\n{}\n", about.join("\n"));
        if !table.is_empty() {
            let mut lines = table.lines(presets::ASCII_MARKDOWN);
            lines[1] = table.markdown_rule();
            text += &format!("\n{}\n", lines.join("\n"));
        }
        text
    };
    sections.iter().map(section).collect::<Vec<_>>().join("\n")
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
