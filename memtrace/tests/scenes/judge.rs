//! Plays scenes beside a session, and compares its findings with the truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Child, ExitCode, Stdio},
};

use tempfile::TempDir;

use super::{Scene, Truth, all, command};
use crate::{host, session::Session, snapshot::Snapshot};

/// When it is judged, in seconds since the session began.
const MOMENTS: [u64; 4] = [6, 12, 30, 60];
/// All of them are multiples of this.
const STEP: usize = 6;

/// Scenes that are played at once: with more, the CPUs would be too busy for each to be what it is.
const AT_ONCE: usize = 9;

/// What CI plays: some of each kind, at once. The first ones are those that matter most.
const FEW: [&str; 12] = [
    "files",
    "missing",
    "curls",
    "logger",
    "burst",
    "sawtooth",
    "pipes",
    "unix",
    "memfd",
    "churning",
    "find",
    "web-server",
];

/// How many of those an emulated machine plays in a run of all tests, which leaves it half a CPU.
const EMULATED: usize = 6;

/// What was said of a scene at each moment: accusations, as `leak filp`.
type Said = Vec<BTreeSet<String>>;

/// A scene that is being played.
struct Played {
    scene: Scene,
    process: Child,
    _directory: TempDir,
}

impl Played {
    fn start(scene: Scene) -> Self {
        let directory = host::directory_on_disk();
        let mut command = command(&scene, directory.path());
        let process = command.stdin(Stdio::piped()).spawn().expect("this binary starts again");
        Self { scene, process, _directory: directory }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What came of a round.
#[derive(Default)]
struct Round {
    said: BTreeMap<&'static str, Said>,
    /// Accusations of processes that are no scene.
    others: BTreeSet<String>,
}

/// Plays them all at once until the last of these moments.
fn play(scenes: &[Scene], moments: &[u64]) -> Round {
    let mut session = Session::start(&["--cache", "all"]);
    let played: Vec<Played> = scenes.iter().copied().map(Played::start).collect();
    let mut round = Round::default();
    for moment in (0..=moments[moments.len() - 1]).step_by(STEP) {
        let report =
            session.until(&format!("{moment} s"), |report| report.elapsed_ns >= moment * 1_000_000_000);
        if !moments.contains(&moment) {
            continue;
        }
        let comms: BTreeSet<String> = played.iter().map(|played| played.scene.comm()).collect();
        let others = report.findings.iter().filter_map(|finding| finding.comm.as_ref());
        for other in others.filter(|comm| !comms.contains(*comm)) {
            round.others.extend(
                accusations(&report, |comm| comm == other).iter().map(|said| format!("{other}: {said}")),
            );
        }
        for Played { scene, .. } in &played {
            let comm = scene.comm();
            round.said.entry(scene.name).or_default().push(accusations(&report, |of| of == comm));
        }
    }
    drop(played);
    session.kill();
    round
}

/// Accusations of whom the function names, each as `leak filp`, and with the name where it names several.
fn accusations(report: &Snapshot, is_about: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let accused = report.findings.iter().filter(|finding| finding.is != "cache");
    let about = accused.filter(|finding| is_about(finding.comm.as_deref().unwrap_or("")));
    about.map(|finding| format!("{} {}", finding.is, finding.cache)).collect()
}

/// Whether it is right to say this of the scene at that moment; None where nothing needs to be said yet.
fn is_right(scene: &Scene, said: &BTreeSet<String>, moment: u64) -> Option<bool> {
    let is = |kind: &str| said.iter().any(|said| said.starts_with(kind));
    let only = |kind: &str| said.iter().all(|said| said.starts_with(kind));
    match scene.truth {
        Truth::Nobody => Some(said.is_empty()),
        Truth::Leak | Truth::Flood if said.is_empty() && moment < scene.from => None,
        Truth::Leak => Some(is("leak")),
        Truth::Flood => Some(is("flood") && only("flood")),
    }
}

/// How many judgements were right, and which ones were not.
#[derive(Default)]
struct Score {
    found: u64,
    missed: u64,
    accused: u64,
    wrong: Vec<String>,
}

impl Score {
    fn add(&mut self, scene: &Scene, said: &BTreeSet<String>, moment: u64) {
        let right = is_right(scene, said, moment);
        let is_guilty = scene.truth != Truth::Nobody;
        self.found += u64::from(is_guilty && right == Some(true));
        self.missed += u64::from(is_guilty && right == Some(false));
        self.accused += u64::from(!is_guilty && right == Some(false));
        if right == Some(false) {
            let said = if said.is_empty() { "nothing".to_owned() } else { words(said) };
            self.wrong.push(format!(
                "{} after {moment} s: {said}, and it is {}",
                scene.name,
                scene.truth.as_str()
            ));
        }
    }

    fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.accused).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.found as f64 / (self.found + self.missed).max(1) as f64
    }
}

