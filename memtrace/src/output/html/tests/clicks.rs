//! The page in a browser, used as a person uses it: clicked, typed into, led by keys. Whatever it does, its console stays silent
//! and it asks the network for nothing.

use std::time::Duration;

use super::{browser::Browser, page_of};
use crate::{
    output::sample::{
        self,
        incident::{self, Incident},
    },
    text::human,
};

const FIGURES: &str = include_str!("../figures.js");

pub(super) const WINDOWS: [(u32, bool); 4] = [(1600, false), (1600, true), (400, false), (400, true)];

/// What is done with the page in each window.
fn in_each_window(incident: &Incident, act: impl Fn(&mut Browser, u32)) {
    let Some(mut browser) = Browser::start() else { return };
    let page = page_of(incident);
    for (width, is_dark) in WINDOWS {
        browser.set_window(width, 1000, is_dark);
        browser.open(&page);
        act(&mut browser, width);
        assert_eq!(browser.complaints(), [""; 0], "{width} pixels, dark: {is_dark}");
    }
}

pub(super) fn texts(browser: &mut Browser, selector: &str) -> Vec<String> {
    let all = format!(
        "[...document.querySelectorAll({selector:?})].filter((one) => one.checkVisibility()).map((one) => one.textContent)"
    );
    serde_json::from_value(browser.evaluate(&all)).unwrap()
}

#[test]
fn it_fits_its_window_in_light_and_dark() {
    in_each_window(&incident::incident(), |browser, width| {
        assert_eq!(
            browser.number("document.documentElement.scrollWidth"),
            f64::from(width),
            "nothing sticks out"
        );
        let is_dark =
            browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches").as_bool().unwrap();
        let lightness = "(() => { const rgb = getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g); \
                         return rgb.reduce((sum, part) => sum + Number(part), 0) / 3; })()";
        assert_eq!(browser.number(lightness) < 128.0, is_dark);
        for part in
            ["#verdict", "#trust", "#growth svg", "#rows-table", "#caches-table", ".tree", ".flame", ".ages"]
        {
            assert_eq!(browser.shown(part), 1, "{part}");
        }
    });
}

#[test]
fn tables_fit_every_window() {
    let Some(mut browser) = Browser::start() else { return };
    let several = Incident { snapshot: sample::by_several(), ..incident::empty() };
    for incident in [incident::incident(), incident::large(), several] {
        browser.open(&page_of(&incident));
        assert_tables_fit(&mut browser);
    }
}

pub(super) fn assert_tables_fit(browser: &mut Browser) {
    for width in [400, 560, 720, 721, 900, 1020, 1021, 1280, 1420, 1421, 1600, 2400] {
        browser.set_window(width, 1000, false);
        let hidden = "Math.max(...[...document.querySelectorAll('.scroll')].map((one) => one.scrollWidth - one.clientWidth))";
        assert_eq!(browser.number(hidden), 0.0, "at {width} pixels");
        assert_eq!(browser.number("document.documentElement.scrollWidth"), f64::from(width));
    }
}

