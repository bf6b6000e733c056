//! Pictures of pages, for people: tests tell that a page works, not that it can be read.

use std::{env, fs, path::Path, process::Command};

use super::{browser::Browser, page_of};
use crate::output::sample::{
    self, difference,
    incident::{self, Incident},
};

/// Written where `MEMTRACE_TEST_PICTURES` says, if it does: in light and dark, wide and narrow, and as they print.
#[test]
fn are_taken_on_request() {
    let Some(directory) = env::var_os("MEMTRACE_TEST_PICTURES") else { return };
    let Some(mut browser) = Browser::start() else { return };
    let directory = Path::new(&directory);
    fs::create_dir_all(directory).unwrap();
    let of = |snapshot| Incident { snapshot, ..incident::empty() };
    let pages = [
        ("doubts", of(sample::verdict())),
        ("pids", of(sample::by_pid())),
        ("several", of(sample::by_several())),
        ("sampled", of(sample::sampled())),
        ("incident", incident::incident()),
        ("large", incident::large()),
        ("hostile", incident::hostile()),
        ("lossy", of(sample::lossy())),
        ("empty", incident::empty()),
    ];
    for (name, incident) in pages {
        let page = page_of(&incident);
        fs::write(directory.join(format!("{name}.html")), &page).unwrap();
        for (width, is_dark) in [(1600, false), (1600, true), (1000, false), (400, false), (400, true)] {
            browser.set_window(width, 1000, is_dark);
            browser.open(&page);
            let scheme = if is_dark { "dark" } else { "light" };
            save(&directory.join(format!("{name}-{width}-{scheme}.png")), &browser.picture());
        }
        browser.set_window(1600, 1000, false);
        browser.open(&page);
        save(&directory.join(format!("{name}.pdf")), &browser.print());
    }
    let changes = [("diff", difference::leak()), ("diff-hosts", difference::two_hosts())];
    for (name, changed) in changes {
        let page = super::differences::page_of(&changed);
        for (width, is_dark) in [(1280, false), (1600, true), (400, false)] {
            browser.set_window(width, 1000, is_dark);
            browser.open(&page);
            save(&directory.join(format!("{name}-{width}.png")), &browser.picture());
        }
    }
    in_use(&mut browser, directory);
}

/// Zoomed, filtered, opened.
fn in_use(browser: &mut Browser, directory: &Path) {
    let page = page_of(&incident::incident());
    for (width, is_dark) in [(1600, false), (1600, true), (400, true)] {
        browser.set_window(width, 1000, is_dark);
        browser.open(&page);
        browser.click("#growth [data-lines=rows]");
        browser.drag("#growth .chart svg", 0.3, 0.8);
        browser.click("#rows-table [data-row=\"0\"] .fold");
        browser.click("#caches-table [data-row=\"2\"] .fold");
        browser.click(".known summary");
        browser.click("#guide summary");
        browser.click("#stacks .frame[aria-label^=s_open]");
        browser.click("#stacks input");
        browser.write("measure");
        browser.hover("#stacks .frame[aria-label^=sdb_getTempDir]", 0.5);
        let scheme = if is_dark { "dark" } else { "light" };
        save(&directory.join(format!("tip-{width}-{scheme}.png")), &browser.picture_of_window());
        browser.hover("#growth .chart svg", 0.6);
        save(&directory.join(format!("cursor-{width}-{scheme}.png")), &browser.picture_of_window());
        save(&directory.join(format!("in-use-{width}-{scheme}.png")), &browser.picture());
    }
}

fn save(file: &Path, base64: &str) {
    let encoded = file.with_extension("base64");
    fs::write(&encoded, base64).unwrap();
    let decoded = Command::new("base64").arg("--decode").arg(&encoded).output().unwrap();
    fs::write(file, decoded.stdout).unwrap();
    fs::remove_file(encoded).unwrap();
}
