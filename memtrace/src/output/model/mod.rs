//! A report as data, before it has a syntax: cells, columns, tables, documents. Nothing here is escaped; what a cell or a sentence
//! has from outside stays bytes until [`render`](super::render) writes it for its medium.

mod cell;
mod column;
mod document;
mod sentence;
mod table;

pub use self::cell::{Cell, Name};
pub use self::column::{Column, Head, Kind, Room, Sums};
pub use self::document::{Block, Command, Content, Fact, Keep, Tone};
pub use self::sentence::{BOUND, Sentence, Span, bound};
pub use self::table::{Line, Part, Table};
