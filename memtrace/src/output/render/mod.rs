//! How a document or a table is written: syntax only.

pub mod csv;
pub mod html;
pub mod markdown;
pub mod terminal;