#[test]
fn tables_sort_filter_and_open() {
    in_each_window(&incident::incident(), |browser, _| {
        let commands = "#rows-table tbody th .fold > span";
        let first = |browser: &mut Browser| {
            texts(browser, commands).first().map(|text| text.split(' ').next().unwrap().to_owned())
        };
        assert_eq!(first(browser).as_deref(), Some("curl"));
        browser.click("#rows-table thead th.bytes button");
        assert_eq!(first(browser).as_deref(), Some("[swapper]"), "the least first");
        browser.click("#rows-table thead th.key button");
        let names = texts(browser, commands);
        let mut sorted = names.clone();
        sorted.sort_by_key(|name| name.to_lowercase());
        assert_eq!(names, sorted, "names from A on");
        assert_eq!(browser.shown("#rows-table th[aria-sort=ascending]"), 1);

        browser.click("#rows input");
        browser.write("doesnotexist");
        assert_eq!(texts(browser, commands).len(), 1, "found by the names of its objects");
        assert_eq!(browser.text("#rows .below-table span"), "1 of 14 rows match");
        browser.press("Escape");
        assert_eq!(texts(browser, commands).len(), 14);

        browser.evaluate("document.querySelector('#rows-table [data-row=\"0\"] .fold').focus()");
        browser.press("Enter");
        let detail = browser.text("#rows-table tr.detail:not([hidden])");
        for part in
            ["1,214,930", "readiness.sh < runc < containerd-shim", "docker-3f2a9c1b04d5", "sdb_measureAccess"]
        {
            assert!(detail.contains(part), "{part} in {detail}");
        }
        browser.click("#rows-table thead th.bytes button");
        assert_eq!(
            browser.evaluate("document.querySelector('#rows-table [data-row=\"0\"]').nextSibling.className"),
            "detail",
            "what a row opened stays with it"
        );
        browser.click("#rows-table [data-row=\"0\"] .fold");
        assert_eq!(browser.shown("#rows-table tr.detail"), 0);

        browser.click("#caches-table [data-row=\"2\"] .fold");
        assert!(browser.text("#caches-table tr.detail:not([hidden])").contains("anon_vma_chain"));
    });
}

#[test]
fn the_chart_reads_out_zooms_and_toggles() {
    in_each_window(&incident::incident(), |browser, _| {
        let of_dentry = "#growth .legend li:first-child .value";
        assert_eq!(browser.text(of_dentry), "224 MiB", "at the end");
        browser.hover("#growth .chart svg", 0.55);
        assert_eq!(browser.shown("#growth .crosshair"), 1);
        let moment = browser.text("#growth .moment");
        assert!(moment.contains("03:1") && moment.contains("after the start"), "{moment}");
        let held = browser.text(of_dentry);
        assert!(held.ends_with(" MiB") && held != "224 MiB", "{held}");

        let ticks = |browser: &mut Browser| texts(browser, "#growth svg text");
        let all = ticks(browser);
        browser.drag("#growth .chart svg", 0.4, 0.6);
        let zoomed = ticks(browser);
        assert_ne!(all, zoomed);
        assert_eq!(browser.shown("#growth .reset"), 1);
        browser.double_click("#growth .chart svg");
        assert_eq!(ticks(browser), all);
        assert_eq!(browser.shown("#growth .reset"), 0);
        browser.focus("#growth .chart");
        browser.press("+");
        assert_ne!(ticks(browser), all);
        let before = browser.text("#growth .moment");
        browser.press("ArrowLeft");
        assert_ne!(browser.text("#growth .moment"), before);
        browser.press("Escape");
        assert_eq!(ticks(browser), all);

        let lines = browser.shown("#growth path.plotted");
        browser.click("#growth .legend li:first-child button");
        assert_eq!(browser.shown("#growth path.plotted"), lines - 1);
        assert_ne!(ticks(browser), all, "what is left has the room");
        browser.click("#growth .legend li:first-child button");
        browser.click("#growth [data-lines=rows]");
        assert_eq!(browser.text("#growth .legend li:first-child .name"), "curl");
        browser.click("#growth [data-unit=objects]");
        assert_eq!(browser.text(of_dentry), "1.2 M");
        assert_eq!(texts(browser, "#growth .mark-label"), ["health check every 1 s", "logrotate"]);
    });
}

