use insta::assert_snapshot;
use proptest::prelude::*;
use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::{
    output::sample,
    top::{fixture, history::Moment, keys, mouse, press::press},
    view::{By, Sort},
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn drawing(colours: Colours) -> Drawing {
    Drawing { colours, step: None }
}

fn buffer(state: &State, history: &History, (width, height): (u16, u16), drawing: Drawing) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, history, drawing)).unwrap();
    terminal.backend().buffer().clone()
}

/// What stands on the screen; the line that is selected between arrows.
fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let line = |y| {
        let mut text = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            text += symbol;
            x += u16::try_from(width::cells(symbol).max(1)).unwrap();
        }
        let is_selected = buffer[(area.width - 1, y)].modifier.contains(Modifier::REVERSED);
        format!("{}{}\n", text.trim_end(), if is_selected { "  ←" } else { "" })
    };
    (0..area.height).map(line).collect()
}

fn after(history: &History, script: &str, (width, height): (u16, u16)) -> State {
    let mut state = State::new(By::Comm.into(), Sort::Bytes);
    let area = Rect::new(0, 0, width, height);
    for key in keys::script(script) {
        let seen = seen(area, &state, history);
        press(&mut state, key, seen);
    }
    state
}

fn screen(history: &History, script: &str, size: (u16, u16)) -> String {
    text(&buffer(&after(history, script, size), history, size, drawing(Colours::Plain)))
}

/// All views in three windows.
#[test]
fn views() {
    let history = fixture::session(40);
    for size in SIZES {
        for (number, view) in (1..).zip(View::ALL) {
            let name = format!("{}_{}x{}", view.title(), size.0, size.1);
            assert_snapshot!(name, screen(&history, &number.to_string(), size));
        }
    }
}

#[test]
fn the_page_of_a_row() {
    assert_snapshot!(screen(&fixture::session(40), "<Enter>", (80, 40)));
}

#[test]
fn the_page_of_a_cache() {
    assert_snapshot!(screen(&fixture::session(40), "2<Enter>", (80, 40)));
}

#[test]
fn help() {
    assert_snapshot!(screen(&fixture::session(2), "?", (80, 30)));
}

#[test]
fn a_moment_back_with_a_baseline() {
    let mut history = fixture::session(40);
    history.add_marks(vec![crate::top::history::Mark { moment: 12, label: b"deploy".to_vec() }]);
    assert_snapshot!(screen(&history, "{}{B<End><Left><Left>", (80, 24)));
}

#[test]
fn a_prompt_and_what_it_finds() {
    let history = fixture::session(12);
    assert_snapshot!(screen(&history, "/post", (80, 14)));
    let last = |script| screen(&history, script, (80, 14)).lines().last().unwrap().to_owned();
    assert_snapshot!(
        ["b", "cden", "gpe", "mdep", "wa.c", "/x<Enter>", "/post<Enter>", "bz", "gx<Enter>"]
            .map(last)
            .join("\n")
    );
}

#[test]
fn a_recording_that_is_read() {
    let history = fixture::recording(40);
    let state = after(&history, "<Left>", (80, 14));
    let step = Some(Step { doing: "reading", done: 21, all: 100 });
    let drawing = Drawing { step, ..drawing(Colours::Plain) };
    assert_snapshot!(text(&buffer(&state, &history, (80, 14), drawing)));
}

