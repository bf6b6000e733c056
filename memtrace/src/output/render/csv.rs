//! Rows as CSV (RFC 4180): one header line, then a line for each row, for spreadsheets and for whatever reads columns.
//! docs/formats.md describes the columns.
//!
//! Lines end with LF, which every reader of CSV takes, and which cut, sort and awk need. No field has a line break, so a line is
//! a row. See [`escape::csv`] for how names are made harmless. Figures are never escaped: a negative one is no formula.

use std::io;

use csv::{Terminator, WriterBuilder};

use crate::{
    output::{
        json,
        model::{Cell, Table},
    },
    text::escape,
};

/// The columns for machines; the last one says how many rows a line stands for.
pub fn text(table: &Table) -> io::Result<String> {
    let is_shown = |(at, _): &(usize, &Cell)| table.heads[*at].is_for_machines;
    let line = |cells: &[Cell], rows: u64| -> Vec<String> {
        let fields = cells.iter().enumerate().filter(is_shown).map(|(_, cell)| field(cell));
        fields.chain([rows.to_string()]).collect()
    };
    let mut out = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(Vec::new());
    let ids = table.heads.iter().filter(|head| head.is_for_machines).map(|head| &*head.id);
    out.write_record(ids.chain(["rows"]))?;
    for cells in &table.rows {
        out.write_record(line(cells, 1))?;
    }
    if let Some((rows, cells)) = &table.rest {
        out.write_record(line(cells, *rows))?;
    }
    let bytes = out.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn field(cell: &Cell) -> String {
    match cell {
        Cell::Blank | Cell::Unknown | Cell::Bar(_) => String::new(),
        Cell::Name(name) => escape::csv(&name.bytes).into_owned(),
        Cell::Words(words) => words.clone(),
        Cell::YesNo(yes) => yes.to_string(),
        Cell::Trend(trend) => trend.into_str().to_owned(),
        Cell::Number(n) | Cell::Count(n) | Cell::Objects(n, _) | Cell::Bytes(n) => n.to_string(),
        Cell::Rate(n) | Cell::Growth(n) | Cell::BytesGrowth(n) | Cell::Share(n) => {
            json::finite(*n).to_string()
        }
        Cell::Duration(time) => json::nanos(*time).to_string(),
        Cell::CountChange(n) | Cell::BytesChange(n) => n.to_string(),
        Cell::RelativeChange(share, _) => {
            share.map_or_else(String::new, |share| json::finite(share).to_string())
        }
    }
}

#[cfg(test)]
mod tests;
