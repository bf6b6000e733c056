//! Whole numbers on the command line. clap puts the text and the option's name in front of an error.

use std::str::FromStr;

/// For the non-zero types, whose own message is for programmers.
pub fn at_least_one<N: FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "it is not a whole number of 1 or more")
}

/// The kernel's process ids are positive `int`s; 0, the idle task, cannot be chosen.
pub fn process_id(text: &str) -> Result<u32, &'static str> {
    let id = text.parse().ok().filter(|id| (1..=i32::MAX as u32).contains(id));
    id.ok_or("a process id is a whole number from 1 to 2147483647")
}
