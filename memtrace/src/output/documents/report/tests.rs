use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::{
    output::{
        model::BOUND,
        render::terminal::{self, Frame, Line, Style},
        sample,
    },
    text::width,
    view::{AgeBucket, CacheTotals, Cohort, Sort, reconcile},
};

fn wide(width: usize) -> Frame {
    Frame::wide(width)
}

fn render(snapshot: &Snapshot, frame: Frame, style: Style) -> String {
    terminal::text(&block(snapshot), frame, style)
}

fn lines(snapshot: &Snapshot, frame: Frame) -> Vec<Line> {
    terminal::lines(&block(snapshot), frame)
}

fn plain(snapshot: &Snapshot, frame: Frame) -> String {
    render(snapshot, frame, Style::Plain)
}

#[test]
fn one_cache_with_names() {
    assert_snapshot!(plain(&sample::dentry(), wide(100)));
}

#[test]
fn what_was_there_before() {
    assert_snapshot!(plain(&sample::after_a_wreck(), wide(80)));
    let going_on = Snapshot { is_final: false, ..sample::after_a_wreck() };
    let said = |snapshot: &Snapshot| plain(snapshot, wide(80)).matches("already there: ").count();
    assert_eq!((said(&going_on), said(&sample::verdict())), (1, 0));
}

#[test]
fn in_a_file() {
    assert_snapshot!(plain(&sample::dentry(), Frame::default()));
}

#[test]
fn eighty_columns() {
    assert_snapshot!(plain(&sample::dentry(), wide(80)));
}

#[test]
fn forty_columns() {
    assert_snapshot!(plain(&sample::dentry(), wide(40)));
}

#[test]
fn without_names() {
    let mut snapshot = sample::dentry();
    snapshot.rows.iter_mut().for_each(|row| row.names.clear());
    snapshot.notes = vec!["names are unavailable on this host: fexit is refused (EPERM)".to_owned()];
    assert_snapshot!(plain(&snapshot, wide(80)));
}

#[test]
fn by_pid() {
    assert_snapshot!(plain(&sample::by_pid(), wide(100)));
}

#[test]
fn who_started_whom() {
    assert_snapshot!(plain(&sample::started(), wide(160)));
}

#[test]
fn calls_that_led_to_it() {
    assert_snapshot!(plain(&sample::stacks(), wide(120)));
}

#[test]
fn who_leaks() {
    assert_snapshot!(plain(&sample::verdict(), wide(120)));
}

#[test]
fn several_findings() {
    assert_snapshot!(tail(&sample::findings(), true));
    // Live, the advice is not repeated in each block.
    assert_snapshot!(tail(&sample::findings(), false));
}

#[test]
fn nobody_is_accused() {
    assert_snapshot!(tail(&sample::too_few(), true));
    assert_snapshot!(tail(&sample::only_caches(), true));
    assert_snapshot!(tail(&sample::ended(), true));
    // Both.
    let mut both = sample::ended();
    let few = sample::too_few().verdict.and_then(|verdict| verdict.too_few);
    both.verdict.as_mut().expect("it has one").too_few = few;
    assert_snapshot!(tail(&both, true));
}

/// From the verdict on.
fn tail(snapshot: &Snapshot, is_final: bool) -> String {
    let text = plain(&Snapshot { is_final, ..snapshot.clone() }, wide(120));
    text[text.find("verdict:").expect("there is one")..].to_owned()
}

#[test]
fn by_circumstances() {
    assert_snapshot!(plain(&sample::by_circumstances(), wide(140)));
}

#[test]
fn by_several() {
    assert_snapshot!(plain(&sample::by_several(), wide(140)));
}

#[test]
fn many_caches_by_comm() {
    assert_snapshot!(plain(&sample::caches(By::Comm), wide(100)));
}

#[test]
fn many_caches_by_cache() {
    assert_snapshot!(plain(&sample::caches(By::Cache), wide(80)));
}

/// The trust line of caches with this growth by slabinfo and by what was traced.
fn trust_line(growths: &[(&str, i64, i64)]) -> String {
    let grown = |&(name, slabinfo, traced): &(&str, i64, i64)| CacheTotals {
        growth: Some(sample::growth(slabinfo, traced)),
        ..sample::cache(name, 192, 0, 0)
    };
    let mut snapshot = sample::dentry();
    snapshot.caches = growths.iter().map(grown).collect();
    snapshot.trust.slabinfo_agreement = reconcile::agreement(&snapshot.caches);
    let text = trust::summary(&snapshot).replace(BOUND, " ");
    let (_, text) = text.split_once("2,444,938 events, 0 lost").unwrap();
    text.strip_suffix(" · 12 frees of other objects").unwrap().to_owned()
}

