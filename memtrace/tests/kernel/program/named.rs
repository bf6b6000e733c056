//! Workloads that a person runs by name beside a session: `cargo xtask vm --workload NAME`. xtask compiles this file too.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Flood,
    Churn,
    Files,
}

impl Named {
    pub const ALL: [Self; 3] = [Self::Flood, Self::Churn, Self::Files];

    pub fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Churn => "churn",
            Self::Files => "files",
        }
    }
}
