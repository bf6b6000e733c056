//! Tables for DuckDB, Spark, ClickHouse and whatever else reads Parquet: docs/fleet.md describes the columns.
//!
//! Names are UTF-8 as they are; what is not, and what a terminal would obey or hide, is escaped, since it is terminals that query
//! results are looked at on.

mod events;
mod outstanding;
mod table;

pub use self::{
    events::Events,
    outstanding::{MAX_OBJECTS, Taken, write as outstanding},
};
