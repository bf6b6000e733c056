//! OpenMetrics text, and the older text of Prometheus for whoever does not ask for it.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text, text},
    registry::Registry,
};

use super::{
    exposed::Exposed,
    families::{self, Family},
};

/// What whoever scrapes understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    #[default]
    Prometheus,
}

const OPENMETRICS: &str = "application/openmetrics-text";

impl Format {
    /// From the header `Accept`: OpenMetrics for whoever names it. Prometheus 3 refuses an answer whose type it did not ask for.
    pub fn accepted(accept: &str) -> Self {
        let names_it = |part: &str| {
            let mut words = part.split(';').map(str::trim);
            let name = words.next().unwrap_or_default();
            name.eq_ignore_ascii_case(OPENMETRICS) && !words.any(|word| matches!(word, "q=0" | "q=0.0"))
        };
        if accept.split(',').any(names_it) { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }

    pub fn text(self, exposed: &Arc<Exposed>) -> Result<String, fmt::Error> {
        let families = |all| Box::new(Families { exposed: Arc::clone(exposed), all });
        let mut ours = Registry::with_prefix(PREFIX);
        ours.register_collector(families(families::OURS));
        let mut of_process = Registry::default();
        of_process.register_collector(families(families::PROCESS));
        let mut written = String::new();
        for registry in [&ours, &of_process] {
            match self {
                Self::OpenMetrics => text::encode_registry(&mut written, registry)?,
                Self::Prometheus => prometheus_text::encode(&mut written, registry)?,
            }
        }
        if self == Self::OpenMetrics {
            text::encode_eof(&mut written)?;
        }
        Ok(written)
    }
}

const PREFIX: &str = "memtrace";

/// Metrics of one snapshot.
#[derive(Debug)]
struct Families {
    exposed: Arc<Exposed>,
    all: &'static [Family],
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.all.iter().try_for_each(|family| family.encode(&self.exposed, &mut encoder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_whoever_asks_for_it() {
        let check = |accept, format| assert_eq!(Format::accepted(accept), format, "{accept}");
        check("", Format::Prometheus);
        check("*/*", Format::Prometheus);
        check("text/plain;version=0.0.4", Format::Prometheus);
        // Prometheus 2.42.
        check(
            "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        );
        check("Application/OpenMetrics-Text", Format::OpenMetrics);
        check("application/openmetrics-text;q=0,text/plain", Format::Prometheus);
        check(",,;;q=,", Format::Prometheus);
    }
}
