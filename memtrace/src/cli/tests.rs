//! Every text of the command line, as a person sees it in a window of 80 columns.

use clap::error::ErrorKind;

use super::*;

const WIDTH: usize = 80;

/// What `memtrace` answers to these arguments, and its exit code.
fn answer(line: &str) -> (String, i32) {
    let arguments = std::iter::once("memtrace").chain(line.split_whitespace());
    match definition().term_width(WIDTH).try_get_matches_from(arguments) {
        Ok(_) => panic!("{line:?} is right"),
        Err(error) => (error.render().to_string(), error.exit_code()),
    }
}

fn help(line: &str) -> String {
    let (text, code) = answer(line);
    assert_eq!(code, 0);
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "{line:?} is too long");
    }
    text
}

/// `name` of all commands' visible options.
fn long_options(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(|arg| arg.get_long());
    let own = own.map(|long| format!("--{long}"));
    own.chain(command.get_subcommands().flat_map(long_options)).collect()
}

#[test]
fn the_definition_is_sound() {
    definition().debug_assert();
}

#[test]
fn short_help() {
    insta::assert_snapshot!(help("-h"));
}

#[test]
fn long_help() {
    insta::assert_snapshot!(help("--help"));
}

#[test]
fn help_of_top() {
    insta::assert_snapshot!(help("top --help"));
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(help("run --help"));
}

#[test]
fn help_of_caches() {
    insta::assert_snapshot!(help("caches --help"));
}

#[test]
fn help_of_triage() {
    insta::assert_snapshot!(help("triage --help"));
}

#[test]
fn help_of_census() {
    insta::assert_snapshot!(help("census --help"));
}

#[test]
fn help_of_events() {
    insta::assert_snapshot!(help("events --help"));
}

#[test]
fn help_of_serve() {
    insta::assert_snapshot!(help("serve --help"));
}

#[test]
fn help_of_watch() {
    insta::assert_snapshot!(help("watch --help"));
}

#[test]
fn help_of_the_small_commands() {
    insta::assert_snapshot!(
        ["check", "explain", "completions", "man"]
            .map(|command| help(&format!("{command} --help")))
            .join("---\n")
    );
}

