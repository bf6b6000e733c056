//! What shells complete: clap's scripts, and in them the names of caches, which clap does not know.

use clap_complete::Shell;

use super::definition;

/// Where the kernel lists its slab caches for everybody. Names of merged ones begin with a colon.
const BASH: &str = r#"
_memtrace_caches() {
    local before="" last="$1"
    case "$1" in *,*) before="${1%,*}," last="${1##*,}" ;; esac
    COMPREPLY=($(compgen -P "$before" -W "all $(cd /sys/kernel/slab 2> /dev/null && echo [!:]*)" -- "$last"))
}
"#;

const ZSH: &str = r"
_memtrace_caches() {
    local -a caches=(all /sys/kernel/slab/[^:]*(N:t))
    compset -P '*,'
    compadd -a caches
}
";

const FISH: &str = r"
function __fish_memtrace_caches
    set -l before (string match -r '^.*,' -- (commandline -ct))
    string replace -r '^' -- $before'' all (command ls /sys/kernel/slab 2> /dev/null | string match -v ':*')
end
";

pub fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "memtrace", &mut script);
    let script = String::from_utf8_lossy(&script);
    match shell {
        Shell::Bash => bash(&script),
        Shell::Zsh => zsh(&script),
        Shell::Fish => fish(&script),
        _ => script.into_owned(),
    }
    .into_bytes()
}

/// A value's completion stands in the line after its option.
fn bash(script: &str) -> String {
    let mut lines: Vec<String> = script.lines().map(str::to_owned).collect();
    for at in 1..lines.len() {
        if ["--cache)", "-c)", "--exclude-cache)"].contains(&lines[at - 1].trim()) {
            lines[at] = format!("{:20}_memtrace_caches \"${{cur}}\"", "");
        }
    }
    format!("{BASH}\n{}\n", lines.join("\n"))
}

/// Behind the line that says what is completed, which has to be the first.
fn zsh(script: &str) -> String {
    let (first, rest) = script.split_once('\n').unwrap_or_default();
    let of_caches = |line: &str| match line.contains("--exclude-cache=") {
        true => line.replace(":NAME:_default", ":NAME:_memtrace_caches"),
        false => line.replace(":NAME|GLOB:_default", ":NAME|GLOB:_memtrace_caches"),
    };
    let rest: Vec<String> = rest.lines().map(of_caches).collect();
    format!("{first}\n{ZSH}{}\n", rest.join("\n"))
}

fn fish(script: &str) -> String {
    let takes_cache = |line: &str| line.contains(" -l cache ") || line.contains(" -l exclude-cache ");
    let complete = |line: &str| match takes_cache(line) {
        true => format!("{line} -f -a '(__fish_memtrace_caches)'\n"),
        false => format!("{line}\n"),
    };
    FISH.to_owned() + &script.lines().map(complete).collect::<String>()
}
