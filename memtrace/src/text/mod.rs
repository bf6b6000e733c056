//! Text for people: escaped for its medium, quantities printed and parsed, measured in the cells of a terminal.

pub mod duration;
pub mod escape;
pub mod frame;
pub mod human;
pub mod shell;
pub mod size;
pub mod time;
pub mod width;

/// The first letter in upper case.
pub fn capitalised(text: &str) -> String {
    let (before, rest) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
    let mut chars = rest.chars();
    let first = chars.next().map(char::to_uppercase);
    before.chars().chain(first.into_iter().flatten()).chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_is_in_upper_case() {
        assert_eq!(["", "rows", "±bytes", "42"].map(capitalised), ["", "Rows", "±Bytes", "42"]);
    }
}