#[test]
fn usage_errors_name_the_option_and_say_what_would_do() {
    let mut texts = String::new();
    for (line, option) in [
        ("--by user", "--by"),
        ("--sort name", "--sort"),
        ("-o xml", "--output"),
        ("-i 0s", "--interval"),
        ("-i -5s", "--interval"),
        ("5m0", "[INTERVAL]"),
        ("1 0", "[COUNT]"),
        ("1 -i 2", "--interval"),
        ("-i 1000000d", "--interval"),
        ("-d soon", "--duration"),
        ("triage -d 10ms", "--duration"),
        ("triage -o xml", "--output"),
        ("census --by user", "--by"),
        ("census --error 0", "--error"),
        ("census --error 60%", "--error"),
        ("census --error few", "--error"),
        ("census --seed x", "--seed"),
        ("census --seed -1", "--seed"),
        ("census -t 0", "--top"),
        ("census -o csv", "--output"),
        ("--older 0ms", "--older"),
        ("--settle -1s", "--settle"),
        ("--sample 0", "--sample"),
        ("--sample 65537", "--sample"),
        ("--sample half", "--sample"),
        ("--max-memory 4M", "--max-memory"),
        ("--max-memory much", "--max-memory"),
        ("--max-memory 5X", "--max-memory"),
        ("--max-cpu 0", "--max-cpu"),
        ("--max-cpu -5", "--max-cpu"),
        ("--max-cpu little", "--max-cpu"),
        ("-n 0", "--count"),
        ("-n -1", "--count"),
        ("-t 0", "--top"),
        ("-t many", "--top"),
        ("-p 0", "--pid"),
        ("-p -1", "--pid"),
        ("-p abc", "--pid"),
        ("-p 4294967296", "--pid"),
        ("-c", "--cache"),
        ("--comm=", "--comm"),
        ("--exclude-comm a[", "--exclude-comm"),
        ("--cgroup cron.service", "--cgroup"),
        ("--uid nobody-is-called-so", "--uid"),
        ("--tree 1 --pid 1", "--tree"),
        ("--children", "--pid"),
        ("run", "<COMMAND>"),
        ("run -d 5s true", "--duration"),
        ("record -o a.mt --pid 7 -- true", "--pid"),
        ("record -o a.mt --user root", "<COMMAND>"),
        ("events a.rec --tree 7", "--tree"),
        ("caches -t -1", "--top"),
        ("caches -i 0s", "--interval"),
        ("--cash dentry", "--cash"),
        ("cache", "caches"),
        ("-i 1s caches", "caches [OPTIONS]"),
        ("explain -o xml", "--output"),
        ("completions csh", "<SHELL>"),
        ("events --kind fork", "--kind"),
        ("events --from 5s", "<FILE>"),
        ("events a.rec -d 5s", "--duration"),
        ("bundle", "--output"),
        ("bundle --into /a -o b", "--into"),
        ("watch --on soon", "--on"),
        ("watch --on available", "--on"),
        ("watch --cool-down -1s", "--cool-down"),
        ("watch --keep 0", "--keep"),
        ("watch --max-disk 1", "--max-disk"),
        ("watch --webhook here", "--webhook"),
        ("watch --hook-time 5s", "--hook"),
    ] {
        let (text, code) = answer(line);
        assert_eq!(code, 2, "{line}");
        assert!(text.contains(option), "{line}: {text}");
        texts += &format!("$ memtrace {line}\n{text}\n");
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn what_is_right_is_taken() {
    for line in [
        "",
        "-c dentry -c kmalloc-* --by pid --pid 1 -p 2147483647 --comm curl -i 500ms -d 1h30m -n 3 -t 5",
        "--settle 0",
        "--exclude-cache kmalloc-* --exclude-comm sh --uid root,1000 -p 7 --children --cgroup /a --unit cron",
        "--tree 1,2 --container web --pod 0a1b2c3d-1111-2222-3333-444455556666",
        "run -c dentry true",
        "run --user 0 -o json --out a.json -- sh -c true -d",
        "record -o a.mt --by pid -- sh -c true",
        "--settle 2s --sample 64 --max-memory 64M --max-cpu 5%",
        "--max-memory 1.5GiB --max-cpu 0.5",
        "--cache all --sort age --older 5m -o json -v",
        "caches dent -i 2s --sort growth --top 3 --aliases -o json",
        "check",
        "bundle --into /a -c dentry",
        "watch",
        "watch --on finding --keep 3 --max-disk 1G --webhook 9436 --cool-down 0 --census 1h -- --redact -c dentry",
        "watch --webhook [::1]:9436 --hook /bin/true --hook-time 5s --into /a -i 1s --for 5s",
        "explain",
        "explain xfs_* --incidents a.toml --incidents b.toml -o json",
        "completions zsh",
        "man",
    ] {
        let arguments = std::iter::once("memtrace").chain(line.split_whitespace());
        assert!(definition().try_get_matches_from(arguments).is_ok(), "{line}");
    }
}

#[test]
fn the_version_is_the_package_s() {
    let error = definition().try_get_matches_from(["memtrace", "--version"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DisplayVersion);
    assert_eq!(error.to_string(), concat!("memtrace ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_know_every_option() {
    for shell in <Shell as clap::ValueEnum>::value_variants() {
        let script = String::from_utf8(completions(*shell)).unwrap();
        for option in long_options(&definition()) {
            assert!(script.contains(option.trim_start_matches('-')), "{shell}: {option}");
        }
    }
    assert!(String::from_utf8(completions(Shell::Bash)).unwrap().contains("--cache"));
}

/// Wherever there is such an option.
#[test]
fn completions_know_the_caches() {
    let commands = definition();
    let with_caches = commands
        .get_subcommands()
        .filter(|command| command.get_arguments().any(|argument| argument.get_long() == Some("cache")));
    let with_caches = 1 + with_caches.count();
    for (shell, uses) in [
        (Shell::Bash, "_memtrace_caches \""),
        (Shell::Zsh, ":_memtrace_caches"),
        (Shell::Fish, "'(__fish_memtrace_caches)'"),
    ] {
        let script = String::from_utf8(completions(shell)).unwrap();
        assert!(script.matches(uses).count() >= with_caches, "{shell}: {script}");
    }
    assert!(String::from_utf8(completions(Shell::Zsh)).unwrap().starts_with("#compdef memtrace\n"));
}

/// bash itself says what it would show, of the caches that this host has.
#[test]
fn bash_completes_lists_of_caches() {
    let script = String::from_utf8(completions(Shell::Bash)).unwrap();
    let ask = r#"
        for words in "memtrace -c dentr" "memtrace record --cache filp,dentr" "memtrace -c al"; do
            COMP_WORDS=($words) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
            _memtrace memtrace "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
            echo "${COMPREPLY[0]}"
        done"#;
    let answer =
        std::process::Command::new("bash").args(["--norc", "-c", &format!("{script}{ask}")]).output();
    let Ok(answer) = answer else { return };
    let answer = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.ends_with("\nall\n"), "{answer}");
    if std::path::Path::new("/sys/kernel/slab/dentry").exists() {
        assert_eq!(answer, "dentry\nfilp,dentry\nall\n");
    }
}

#[test]
fn the_man_page_has_every_option_and_command() {
    let page = String::from_utf8(man().unwrap()).unwrap();
    // As one reads it: without font changes and escapes.
    let text = page.replace(r"\-", "-").replace(r"\fB", "").replace(r"\fI", "").replace(r"\fR", "");
    for option in long_options(&definition()) {
        assert!(text.contains(&option), "{option}");
    }
    for command in definition().get_subcommands() {
        assert!(text.contains(&format!("memtrace {}\n", command.get_name())), "{}", command.get_name());
    }
    for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXAMPLES", "EXIT STATUS"] {
        assert!(
            text.contains(&format!(".SH {heading}\n")) || text.contains(&format!(".SH \"{heading}\"\n")),
            "{heading}"
        );
    }
    assert!(
        text.contains("[-c|--cache NAME|GLOB]") && text.contains("[-d|--duration TIME]"),
        "values of options"
    );
    assert!(!text.contains("memtrace-caches(1)"), "there is one page for all commands");
}