#[test]
fn the_flame_graph_zooms_finds_and_is_led_by_keys() {
    in_each_window(&incident::incident(), |browser, width| {
        let named = |name: &str| format!("#stacks .frame[aria-label^=\"{name}\"]");
        let breadth = |browser: &mut Browser, name: &str| {
            browser
                .number(&format!("document.querySelector({:?}).getBoundingClientRect().width", named(name)))
        };
        let kinds =
            ["process", "user", "kernel"].map(|kind| browser.shown(&format!("#stacks .frame.{kind}")));
        assert!(kinds.iter().all(|n| *n > 0), "{kinds:?}");
        let before = breadth(browser, "sdb_getTempDir");
        browser.click(&named("sdb_getTempDir"));
        assert!(breadth(browser, "sdb_getTempDir") > before * 2.0);
        assert!(browser.text("#stacks .crumbs").contains("sdb_getTempDir"));
        assert_eq!(browser.shown(&named("runc")), 0);
        browser.press("Escape");
        browser.click("#stacks .crumbs button:first-child");
        assert_eq!(breadth(browser, "sdb_getTempDir"), before);

        browser.hover(&named("sdb_getTempDir"), 0.5);
        let tip = browser.text(".tip");
        assert!(tip.contains("399,040 objects") && tip.contains("in the program"), "{tip}");

        browser.click(&named("all"));
        for key in ["ArrowDown", "ArrowDown", "ArrowUp"] {
            browser.press(key);
        }
        let focused = "document.activeElement.getAttribute('aria-label').split(',')[0]";
        assert_eq!(browser.evaluate(focused), "curl");
        if width > 1000 {
            browser.press("ArrowRight");
            assert_eq!(browser.evaluate(focused), "runc");
            browser.press("ArrowLeft");
        }
        browser.press("Enter");
        assert!(browser.text("#stacks .crumbs").starts_with("all"));
        assert_eq!(browser.evaluate(focused), "curl");
        browser.press("Escape");
        assert_eq!(browser.text("#stacks .crumbs"), "all, 238 MiB");

        browser.click("#stacks input");
        browser.write("MEASURE");
        assert_eq!(browser.shown("#stacks .hit"), 2);
        assert!(browser.text("#stacks .found").starts_with("91%"), "{}", browser.text("#stacks .found"));
        browser.press("Escape");
        assert_eq!(browser.shown("#stacks .hit"), 0);
        browser.click("#stacks [data-unit=objects]");
        assert!(browser.text("#stacks .crumbs").ends_with("objects"));
    });
}

#[test]
fn the_tree_folds_with_and_without_the_script() {
    let Some(mut browser) = Browser::start() else { return };
    for has_script in [true, false] {
        browser.set_scripts(has_script);
        browser.set_window(1600, 1000, false);
        browser.open(&page_of(&incident::incident()));
        browser.set_scripts(true);
        let all = browser.shown("#directories .tree .entry");
        assert_eq!(all, 12, "a head and each directory");
        browser.click("#directories details summary");
        assert_eq!(browser.shown("#directories .tree .entry"), all - 2);
        browser.focus("#directories details summary");
        browser.press("Enter");
        assert_eq!(browser.shown("#directories .tree .entry"), all);
        // What matters is there either way.
        assert_eq!(browser.shown("#rows-table tbody tr[data-row]"), 14);
        assert_eq!(browser.shown("#verdict .figures dd"), 4);
        assert_eq!(browser.shown("#growth"), u64::from(has_script));
        assert_eq!(browser.shown("#contents"), u64::from(has_script));
        assert_eq!(browser.complaints(), [""; 0]);
    }
}

#[test]
fn hostile_text_is_inert() {
    in_each_window(&incident::hostile(), |browser, width| {
        assert_eq!(
            browser.number("document.documentElement.scrollWidth"),
            f64::from(width),
            "nothing sticks out"
        );
        browser.click("#rows-table [data-row=\"0\"] .fold");
        browser.click("#caches-table [data-row=\"0\"] .fold");
        browser.click("#growth [data-lines=rows]");
        browser.hover("#stacks .frame:last-child", 0.5);
        assert_eq!(browser.shown("img, iframe, object, [onerror]"), 0);
        assert!(browser.evaluate("window.pwned === undefined").as_bool().unwrap());
        assert_eq!(browser.number("document.scripts.length"), 3.0);
        // As on a terminal: what turns text around, and what is no text, is written out.
        let shown = browser.evaluate("document.body.innerText");
        let shown = shown.as_str().unwrap();
        assert!(!shown.contains(['\u{202e}', '\u{2028}', '\u{1b}']));
        assert!(shown.contains("\\u{202e}") && shown.contains("<img src=x onerror="));
    });
}

