use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::{
    output::{
        render::terminal::{self, Frame, Style},
        sample::{self, difference},
    },
    text::width,
};

fn render(difference: &Difference, width: Option<usize>, style: Style) -> String {
    terminal::text(&document(difference, CACHES_SHOWN), Frame { width, height: None }, style)
}

fn plain(difference: &Difference, width: Option<usize>) -> String {
    render(difference, width, Style::Plain)
}

#[test]
fn a_leak_began() {
    assert_snapshot!(plain(&difference::leak(), Some(120)));
    assert_snapshot!(plain(&difference::leak(), Some(80)));
}

#[test]
fn what_was_there_before_has_changed() {
    assert_snapshot!(plain(&difference::wreck(), Some(80)));
}

#[test]
fn in_a_file() {
    assert_snapshot!(plain(&difference::leak(), None));
}

#[test]
fn most_is_cut() {
    assert_snapshot!(plain(&difference::cut(), Some(80)));
}

#[test]
fn two_hosts_by_several_keys() {
    assert_snapshot!(plain(&difference::two_hosts(), Some(120)));
}

#[test]
fn all_that_speaks_against_it() {
    assert_snapshot!(plain(&difference::doubtful(), Some(100)));
}

#[test]
fn hostile_names() {
    assert_snapshot!(plain(&difference::hostile_names(), Some(80)));
}

#[test]
fn nothing_changed() {
    assert_snapshot!(plain(difference::all().last().unwrap(), Some(80)));
}

#[test]
fn colours_add_nothing_but_colour() {
    for difference in difference::all() {
        let mut screen = sample::terminal(100, 80);
        screen.process(render(&difference, Some(80), Style::Colour).replace('\n', "\r\n").as_bytes());
        assert_eq!(screen.screen().contents().trim_end(), plain(&difference, Some(80)).trim_end());
    }
}

proptest! {
    #[test]
    fn it_fits_and_is_harmless(
        which in 0..difference::all().len(),
        width in 1_usize..160,
        name in any::<Vec<u8>>(),
    ) {
        let mut difference = difference::all().swap_remove(which);
        difference.before.label = name.clone();
        difference.rows.iter_mut().for_each(|row| row.keys[0] = name.clone());
        for line in terminal::lines(&document(&difference, CACHES_SHOWN), Frame::wide(width)) {
            prop_assert!(width::cells(line.text()) <= width, "{}", line.text());
            prop_assert!(!line.text().chars().any(char::is_control), "{}", line.text());
        }
    }
}
