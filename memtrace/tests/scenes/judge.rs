//! Plays scenes beside a session, and compares its findings with the truth; then those of triage.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Scene, Truth, all, command};
use crate::{
    host,
    session::Session,
    snapshot::{Finding, Snapshot},
};

/// When it is judged, in seconds since all scenes play: on an emulated machine that takes seconds.
const MOMENTS: [u64; 4] = [6, 12, 30, 60];
/// All of them are multiples of this.
const STEP: usize = 6;

/// How long triage looks, once the session is over.
const TRIAGE: &str = "15s";
/// It accuses who fills what is available within a week. Rates vary: who does so within this time has to be accused.
const SOON_NS: u64 = 5 * 24 * 3600 * 1_000_000_000;

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

/// What was said of a scene at one time.
#[derive(Clone)]
struct Judgement {
    /// `after 6 s`, `by triage`.
    when: String,
    /// Accusations, as `leak filp`.
    said: BTreeSet<String>,
    /// The guilty have to be accused by now.
    is_due: bool,
}

/// At each moment, then by triage.
type Said = Vec<Judgement>;

/// A scene that is being played.
struct Played {
    process: Child,
    _directory: TempDir,
}

impl Played {
    fn start(scene: &Scene) -> Self {
        let directory = host::directory_on_disk();
        let mut command = command(scene, directory.path());
        let process = command.stdin(Stdio::piped()).spawn().expect("this binary starts again");
        Self { process, _directory: directory }
    }

