//! The page of a difference, without its script and in a browser.

use super::{
    browser::Browser,
    clicks::{self, WINDOWS},
    elements, skeleton,
};
use crate::output::{
    html::difference,
    phrases,
    render::html::sentence,
    sample::{self, difference as differences},
};
use crate::view::{Difference, profile::Profile};

pub(super) fn page_of(changed: &Difference) -> String {
    difference(changed, &Profile::added(&Profile::default(), &sample::profile())).unwrap()
}

#[test]
fn a_leak_began() {
    insta::assert_snapshot!(skeleton(&page_of(&differences::leak())));
}

#[test]
fn nothing_changed() {
    let [none, same] = [Profile::default(), sample::profile()];
    let changed = Difference { rows: Vec::new(), caches: Vec::new(), rest: None, ..differences::leak() };
    let page = difference(&changed, &Profile::added(&same, &same)).unwrap();
    assert_eq!(Profile::added(&same, &same), Profile { stacks_period: same.stacks_period, ..none });
    assert!(page.contains(&sentence(&phrases::no_changes(&changed))));
}

#[test]
fn every_page_is_well_formed() {
    let pages = differences::all().iter().map(|changed| elements(&page_of(changed))).collect::<Vec<_>>();
    assert!(pages.iter().flatten().all(|tag| !tag.starts_with("img")), "a name brought an element");
    assert!(pages.iter().all(|page| page.iter().filter(|tag| tag.starts_with("script")).count() == 2));
}

#[test]
fn it_is_used_in_every_window() {
    let Some(mut browser) = Browser::start() else { return };
    for changed in [differences::leak(), differences::two_hosts(), differences::hostile_names()] {
        for (width, is_dark) in WINDOWS {
            browser.set_window(width, 1000, is_dark);
            browser.open(&page_of(&changed));
            assert_eq!(browser.number("document.documentElement.scrollWidth"), f64::from(width), "it fits");
            assert_eq!(browser.shown("#stacks .flame"), 1);
            assert_eq!(browser.number("document.querySelectorAll('.fold').length"), 0.0, "no row opens");
            let keys = |browser: &mut Browser| clicks::texts(browser, "#rows-table tbody tr th:first-child");
            let before = keys(&mut browser);
            browser.click("#rows-table thead th.key button");
            let mut sorted = before.clone();
            sorted.sort_by_key(|name| name.to_lowercase());
            assert_eq!(keys(&mut browser), sorted);
            browser.click("#stacks .frame[aria-level=\"2\"]");
            assert_ne!(browser.text("#stacks .crumbs"), "");
            assert_eq!(browser.complaints(), [""; 0], "{width} pixels, dark: {is_dark}");
        }
    }
}

#[test]
fn tables_fit_every_window() {
    let Some(mut browser) = Browser::start() else { return };
    for changed in [differences::leak(), differences::cut()] {
        browser.open(&page_of(&changed));
        clicks::assert_tables_fit(&mut browser);
    }
}