#[test]
fn the_trust_line_begins_with_what_to_care_about() {
    let said = |change: fn(&mut Snapshot)| {
        let mut snapshot = sample::dentry();
        change(&mut snapshot);
        trust::facts(&snapshot)[0].replace(BOUND, " ")
    };
    assert_eq!(said(|_| {}), "fine");
    assert_eq!(said(|snapshot| snapshot.trust.lost_names = 9), "fine");
    assert_eq!(said(|snapshot| snapshot.trust.lost_frees = 24), "fine, to within 24 objects");
    assert_eq!(said(|snapshot| snapshot.trust.lost_frees = 1_234), "counts may be up to 1,234 too high");
    assert_eq!(said(|snapshot| snapshot.trust.refused = 70), "counts may be up to 70 too low");
    assert_eq!(
        said(|snapshot| snapshot.trust.recursion_misses = 30),
        "counts may be up to 30 too high or too low"
    );
    assert_eq!(said(|snapshot| snapshot.trust.reused_pointers = 3), "fine");
    assert_eq!(said(|snapshot| snapshot.trust.reused_pointers = 3_000), "counts may be too high");
    assert_eq!(said(|snapshot| *snapshot = sample::partial(By::Comm)), "fine, but for what is partial");
    let by_slabinfo = |slabinfo, traced| {
        let mut snapshot = sample::dentry();
        snapshot.caches = vec![CacheTotals {
            growth: Some(sample::growth(slabinfo, traced)),
            ..sample::cache("dentry", 192, 0, 0)
        }];
        trust::facts(&snapshot)[0].replace(BOUND, " ")
    };
    assert_eq!(by_slabinfo(12_000, 3_000), "counts may be too low");
    assert_eq!(by_slabinfo(146, 96_065), "counts may be too high");
    // A sampled event stands for many.
    let sampled = |snapshot: &mut Snapshot| {
        (snapshot.sampling.period, snapshot.trust.lost_frees) = (64, 2);
    };
    assert_eq!(said(sampled), "counts may be up to 128 too high");
}

/// Whoever sees it first on a terminal of the usual size finds who, how fast, where, and whether it is true.
#[test]
fn the_first_screen() {
    let mut snapshot = sample::crowd();
    snapshot.verdict = sample::verdict().verdict;
    snapshot.notes = vec!["names are a sample, read from surviving dentries: no fexit".to_owned(); 3];
    let screen = plain(&snapshot, Frame { width: Some(80), height: Some(23) });
    let rows = screen.lines().filter(|line| line.starts_with("worker-")).count();
    assert!(rows >= 8 && screen.lines().any(|line| line.starts_with("trust: ")), "{screen}");
    assert_snapshot!(screen);
}

#[test]
fn the_trust_line_says_how_well_slabinfo_agrees() {
    assert_snapshot!(trust_line(&[]), @"");
    // Too little, for a slabinfo that may be wrong by 100.
    assert_snapshot!(trust_line(&[("dentry", 500, 450)]), @"");
    assert_snapshot!(trust_line(&[("dentry", 17_600, 17_530)]), @" · slabinfo agrees within 0.4%");
    assert_snapshot!(trust_line(&[("dentry", 17_600, 17_600)]), @" · slabinfo agrees within 0.1%");
    assert_snapshot!(trust_line(&[("dentry", -10_000, -9_900), ("filp", 1000, 1001)]), @" · slabinfo agrees within 1%");
    assert_snapshot!(trust_line(&[("dentry", 1000, 901)]), @" · slabinfo agrees within 9.9%");
    assert_snapshot!(
        trust_line(&[("filp", 1000, 0), ("dentry", 12_000, 3_000)]),
        @" · slabinfo +12,000 dentry, traced +3,000: 9,000 unexplained"
    );
    assert_snapshot!(trust_line(&[("dentry", 146, -96_065)]), @" · slabinfo +146 dentry, traced -96,065: 96,211 unexplained");
}

#[test]
fn untraced_frees_by_cache() {
    assert_snapshot!(plain(&sample::partial(By::Cache), wide(80)));
}

#[test]
fn untraced_frees_by_comm() {
    assert_snapshot!(plain(&sample::partial(By::Comm), wide(120)));
}

