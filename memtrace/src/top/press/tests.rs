use super::*;
use crate::{
    top::{fixture, keys, state::Page},
    view::By,
};

/// What a user sees at a window of 80x24.
fn seen(history: &History) -> Seen<'_> {
    Seen { history, width: 80, height: 15 }
}

/// The state after these keys, and what the last of them asked for.
fn after(history: &History, script: &str) -> (State, Option<Ask>) {
    let mut state = State::new(By::Comm.into(), Sort::Bytes);
    let mut ask = None;
    keys::script(script).into_iter().for_each(|key| ask = press(&mut state, key, seen(history)));
    (state, ask)
}

/// A state in a line: what is not as it was at the beginning.
fn summary((state, ask): (State, Option<Ask>)) -> String {
    let mut words = vec![format!("{} by {}", state.view.title(), state.by.names())];
    let mut say = |is_other: bool, word: String| words.extend(is_other.then_some(word));
    say(state.sort != Sort::Bytes, format!("sort {}", state.sort.into_str()));
    say(state.is_reversed, "reversed".to_owned());
    say(!state.filter.is_empty(), format!("filter {:?}", state.filter));
    say(!state.caches.is_empty(), format!("caches {}", state.caches.join(",")));
    for page in &state.pages {
        say(
            true,
            match page {
                Page::Row(keys) => format!("page of {}", String::from_utf8_lossy(&keys.join(&b", "[..]))),
                Page::Cache(name) => format!("page of cache {name}"),
            },
        );
    }
    say(state.selection().at > 0, format!("line {}", state.selection().at));
    say(state.scroll > 0, format!("scroll {}", state.scroll));
    say(state.has_help, "help".to_owned());
    say(state.from_outermost, "from outermost".to_owned());
    say(state.follows, "follows".to_owned());
    say(state.at.is_some(), format!("at {}", state.at.unwrap_or(0)));
    if let Some((number, _)) = &state.baseline {
        say(true, format!("since {number}"));
    }
    if let Some(prompt) = &state.prompt {
        say(true, format!("{:?}: {:?}", prompt.asks, prompt.text));
    }
    say(state.message.is_some(), format!("says {:?}", state.message.unwrap_or_default()));
    say(ask.is_some(), format!("asks {ask:?}"));
    words.join(", ")
}

#[track_caller]
fn check(history: &History, script: &str, expect: &str) {
    assert_eq!(summary(after(history, script)), expect, "{script}");
}

#[test]
fn the_mouse_is_the_terminals_until_it_is_wanted() {
    let history = fixture::session(3);
    let (state, ask) = after(&history, "M");
    assert!(state.has_mouse && ask == Some(Ask::Mouse(true)));
    let (state, ask) = after(&history, "MM");
    assert!(!state.has_mouse && ask == Some(Ask::Mouse(false)));
}

#[test]
fn keys_show_views_and_pages() {
    let history = fixture::session(10);
    check(&history, "", "who by comm");
    check(&history, "2", "caches by comm");
    check(&history, "<Tab><Tab>", "directories by comm");
    check(&history, "<BackTab>", "host by comm");
    check(&history, "<Enter>", "who by comm, page of curl");
    check(&history, "<Down><Enter>", "who by comm, page of postgres, line 1");
    check(&history, "jjk<Enter><Esc>", "who by comm, line 1");
    check(&history, "<Down><Down><Down><Down>", "who by comm, line 2");
    check(&history, "<Down>2<Down>1", "who by comm, line 1");
    check(&history, "2<Down><Enter>", "caches by comm, page of cache filp, line 1");
    check(&history, "2<Enter>1", "who by comm");
    check(&history, "<Enter><Down><Down>", "who by comm, page of curl, scroll 2");
    check(&history, "<Enter><PageDown><Esc>", "who by comm");
    check(&history, "?", "who by comm, help");
    check(&history, "?x", "who by comm");
    check(&history, "4i", "stacks by comm, from outermost");
    check(&history, "q", "who by comm, asks Some(Quit)");
    check(&history, "Z§<Esc>", "who by comm");
}

#[test]
fn keys_choose() {
    let history = fixture::session(10);
    check(&history, ">", "who by comm, sort objects, asks Some(Look)");
    check(&history, "<", "who by comm, sort age, asks Some(Look)");
    check(&history, "<>", "who by comm, asks Some(Look)");
    check(&history, "r", "who by comm, reversed");
    check(&history, "bg", "who by cgroup, asks Some(Look)");
    check(&history, "bgbC", "who by cgroup,comm, asks Some(Look)");
    check(&history, "b", "who by comm, Group: \"\"");
    check(&history, "b<Esc>", "who by comm");
    check(&history, "bz", "who by comm, says \"nothing is grouped by z\"");
    check(&history, "/post", "who by comm, Filter: \"post\"");
    check(&history, "/post<Enter>", "who by comm, filter \"post\"");
    check(&history, "/post<Enter><Enter>", "who by comm, filter \"post\", page of postgres");
    check(&history, "/post<Enter>/<C-u>curl<Backspace><Enter>", "who by comm, filter \"cur\"");
    check(&history, "/post<Enter><Esc>", "who by comm");
    check(&history, "/post<Esc>", "who by comm");
    check(&history, "/nobody<Enter><Enter>", "who by comm, filter \"nobody\"");
    check(&history, "cden*, filp<Enter>", "who by comm, caches den*,filp, asks Some(Look)");
    check(
        &history,
        "c[<Enter>",
        "who by comm, says \"'[' is not a valid glob pattern: Pattern syntax error near position 0: invalid range pattern\"",
    );
}

