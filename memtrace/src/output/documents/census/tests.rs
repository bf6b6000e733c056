use insta::assert_snapshot;

use super::*;
use crate::{
    output::{
        render::{
            markdown,
            terminal::{self, Frame, Style},
        },
        sample::census as sample,
    },
    text::width,
};

fn text(census: &Census, width: Option<usize>) -> String {
    terminal::text(&document(census, 5), Frame { width, height: None }, Style::Plain)
}

#[test]
fn a_wreck_in_80_columns() {
    assert_snapshot!(text(&sample::wreck(), Some(80)));
}

#[test]
fn a_wreck_in_a_file() {
    assert_snapshot!(text(&sample::wreck(), Some(132)));
}

#[test]
fn all_slab_by_whose_it_is() {
    assert_snapshot!(text(&sample::by_cgroup(), Some(100)));
}

#[test]
fn many_caches_and_many_rows() {
    assert_snapshot!(text(&sample::many(), Some(80)));
}

#[test]
fn nothing_was_seen() {
    assert_snapshot!(text(&sample::empty(), Some(80)));
}

#[test]
fn for_a_ticket() {
    assert_snapshot!(markdown::text(&document(&sample::wreck(), 5)));
}

#[test]
fn hostile_names() {
    let [terminal, markdown] =
        [text(&sample::hostile(), Some(100)), markdown::text(&document(&sample::hostile(), 5))];
    assert_snapshot!(terminal);
    assert_snapshot!(markdown);
    for text in [terminal, markdown] {
        assert!(text.lines().all(|line| !line.chars().any(char::is_control)), "{text}");
    }
}

#[test]
fn no_line_is_wider_than_the_window() {
    for census in sample::all() {
        for width in [40, 80, 132] {
            let text = text(&census, Some(width));
            assert!(text.lines().all(|line| width::cells(line) <= width), "{text}");
        }
    }
}
