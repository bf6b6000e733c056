//! A report of `memtrace --output json`, as far as tests look at it.

use std::{fmt, sync::OnceLock, time::SystemTime};

use jsonschema::Validator;
use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Snapshot {
    #[serde(rename = "final")]
    pub is_final: bool,
    pub sampling: Sampling,
    /// RFC 3339.
    pub time: String,
    pub elapsed_ns: u64,
    pub settled: Option<Settled>,
    #[serde(rename = "self")]
    pub own_cost: OwnCost,
    pub filter: Option<String>,
    pub caches: Vec<Cache>,
    pub rows: Vec<Row>,
    pub ages: Vec<AgeBucket>,
    pub verdict: Option<Verdict>,
    pub findings: Vec<Finding>,
    pub census: Option<Census>,
    pub trust: Trust,
    pub notes: Vec<String>,
}

/// What was there at the start; of the final report.
#[derive(Clone, Debug, Deserialize)]
pub struct Census {
    pub elapsed_ns: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Sampling {
    /// One object in so many is followed.
    pub period: u32,
}

/// How frees were followed at the end.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Settled {
    pub freed: u64,
}

/// What memtrace itself takes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct OwnCost {
    pub probe_ns_per_event: Option<f64>,
    pub cpu_share: Option<f64>,
    pub userspace_cpu_share: Option<f64>,
    pub rss_bytes: Option<u64>,
    pub kernel_bytes: Option<u64>,
    pub max_memory_bytes: Option<u64>,
    pub max_cpu_share: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Cache {
    pub name: String,
    pub aliases: Vec<String>,
    pub allocs: u64,
    pub outstanding_objects: u64,
    pub slabinfo_growth: Option<i64>,
    pub traced_growth: Option<i64>,
    pub partial: Option<Partial>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Partial {
    pub unseen_frees_share: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Row {
    pub key: String,
    pub pid: Option<u32>,
    pub cache: Option<String>,
    pub processes: u64,
    pub objects: u64,
    pub partial_objects: u64,
    pub objects_until_end: u64,
    pub objects_ci95: Option<[u64; 2]>,
    pub allocs: u64,
    pub frees: u64,
    pub allocs_per_s: f64,
    pub oldest_ns: Option<u64>,
    pub ages: Vec<AgeBucket>,
    pub generations: Vec<Generation>,
    pub negative_share: Option<f64>,
    pub names: Vec<Names>,
    pub trend: String,
    pub process: Option<Process>,
    pub call_site: Option<CallSite>,
    pub context: Option<String>,
    pub gfp: Option<Gfp>,
    pub node: Option<u16>,
    pub stacked_objects: u64,
    pub stacks: Vec<Stack>,
    pub started_by: Vec<Ancestors>,
    pub cgroups: Vec<CgroupShare>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct AgeBucket {
    pub at_least_ns: u64,
    pub less_than_ns: Option<u64>,
    pub objects: u64,
}

/// A part of the session.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Generation {
    pub from_ns: u64,
    pub allocs: u64,
    pub survivors: u64,
}

/// All but `is` only where somebody leaks or floods.
#[derive(Clone, Debug, Deserialize)]
pub struct Verdict {
    pub is: String,
    pub comm: Option<String>,
    pub cache: Option<String>,
    #[serde(default)]
    pub started_by: Vec<String>,
    pub place: Option<Names>,
    pub negative_share: Option<f64>,
    #[serde(default)]
    pub known: Vec<Known>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Finding {
    pub is: String,
    pub comm: Option<String>,
    pub cache: String,
    pub full_in_ns: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Known {
    pub id: String,
    pub for_good: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Process {
    pub program: Option<String>,
    pub command_line: Option<String>,
    pub ended: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CallSite {
    pub symbol: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Gfp {
    pub names: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Stack {
    pub frames: Vec<String>,
    pub objects: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Ancestors {
    pub comms: Vec<String>,
    pub objects: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub struct CgroupShare {
    pub path: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Names {
    pub parent: String,
    pub path: Option<String>,
    pub pattern: String,
    pub objects: u64,
    pub example: String,
    pub filesystem: Option<String>,
    pub kind: Option<String>,
    pub file_type: Option<String>,
    pub negative_share: Option<f64>,
    pub name_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Trust {
    pub emitted: u64,
    pub applied: u64,
    pub lost_allocs: u64,
    pub lost_frees: u64,
    pub lost_names: u64,
    pub reused_pointers: u64,
    pub refuted_objects: Option<u64>,
    pub is_verified: bool,
    pub unseen_allocations: Option<u64>,
    pub unseen_allocations_ci95: Option<(u64, u64)>,
    pub refused: u64,
    pub unresolved: u64,
    /// Probes that the kernel skipped; it does not say for which events.
    pub recursion_misses: u64,
}

impl Trust {
    /// Events that are in the rings, or were when these figures were taken.
    pub fn waiting(&self) -> u64 {
        self.emitted.saturating_sub(self.applied + self.lost_allocs + self.lost_frees + self.lost_names)
    }
}

impl Snapshot {
    pub fn parse(line: &str) -> Self {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Reads a line, which must be as the schema says. That takes so long where the machine is emulated that reports would pile up
    /// if each of a session were checked.
    pub fn parse_and_check(line: &str) -> Self {
        let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let errors: Vec<String> = schema().iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}: {line}");
        Self::parse(line)
    }

    #[track_caller]
    pub fn cache(&self, name: &str) -> &Cache {
        self.caches
            .iter()
            .find(|cache| cache.name == name)
            .unwrap_or_else(|| panic!("{name} is not in {self:#?}"))
    }

    /// The cache is there, and marked.
    pub fn is_partial(&self, name: &str) -> bool {
        self.caches.iter().any(|cache| cache.name == name && cache.partial.is_some())
    }

    /// The row of this key; one without any objects if there is none.
    pub fn row(&self, key: &str) -> Row {
        self.rows.iter().find(|row| row.key == key).cloned().unwrap_or_default()
    }

    pub fn objects(&self, key: &str) -> u64 {
        self.row(key).objects
    }

    /// When it was made.
    pub fn time(&self) -> SystemTime {
        humantime::parse_rfc3339(&self.time).expect("the schema says so")
    }

    /// Events that arrived or are known to be lost. A report may be made while more are on their way.
    pub fn accounted(&self) -> u64 {
        let Trust { applied, lost_allocs, lost_frees, lost_names, .. } = self.trust;
        applied + lost_allocs + lost_frees + lost_names
    }

    /// Where the row of this key stands; behind all others if there is none.
    pub fn rank(&self, key: &str) -> usize {
        self.rows.iter().position(|row| row.key == key).unwrap_or(self.rows.len())
    }
}

/// Rows of a report that are shown of a test that failed.
const ROWS_SHOWN: usize = 20;

/// The trust and the first rows.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "after {} ms, final: {}: {:?}", self.elapsed_ns / 1_000_000, self.is_final, self.trust)?;
        for Row { key, pid, cache, objects, allocs, frees, .. } in self.rows.iter().take(ROWS_SHOWN) {
            let (pid, cache) =
                (pid.map_or("-".into(), |pid| pid.to_string()), cache.as_deref().unwrap_or("-"));
            writeln!(
                f,
                "  {key:?} {objects} objects, {allocs} allocs, {frees} frees, pid {pid}, cache {cache}"
            )?;
        }
        let more = self.rows.len().saturating_sub(ROWS_SHOWN);
        if more > 0 {
            writeln!(f, "  and {more} more rows")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}

fn schema() -> &'static Validator {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let schema = include_str!("../../../docs/snapshot.schema.json");
        let schema = serde_json::from_str(schema).expect("the schema is JSON");
        jsonschema::draft202012::new(&schema).expect("the schema is one")
    })
}

impl Trust {
    /// Every event is accounted for.
    pub fn is_conserved(&self) -> bool {
        self.emitted == self.applied + self.lost_allocs + self.lost_frees + self.lost_names
    }
}