#[test]
fn untraced_frees_of_one_cache_in_a_narrow_window() {
    let mut snapshot = sample::partial(By::Comm);
    snapshot.caches.truncate(1);
    snapshot.rows.iter_mut().for_each(|row| row.partial_objects = row.objects);
    assert_snapshot!(plain(&snapshot, wide(46)));
}

#[test]
fn merged_aliases() {
    let mut snapshot = sample::dentry();
    snapshot.caches = vec![sample::caches(By::Cache).caches.swap_remove(1)];
    snapshot.rows.truncate(1);
    assert_snapshot!(plain(&snapshot, wide(80)));
}

#[test]
fn many_aliases_are_counted() {
    let mut snapshot = sample::dentry();
    snapshot.caches[0].aliases = (0..40).map(|n| format!("alias_{n}")).collect();
    snapshot.rows.truncate(1);
    assert_snapshot!(plain(&snapshot, wide(80)));
}

#[test]
fn more_rows_than_top() {
    assert_snapshot!(plain(&sample::crowd(), wide(80)));
}

#[test]
fn more_rows_than_the_window() {
    assert_snapshot!(plain(&sample::crowd(), Frame { width: Some(80), height: Some(16) }));
}

#[test]
fn estimates_have_their_error() {
    assert_snapshot!(plain(&sample::sampled(), wide(100)));
}

#[test]
fn estimates_in_eighty_columns() {
    assert_snapshot!(plain(&sample::sampled(), wide(80)));
}

#[test]
fn tiny_window() {
    assert_snapshot!(plain(&sample::crowd(), Frame { width: Some(80), height: Some(6) }));
}

#[test]
fn tiny_window_of_a_session_that_lost_events() {
    assert_snapshot!(plain(&sample::lossy(), Frame { width: Some(60), height: Some(9) }));
}

#[test]
fn final_block() {
    let snapshot = sample::final_dentry();
    assert_snapshot!(plain(&snapshot, wide(100)));
}

#[test]
fn lost_events() {
    assert_snapshot!(plain(&sample::lossy(), wide(80)));
}

#[test]
fn events_unaccounted_for_at_the_end() {
    let mut snapshot = sample::lossy();
    snapshot.trust.applied -= 1;
    assert!(plain(&snapshot, wide(200)).contains("3 events unaccounted for"));
    // On the way, they may still be in the ring.
    snapshot.is_final = false;
    assert!(!plain(&snapshot, wide(200)).contains("unaccounted"));
}

#[test]
fn hostile_names() {
    assert_snapshot!(plain(&sample::hostile(), wide(100)));
}

#[test]
fn nothing_yet() {
    assert_snapshot!(plain(&sample::empty(), wide(80)));
}

#[test]
fn nothing_at_the_end() {
    let snapshot = Snapshot {
        is_final: true,
        caches: vec![CacheTotals { ..sample::cache("dentry", 192, 0, 81) }],
        ..sample::empty()
    };
    assert_snapshot!(plain(&snapshot, wide(80)));
}

#[test]
fn nothing_known() {
    let snapshot = Snapshot { caches: Vec::new(), meminfo: None, ..sample::empty() };
    assert_snapshot!(plain(&snapshot, wide(80)));
}

#[test]
fn oldest_first() {
    let snapshot = Snapshot { older: Some(Duration::from_secs(10)), sort: Sort::Age, ..sample::dentry() };
    assert_snapshot!(plain(&snapshot, wide(60)));
}

#[test]
fn colours() {
    let painted = render(&sample::lossy(), wide(60), Style::Colour);
    assert_snapshot!(painted.replace('\x1b', "ESC"));
}

#[test]
fn colours_add_nothing_but_colour() {
    for snapshot in sample::all() {
        let mut screen = sample::terminal(100, 80);
        let painted = render(&snapshot, wide(80), Style::Colour).replace('\n', "\r\n");
        screen.process(painted.as_bytes());
        assert_eq!(screen.screen().contents().trim_end(), plain(&snapshot, wide(80)).trim_end());
    }
}

#[test]
fn columns_stand_still_while_figures_move() {
    let before = sample::dentry();
    let mut after = before.clone();
    after.rows[0].objects = 1_999_999;
    after.rows[0].bytes = 7;
    after.rows[0].growth_per_s = -0.3;
    after.rows[0].oldest = Some(Duration::from_secs(86_399));
    after.rows.truncate(1);
    after.rows[0].names[0].pattern = b"x".to_vec();
    let head = |snapshot: &Snapshot| {
        let lines = lines(snapshot, wide(80));
        lines.iter().find(|line| line.text().starts_with("COMM ")).map(|line| line.text().to_owned())
    };
    assert_eq!(head(&before), head(&after));
}

