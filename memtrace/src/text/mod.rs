//! Text for people: escaped for its medium, quantities printed and parsed, measured in the cells of a terminal.

pub mod duration;
pub mod escape;
pub mod frame;
pub mod human;
pub mod size;
pub mod time;
pub mod width;