#[test]
fn too_small_a_window_says_so() {
    let history = fixture::session(3);
    assert_snapshot!(screen(&history, "", (30, 5)), @r"
    memtrace needs 40x10; this
    window has 30x5
    ");
    assert_snapshot!(screen(&history, "", (40, 10)));
}

#[test]
fn the_selected_line_is_in_sight() {
    let mut history = History::live();
    history.add(Moment { snapshot: sample::crowd(), memory: None });
    let down = "<Down>".repeat(14);
    assert_snapshot!(screen(&history, &down, (80, 16)));
}

#[test]
fn names_from_outside_do_nothing() {
    let mut history = History::live();
    history.add(Moment { snapshot: sample::hostile(), memory: None });
    for script in ["", "<Enter>", "2", "2<Enter>", "3", "4", "5", "6"] {
        let screen = screen(&history, script, (120, 40));
        assert!(!screen.chars().any(|c| c.is_control() && c != '\n'), "{screen:?}");
    }
    assert_snapshot!(screen(&history, "", (100, 16)));
}

#[test]
fn no_colour_means_none() {
    let history = fixture::session(40);
    for script in ["1", "2", "3", "4", "5", "6", "<Enter>", "?", " ", "/x", "bz"] {
        let state = after(&history, script, (80, 24));
        let plain = buffer(&state, &history, (80, 24), drawing(Colours::Plain));
        assert!(plain.content().iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
        let coloured = buffer(&state, &history, (80, 24), drawing(Colours::Colour));
        assert_eq!(text(&plain), text(&coloured), "colours change nothing else");
        assert!(coloured.content().iter().all(|cell| cell.bg == Color::Reset), "on any ground");
    }
    let alarm = buffer(&after(&history, "", (80, 24)), &history, (80, 24), drawing(Colours::Colour));
    assert!(alarm.content().iter().any(|cell| cell.fg == Color::Red), "a verdict strikes the eye");
}

/// A click on the first cell that shows this.
fn click(history: &History, state: &mut State, words: &str, size: (u16, u16)) {
    let screen = text(&buffer(state, history, size, drawing(Colours::Plain)));
    let (row, line) = screen.lines().enumerate().find(|(_, line)| line.contains(words)).expect(words);
    let column = width::cells(&line[..line.find(words).unwrap()]);
    click_at(history, state, (column as u16, row as u16), size);
}

fn click_at(history: &History, state: &mut State, cell: (u16, u16), (width, height): (u16, u16)) {
    let area = Rect::new(0, 0, width, height);
    if let Some(target) = target(area, state, history, cell) {
        let seen = seen(area, state, history);
        let _ = mouse::click(state, target, seen);
    }
}

#[test]
fn a_click_is_for_what_stands_there() {
    let history = fixture::session(40);
    for size in SIZES {
        let mut state = after(&history, "", size);
        click(&history, &mut state, "2 caches 3", size);
        assert_eq!(state.view, View::Caches);
        click(&history, &mut state, "filp", size);
        assert_eq!((state.selection().at, state.pages.len()), (1, 0));
        click(&history, &mut state, "filp", size);
        assert_eq!(state.pages, [crate::top::state::Page::Cache("filp".to_owned())]);
        click(&history, &mut state, "6 host", size);
        assert_eq!((state.view, state.pages.len()), (View::Host, 0));
        // On the bar, which is above its marks and its times.
        click_at(&history, &mut state, (3, size.1 - 4), size);
        assert_eq!(state.at, Some(3));
        click_at(&history, &mut state, (size.0 - 1, size.1 - 4), size);
        assert_eq!(state.at, Some(3), "nothing is there");
    }
}

#[test]
fn the_wheel_moves_lines_and_texts() {
    let mut history = History::live();
    history.add(Moment { snapshot: sample::crowd(), memory: None });
    let mut state = after(&history, "", (80, 24));
    let area = Rect::new(0, 0, 80, 24);
    for (key, expect) in [(keys::Key::Down, 3), (keys::Key::Down, 6), (keys::Key::Up, 3)] {
        let seen = seen(area, &state, &history);
        assert_eq!(mouse::turn_wheel(&mut state, key, seen), None);
        assert_eq!(state.selection().at, expect);
    }
}

proptest! {
    #[test]
    fn any_click_is_taken(
        size in (1_u16..220, 1_u16..70),
        cells in prop::collection::vec((0_u16..220, 0_u16..70), 1..5),
        keys in "[1-6B?/b <Enter>]{0,4}",
    ) {
        let history = fixture::session(30);
        let mut state = after(&history, &keys, size);
        for cell in cells {
            click_at(&history, &mut state, cell, size);
            prop_assert!(!screen(&history, "", size).is_empty());
        }
    }

    #[test]
    fn any_window_can_be_drawn(width in 1_u16..310, height in 1_u16..110, view in 0_usize..6, keys in "[1-6 B?<>r/xj]{0,5}") {
        let history = fixture::session(30);
        let script = format!("{}{keys}", view + 1);
        let screen = screen(&history, &script, (width, height));
        prop_assert_eq!(screen.lines().count(), usize::from(height));
    }
}

/// A command line of a path that is longer than the window is wide can still be copied.
#[test]
fn all_of_a_message_is_shown() {
    let history = fixture::session(40);
    let mut state = after(&history, "", SIZES[0]);
    let path = format!("/{}", "a/long/path/".repeat(10));
    state.message = Some(format!("memtrace top {path}r.mt --by comm --sort bytes"));
    let shown = text(&buffer(&state, &history, SIZES[0], drawing(Colours::Plain)));
    let foot: Vec<_> = shown.lines().skip(SIZES[0].1 as usize - 4).collect();
    assert!(foot[0].starts_with("memtrace top"), "{shown}");
    assert!(foot.concat().ends_with(&format!("{path}r.mt--by comm --sort bytes")), "{shown}");
}