proptest! {
    /// Nor is it said to be more than it can be.
    #[test]
    fn a_loss_is_fine_only_where_it_is_small(lost in 0_u64..1 << 40, period in 1_u32..1024, held in 0_u64..1 << 40) {
        let mut snapshot = sample::dentry();
        snapshot.caches[0].outstanding_objects = held;
        (snapshot.trust.lost_frees, snapshot.sampling.period) = (lost, period);
        let said = trust::facts(&snapshot)[0].replace(BOUND, " ");
        let most = lost * u64::from(period);
        prop_assert_eq!(said.starts_with("fine"), most <= held / 1_000);
        prop_assert!(most == 0 || said.contains(&human::grouped(most)), "{}", said);
    }

    #[test]
    fn every_block_fits_its_frame(which in 0..sample::all().len(), width in 1_usize..140, height in 1_usize..60) {
        let snapshot = &sample::all()[which];
        let block = lines(snapshot, Frame { width: Some(width), height: Some(height) });
        prop_assert!(block.len() <= height);
        for line in &block {
            prop_assert!(width::cells(line.text()) <= width, "{}", line.text());
            prop_assert!(!line.text().chars().any(char::is_control), "{}", line.text());
        }
        prop_assert!(block[0].text().starts_with("memtrace") || width < 8);
    }

    #[test]
    fn any_key_and_name_is_harmless(key in any::<Vec<u8>>(), name in any::<Vec<u8>>(), width in 20_usize..140) {
        let mut snapshot = sample::final_dentry();
        snapshot.rows[0].keys = vec![key];
        snapshot.rows[0].names[0].pattern = name;
        for line in lines(&snapshot, wide(width)) {
            prop_assert!(width::cells(line.text()) <= width);
            prop_assert!(!line.text().chars().any(char::is_control));
        }
    }

    #[test]
    fn hidden_rows_are_counted(height in 8_usize..60) {
        let snapshot = sample::crowd();
        let block = plain(&snapshot, Frame { width: Some(80), height: Some(height) });
        let shown = block.lines().filter(|line| line.starts_with("worker-")).count();
        let more = format!("… {} more", 20 - shown + 30);
        prop_assert!(shown > 0 && block.contains(&more), "{}", block);
    }
}

/// After a month; somebody came late.
#[test]
fn ages_and_generations_of_a_month() {
    let mut snapshot = sample::final_dentry();
    let day = Duration::from_secs(86_400);
    let ends =
        [1, 3, 10, 30, 60, 180, 600, 1_800, 3_600, 10_800, 36_000, 86_400, 259_200, 864_000, 2_592_000];
    let ends = ends.map(Duration::from_secs);
    let starts = [Duration::ZERO].into_iter().chain(ends);
    snapshot.ages = starts
        .zip(ends.into_iter().map(Some).chain([None]))
        .map(|(at_least, less_than)| AgeBucket {
            at_least,
            less_than,
            objects: at_least.as_secs(),
            bytes: 1 << 40,
        })
        .collect();
    let parts = |survivors: u64| -> Vec<Cohort> {
        let part = |n| Cohort { from: day * n * 4, to: day * (n + 1) * 4, allocs: 9_999_999, survivors };
        (0..8).map(part).collect()
    };
    snapshot.cohorts = parts(9_999_998);
    snapshot.rows[0].cohorts = parts(5_000_000);
    snapshot.rows[1].cohorts = parts(0);
    snapshot.rows[1].cohorts[..5].iter_mut().for_each(|part| part.allocs = 0);
    let text = plain(&snapshot, wide(80));
    let from = text.find("\nAGE").unwrap();
    assert_snapshot!(&text[from..text.find("\nDIRECTORY").unwrap()]);
}

/// In a script the answer was nobody.
#[test]
fn what_a_process_held_until_the_end() {
    let mut snapshot = sample::final_dentry();
    snapshot.rows.truncate(1);
    let row = &mut snapshot.rows[0];
    (row.objects, row.bytes, row.frees, row.objects_until_end) = (0, 0, row.allocs, 600);
    let text = plain(&snapshot, wide(80));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("freed since as the process ended: curl 600"), "{text}");
    let head = text.lines().find(|line| line.starts_with("COMM")).unwrap();
    assert!(head.contains("UNTIL END"), "{head}");
}