#[test]
fn large_pages_draw_what_can_be_seen() {
    in_each_window(&incident::large(), |browser, width| {
        assert_eq!(browser.shown("#rows-table tbody tr[data-row]"), 20);
        browser.click("#rows .more");
        assert_eq!(browser.shown("#rows-table tbody tr[data-row]"), 1000);
        browser.click("#rows-table thead th.growth_per_s button");
        browser.click("#rows .more");
        assert_eq!(browser.shown("#rows-table tbody tr[data-row]"), 20);
        browser.click("#growth [data-lines=rows]");
        let points = "Math.max(...[...document.querySelectorAll('#growth path.plotted')].map((path) => path.getAttribute('d').split('L').length))";
        assert!(
            browser.number(points) <= 2.0 * f64::from(width) + 4.0,
            "fewer points than were recorded, in narrow windows"
        );
        let frames = browser.shown("#stacks .frame");
        assert!((20..8_000).contains(&frames), "{frames} of 100,000 frames");
    });
}

/// A damaged or hostile recording may have them.
#[test]
fn absurd_figures_stop_nothing() {
    let mut absurd = incident::incident();
    for point in &mut absurd.series.points {
        point.elapsed *= 1 << 30;
        point.slab = Some(u64::MAX);
    }
    absurd.series.points[0].time += std::time::Duration::from_secs(1 << 40);
    absurd.series.caches[0].bytes[7] = u64::MAX;
    absurd.series.rows[0].objects.truncate(3);
    absurd.profile.samples[0].bytes = u64::MAX;
    absurd.profile.samples[1].frames = vec!["again [curl]".to_owned(); 2_000];
    in_each_window(&absurd, |browser, _| {
        assert_eq!(browser.shown("#growth svg[role=img]"), 1);
        browser.drag("#growth .chart svg", 0.4, 0.6);
        browser.click("#growth [data-lines=rows]");
        browser.click("#stacks [data-unit=objects]");
        assert!(browser.shown("#stacks .frame") > 10);
    });
}

#[test]
fn nothing_to_tell_is_told() {
    in_each_window(&incident::empty(), |browser, _| {
        assert!(browser.text("#verdict").contains("too early"));
        assert!(browser.text("#rows").contains("No allocations seen"));
        assert_eq!(browser.shown("#growth, #stacks, #directories, #ages"), 0);
    });
}

/// The script writes what the cursor and the zoom come to; Rust writes everything else.
#[test]
fn figures_are_written_as_in_rust() {
    let Some(mut browser) = Browser::start() else { return };
    browser.open("");
    let mut in_script = |function: &str, numbers: &[f64]| -> Vec<String> {
        let script = format!("(() => {{ {FIGURES} return {numbers:?}.map({function}); }})()");
        serde_json::from_value(browser.evaluate(&script)).unwrap()
    };
    // Around each power and each rounding; beyond 2^53 a script has no exact integers.
    let bounds = [1024_f64, 1000.0].into_iter().flat_map(|base| (0..5).map(move |power| base.powi(power)));
    let integers = bounds.flat_map(|bound| {
        [
            0.94, 0.95, 0.96, 0.999_4, 0.999_5, 0.999_9, 1.0, 1.04, 1.05, 1.06, 1.5, 9.95, 10.5, 99.94,
            99.95, 99.96, 500.5,
        ]
        .map(|factor| (bound * factor).floor())
    });
    let integers: Vec<f64> = integers.collect();
    let shares: Vec<f64> =
        (0..=1000).map(|n| f64::from(n) / 1000.0).chain([-1.0, 2.0, 0.004, 0.9951]).collect();
    let rust = |numbers: &[f64], written: &dyn Fn(f64) -> String| {
        numbers.iter().map(|n| written(*n)).collect::<Vec<_>>()
    };
    assert_eq!(in_script("bytes", &integers), rust(&integers, &|n| human::bytes(n as u64)));
    assert_eq!(in_script("count", &integers), rust(&integers, &|n| human::count(n as u64)));
    assert_eq!(in_script("grouped", &integers), rust(&integers, &|n| human::grouped(n as u64)));
    let duration = |ms: f64| human::duration(Duration::from_millis(ms as u64));
    assert_eq!(in_script("duration", &integers), rust(&integers, &duration));
    assert_eq!(in_script("percent", &shares), rust(&shares, &human::percent));
}
