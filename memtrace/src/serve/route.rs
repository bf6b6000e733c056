//! What is asked for: a pure function of a request's line and headers.

use std::time::Duration;

use crate::output::{metrics::Format, pprof::Scraped};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Home,
    Metrics(Format),
    Health,
    Profiles,
    /// With a time, only what was allocated within it and is still there.
    Profile(Scraped, Option<Duration>),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    UnknownPath,
    /// Neither GET nor HEAD.
    Method,
    /// `?seconds=` is no whole number of seconds up to [`MAX_SECONDS`].
    Seconds,
}

/// Whoever asks waits for so long.
pub const MAX_SECONDS: u64 = 600;

impl Route {
    pub fn of(method: &str, path: &str, query: &str, accept: &str) -> Result<Self, Refusal> {
        let route = match path {
            "/" => Self::Home,
            "/metrics" => Self::Metrics(Format::accepted(accept)),
            "/healthz" => Self::Health,
            "/debug/pprof" | "/debug/pprof/" => Self::Profiles,
            "/debug/pprof/heap" => Self::Profile(Scraped::Heap, None),
            "/debug/pprof/allocs" => Self::Profile(Scraped::Allocs, None),
            _ => return Err(Refusal::UnknownPath),
        };
        match (method, route) {
            ("GET" | "HEAD", Self::Profile(of, _)) => Ok(Self::Profile(of, seconds(query)?)),
            ("GET" | "HEAD", route) => Ok(route),
            _ => Err(Refusal::Method),
        }
    }
}

/// As in Go's own profiles, 0 is as if it were not there, and so is what else is asked for.
fn seconds(query: &str) -> Result<Option<Duration>, Refusal> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("seconds="));
    let Some(text) = values.next_back() else { return Ok(None) };
    let seconds: u64 = text.parse().map_err(|_| Refusal::Seconds)?;
    match seconds {
        0 => Ok(None),
        1..=MAX_SECONDS => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Refusal::Seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_somewhere_or_nowhere() {
        let of = |path| Route::of("GET", path, "", "");
        assert_eq!(of("/"), Ok(Route::Home));
        assert_eq!(of("/metrics"), Ok(Route::Metrics(Format::Prometheus)));
        assert_eq!(of("/healthz"), Ok(Route::Health));
        assert_eq!(of("/debug/pprof"), Ok(Route::Profiles));
        assert_eq!(of("/debug/pprof/allocs"), Ok(Route::Profile(Scraped::Allocs, None)));
        for path in ["", "/metrics/", "/../etc/passwd", "/debug/pprof/profile", "*", "//"] {
            assert_eq!(of(path), Err(Refusal::UnknownPath), "{path}");
        }
    }

    #[test]
    fn only_reading_is_allowed() {
        assert!(Route::of("HEAD", "/metrics", "", "").is_ok());
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", ""] {
            assert_eq!(Route::of(method, "/metrics", "", ""), Err(Refusal::Method), "{method}");
        }
    }

    #[test]
    fn a_difference_takes_seconds() {
        let of = |query| Route::of("GET", "/debug/pprof/heap", query, "");
        let heap = |seconds| Ok(Route::Profile(Scraped::Heap, seconds));
        assert_eq!(of("seconds=10"), heap(Some(Duration::from_secs(10))));
        assert_eq!(of("debug=0&seconds=600"), heap(Some(Duration::from_secs(600))));
        assert_eq!(of("seconds=0"), heap(None));
        assert_eq!(of("debug=1"), heap(None));
        for query in [
            "seconds=",
            "seconds=601",
            "seconds=1e9",
            "seconds=-1",
            "seconds=1.5",
            "seconds=99999999999999999999",
        ] {
            assert_eq!(of(query), Err(Refusal::Seconds), "{query}");
        }
    }
}
