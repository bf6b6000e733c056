//! How a document or a table is written: syntax only.

pub mod html;