#[test]
fn a_branch_opens_and_closes() {
    let history = fixture::session(3);
    let closed = |script| after(&history, script).0.turned.into_iter().collect::<Vec<_>>();
    assert_eq!(closed("3<Enter>"), [b""; 0], "there is nothing in it");
    assert_eq!(closed("3<Down><Enter>"), [b"/usr/lib"]);
    assert_eq!(closed("3<Down><Enter><Enter>"), [b""; 0]);
}

#[test]
fn keys_go_through_the_time_of_a_session() {
    let history = fixture::session(200);
    check(&history, " ", "who by comm, at 199");
    check(&history, "  ", "who by comm");
    check(&history, "<Left><Left>", "who by comm, at 197");
    check(&history, "ttT", "who by comm, at 198");
    check(&history, "<Left><Right><Right>", "who by comm, at 199");
    check(&history, "{", "who by comm, at 139");
    check(&history, "{{}", "who by comm, at 139");
    check(&history, "{{{{{", "who by comm, at 0");
    check(&history, "<Home>", "who by comm, at 0");
    check(&history, "<Home><Left>", "who by comm, at 0");
    check(&history, "<Left><End>", "who by comm");
    check(&history, "g90s<Enter>", "who by comm, at 89");
    check(&history, "g-30s<Enter>", "who by comm, at 169");
    check(&history, "gpeak<Enter>", "who by comm, at 199");
    check(&history, "g2025-11-24T16:00:10Z<Enter>", "who by comm, at 9");
    check(&history, "g1h<Enter>", "who by comm, says \"that time is outside of what is remembered\"");
    check(&history, "gmark:x<Enter>", "who by comm, says \"no mark named 'x'\"");
    check(&history, "g<Enter>", "who by comm");
    // What was seen so far is not by cgroup: on with now.
    check(&history, "<Left>bg", "who by cgroup, asks Some(Look)");
}

#[test]
fn differences_have_a_baseline() {
    let history = fixture::session(50);
    check(&history, "<Left>B", "who by comm, at 48, since 48");
    check(&history, "B<Esc>", "who by comm");
    check(&history, "BB", "who by comm");
    check(&history, "Bbp", "who by pid, asks Some(Look)");
}

#[test]
fn keys_go_through_a_recording() {
    let mut history = fixture::recording(50);
    history.put(49, fixture::moment(50));
    check(&history, "<Left>", "who by comm, at 48, asks Some(Show(48))");
    check(&history, "<Left><Right>", "who by comm");
    check(&history, "<Home>", "who by comm, at 0, asks Some(Show(0))");
    check(&history, "g5s<Enter>", "who by comm, at 4, asks Some(Show(4))");
    check(&history, "gpeak<Enter>", "who by comm");
    check(&history, "f", "who by comm, follows, asks Some(Follow(true))");
    check(&history, "<Left>f", "who by comm, follows, asks Some(Follow(true))");
    // It is read anew, and the moment stays.
    check(&history, "<Left>bg", "who by cgroup, at 48, asks Some(Look)");
}

#[test]
fn what_is_kept_has_a_name() {
    let history = fixture::session(5);
    let mark = Ask::Mark(Mark { moment: 4, label: b"deploy 7".to_vec() });
    assert_eq!(after(&history, "mdeploy 7<Enter>").1, Some(mark));
    assert_eq!(after(&history, "wa.csv<Enter>").1, Some(Ask::Write(PathBuf::from("a.csv"))));
    assert_eq!(after(&history, "w<Enter>").1, None);
    assert_eq!(after(&history, "y").1, Some(Ask::CommandLine));
    assert_eq!(after(&history, "Ra.mt<Enter>").1, Some(Ask::Record(PathBuf::from("a.mt"))));
    assert_eq!(after(&history, "R<Enter>").1, None);
    let mut state = State { is_recorded: true, ..State::new(By::Comm.into(), Sort::Bytes) };
    assert_eq!(press(&mut state, Key::Char('R'), seen(&history)), Some(Ask::EndRecording));
    assert_eq!(after(&fixture::recording(5), "R").0.message.as_deref(), Some("this is a recording"));
}

#[test]
fn nothing_is_amiss_before_the_first_moment() {
    let history = History::live();
    for key in "123456 \u{7f}bBcfgijkmqrRtTwyhx/?<>{}".chars() {
        let mut state = State::new(By::Comm.into(), Sort::Bytes);
        press(&mut state, Key::Char(key), seen(&history));
    }
    for script in ["<Left>", "<Right>", "<Home>", "<End>", "<Enter>", "<Up>", "<PageDown>", "gpeak<Enter>"] {
        after(&history, script);
    }
}

mod any {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn any_key() -> impl Strategy<Value = Key> {
        prop_oneof![
            proptest::char::any().prop_map(Key::Char),
            proptest::char::range(' ', '~').prop_map(Key::Char),
            proptest::sample::select(keys::script(
                "<Enter><Esc><Tab><BackTab><Up><Down><Left><Right><PageDown><Home><End><Backspace><C-u>"
            )),
        ]
    }

    proptest! {
        /// Whatever is pressed, there is a next state, and what it shows can be drawn.
        #[test]
        fn keys_never_panic(keys in vec(any_key(), 0..40), recorded: bool) {
            let history = if recorded { fixture::recording(9) } else { fixture::session(9) };
            let mut state = State::new(By::Comm.into(), Sort::Bytes);
            for key in keys {
                press(&mut state, key, seen(&history));
                let number = state.number(&history);
                prop_assert!(number <= history.last());
                let _ = body::body(&state, &history, 80);
            }
        }
    }
}