fn words(said: &BTreeSet<String>) -> String {
    said.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// A dozen scenes at once, for twelve seconds.
pub fn few() {
    // On an emulated machine it takes seconds until all play.
    let moments: &[u64] = if host::is_our_own() { &[12] } else { &[6, 12] };
    let few = if host::is_our_own() { &FEW[..EMULATED] } else { &FEW };
    let scenes: Vec<Scene> = all().into_iter().filter(|scene| few.contains(&scene.name)).collect();
    assert_eq!(scenes.len(), few.len(), "each is a scene");
    let round = play(&scenes, moments);
    let mut score = Score::default();
    for scene in &scenes {
        for (said, &moment) in round.said[scene.name].iter().zip(moments) {
            score.add(scene, said, moment);
        }
    }
    assert_eq!(score.wrong, [""; 0]);
}

/// Plays scenes as the arguments say, and prints the matrix as Markdown: `[--runs N] [--few] [NAME...]`.
pub fn main(arguments: &[String]) -> ExitCode {
    let runs = arguments.iter().position(|it| it == "--runs").map_or(1, |at| {
        arguments.get(at + 1).and_then(|runs| runs.parse().ok()).expect("--runs takes a number")
    });
    let is_few = arguments.iter().any(|it| it == "--few");
    let names: Vec<&String> =
        arguments.iter().filter(|it| all().iter().any(|scene| scene.name == **it)).collect();
    let is_known = |argument: &&String| {
        argument.starts_with("--") || argument.parse::<u32>().is_ok() || names.contains(argument)
    };
    if let Some(unknown) = arguments.iter().find(|argument| !is_known(argument)) {
        let known: Vec<&str> = all().iter().map(|scene| scene.name).collect();
        eprintln!("no scene {unknown}; there are: {}", known.join(", "));
        return ExitCode::from(2);
    }
    let mut scenes = all();
    scenes.retain(|scene| names.is_empty() || names.iter().any(|name| *name == scene.name));
    scenes.retain(|scene| !is_few || FEW.contains(&scene.name));
    let mut score = Score::default();
    let mut others = BTreeSet::new();
    let mut said: BTreeMap<&str, Vec<Said>> = BTreeMap::new();
    for run in 0..runs {
        // In other company each time, and never two of a kind only.
        fastrand::seed(run as u64);
        fastrand::shuffle(&mut scenes);
        for group in scenes.chunks(AT_ONCE) {
            eprintln!("run {}: {}", run + 1, group.iter().map(|it| it.name).collect::<Vec<_>>().join(", "));
            let round = play(group, &MOMENTS);
            others.extend(round.others);
            for scene in group {
                let of_scene = &round.said[scene.name];
                of_scene.iter().zip(MOMENTS).for_each(|(said, moment)| score.add(scene, said, moment));
                said.entry(scene.name).or_default().push(of_scene.clone());
            }
        }
    }
    print_matrix(&said);
    println!();
    println!(
        "Precision {:.3}, recall {:.3}: {} found, {} missed, {} innocents accused, in {runs} run(s).",
        score.precision(),
        score.recall(),
        score.found,
        score.missed,
        score.accused
    );
    score.wrong.iter().for_each(|wrong| println!("- {wrong}"));
    if !others.is_empty() {
        println!("- others on the machine: {}", words(&others));
    }
    if score.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_matrix(said: &BTreeMap<&str, Vec<Said>>) {
    println!("| scene | truth | {} |", MOMENTS.map(|moment| format!("{moment} s")).join(" | "));
    println!("|---|---|{}", "---|".repeat(MOMENTS.len()));
    for scene in all() {
        let Some(of_scene) = said.get(scene.name) else { continue };
        let cells = (0..MOMENTS.len()).map(|at| {
            let of_runs: BTreeSet<String> = of_scene.iter().map(|run| words(&run[at])).collect();
            let of_runs: Vec<String> =
                of_runs.into_iter().map(|said| if said.is_empty() { "-".to_owned() } else { said }).collect();
            of_runs.join(" or ")
        });
        println!("| {} | {} | {} |", scene.name, scene.truth.as_str(), cells.collect::<Vec<_>>().join(" | "));
    }
}