    /// Waits until it goes by the scene's name, which is the last thing before it plays.
    fn until_it_plays(&self, scene: &Scene) {
        let path = format!("/proc/{}/comm", self.process.id());
        while fs::read_to_string(&path).is_ok_and(|comm| comm.trim_end() != scene.comm()) {
            thread::sleep(Duration::from_millis(1));
        }
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

/// Plays them all at once until the last of these moments, and then for triage if it is to judge too.
fn play(scenes: &[Scene], moments: &[u64], has_triage: bool) -> Round {
    let mut session = Session::start(&["--cache", "all"]);
    let played: Vec<Played> = scenes.iter().map(Played::start).collect();
    played.iter().zip(scenes).for_each(|(played, scene)| played.until_it_plays(scene));
    let begun_ns = session.until("all play", |_| true).elapsed_ns;
    let mut round = Round::default();
    for moment in (0..=moments[moments.len() - 1]).step_by(STEP) {
        let report = session
            .until(&format!("{moment} s"), |report| report.elapsed_ns >= begun_ns + moment * 1_000_000_000);
        if !moments.contains(&moment) {
            continue;
        }
        let is_due = |scene: &Scene| moment >= scene.from;
        round.judge(scenes, &format!("after {moment} s"), &accusations(&report), is_due);
    }
    let last = session.last.clone();
    session.kill();
    if has_triage {
        let page = triage();
        round.judge(scenes, "by triage", &charges(&page), |scene| fills_soon(scene, &last));
        let missed = |scene: &&Scene| {
            round.said[scene.name].last().is_some_and(|said| is_right(scene, said) == Some(false))
        };
        scenes.iter().filter(missed).for_each(|scene| explain(scene, &page));
    }
    drop(played);
    round
}

impl Round {
    fn judge(
        &mut self,
        scenes: &[Scene],
        when: &str,
        accusations: &[Accusation],
        is_due: impl Fn(&Scene) -> bool,
    ) {
        for scene in scenes {
            let of_scene = accusations.iter().filter(|(comm, _)| *comm == scene.comm());
            let said = of_scene.map(|(_, said)| said.clone()).collect();
            let judgement = Judgement { when: when.to_owned(), said, is_due: is_due(scene) };
            self.said.entry(scene.name).or_default().push(judgement);
        }
        let is_other = |(comm, _): &&Accusation| scenes.iter().all(|scene| scene.comm() != *comm);
        self.others.extend(accusations.iter().filter(is_other).map(|(comm, said)| format!("{comm}: {said}")));
    }
}

/// Who, and of what: `leak filp`.
type Accusation = (String, String);

fn accusations(report: &Snapshot) -> Vec<Accusation> {
    let accused = report.findings.iter().filter(|finding| finding.is != "cache");
    let accusation = |finding: &Finding| {
        (finding.comm.clone().unwrap_or_default(), format!("{} {}", finding.is, finding.cache))
    };
    accused.map(accusation).collect()
}

/// Whether triage has to accuse it, by how fast it grew at the end of the session.
fn fills_soon(scene: &Scene, report: &Snapshot) -> bool {
    let accused = report.findings.iter().filter(|finding| finding.is != "cache");
    let mut of_scene = accused.filter(|finding| finding.comm.as_deref() == Some(&scene.comm()));
    of_scene.any(|finding| finding.full_in_ns.is_some_and(|time| time < SOON_NS))
}

/// The page, as JSON.
fn triage() -> Value {
    let mut command = Command::new(host::memtrace());
    let output = command.args(["triage", "-o", "json", "-d", TRIAGE]).output().expect("memtrace starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// What triage knew of a scene that it judged wrong.
fn explain(scene: &Scene, page: &Value) {
    let traced = &page["tracing"];
    let session = &traced["snapshot"];
    let rows = session["rows"].as_array().into_iter().flatten();
    let of_scene: Vec<_> = rows.filter(|row| row["comm"] == scene.comm()).collect();
    let findings = session["findings"].as_array().into_iter().flatten();
    let accused: Vec<_> = findings.map(|it| format!("{} {} {}", it["comm"], it["is"], it["cache"])).collect();
    eprintln!(
        "{}, as triage saw it: tracing {} {}, sampling {}",
        scene.name, traced["state"], traced["why"], session["sampling"]
    );
    eprintln!("  accused by the trace: {}", accused.join(", "));
    of_scene.iter().for_each(|row| eprintln!("  {row}"));
}

/// What triage says of each that it accuses; of nobody's memory, with no name.
fn charges(page: &Value) -> Vec<Accusation> {
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let mut charges = Vec::new();
    for finding in page["findings"].as_array().into_iter().flatten() {
        let charge = text(&finding["charge"]);
        let claims = finding["claims"].as_array().map_or(&[][..], Vec::as_slice);
        match charge.as_str() {
            "leak" | "flood" if claims.is_empty() => {
                charges.push((String::new(), format!("{charge} {}", text(&finding["detail"]))));
            }
            "leak" | "flood" => charges.extend(
                claims
                    .iter()
                    .map(|claim| (text(&claim["comm"]), format!("{charge} {}", text(&claim["cache"])))),
            ),
            _ => {}
        }
    }
    charges
}

/// Whether it is right to say this of the scene; None where nothing needs to be said yet.
fn is_right(scene: &Scene, Judgement { said, is_due, .. }: &Judgement) -> Option<bool> {
    let is = |kind: &str| said.iter().any(|said| said.starts_with(kind));
    let only = |kind: &str| said.iter().all(|said| said.starts_with(kind));
    match scene.truth {
        Truth::Nobody => Some(said.is_empty()),
        Truth::Leak | Truth::Flood if said.is_empty() && !is_due => None,
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
    fn add(&mut self, scene: &Scene, judgement: &Judgement) {
        let right = is_right(scene, judgement);
        let is_guilty = scene.truth != Truth::Nobody;
        self.found += u64::from(is_guilty && right == Some(true));
        self.missed += u64::from(is_guilty && right == Some(false));
        self.accused += u64::from(!is_guilty && right == Some(false));
        if right == Some(false) {
            let Judgement { when, said, .. } = judgement;
            let said = if said.is_empty() { "nothing".to_owned() } else { words(said) };
            self.wrong.push(format!("{} {when}: {said}, and it is {}", scene.name, scene.truth.as_str()));
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
    let round = play(&scenes, moments, false);
    let mut score = Score::default();
    for scene in &scenes {
        round.said[scene.name].iter().for_each(|judgement| score.add(scene, judgement));
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
            let round = play(group, &MOMENTS, true);
            others.extend(round.others);
            for scene in group {
                let of_scene = &round.said[scene.name];
                of_scene.iter().for_each(|judgement| score.add(scene, judgement));
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
    println!("| scene | truth | {} | triage |", MOMENTS.map(|moment| format!("{moment} s")).join(" | "));
    println!("|---|---|---|{}", "---|".repeat(MOMENTS.len()));
    for scene in all() {
        let Some(of_scene) = said.get(scene.name) else { continue };
        let cells = (0..=MOMENTS.len()).map(|at| {
            let of_runs: BTreeSet<String> = of_scene.iter().map(|run| words(&run[at].said)).collect();
            let of_runs: Vec<String> =
                of_runs.into_iter().map(|said| if said.is_empty() { "-".to_owned() } else { said }).collect();
            of_runs.join(" or ")
        });
        println!("| {} | {} | {} |", scene.name, scene.truth.as_str(), cells.collect::<Vec<_>>().join(" | "));
    }
}
