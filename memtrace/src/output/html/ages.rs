//! How old what is outstanding is. A leak has all ages; what is in use is young, or as old as its process.

use super::markup::{bar, text};
use crate::{text::human, view::ages::AgeBucket};

pub(super) fn section(ages: &[AgeBucket]) -> String {
    if ages.iter().all(|bucket| bucket.objects == 0) {
        return String::new();
    }
    let most = ages.iter().map(|bucket| bucket.bytes).max().unwrap_or(0);
    let all = ages.iter().map(|bucket| bucket.bytes).fold(0, u64::saturating_add);
    let lines: String = ages.iter().map(|bucket| line(bucket, most, all)).collect();
    format!(
        "<section id=\"ages\" aria-labelledby=\"ages-title\">\n<h2 id=\"ages-title\">Age</h2>\n\
         <p class=\"lede\">How long ago what is still there was allocated. A leak fills every age alike, in proportion to its span.</p>\n\
         <table class=\"ages\"><thead><tr><th scope=\"col\">Age</th><th scope=\"col\" class=\"plot\"></th><th scope=\"col\" class=\"num\">Bytes</th>\
         <th scope=\"col\" class=\"num\">Share</th><th scope=\"col\" class=\"num\">Objects</th></tr></thead>\n<tbody>{lines}</tbody></table>\n</section>"
    )
}

fn line(bucket: &AgeBucket, most: u64, all: u64) -> String {
    let share = bucket.bytes as f64 / all.max(1) as f64;
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"plot\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td></tr>\n",
        text(&span(bucket)),
        bar(bucket.bytes as f64 / most.max(1) as f64, "held"),
        human::bytes(bucket.bytes),
        text(&human::percent(share)),
        human::grouped(bucket.objects),
    )
}

fn span(bucket: &AgeBucket) -> String {
    let from = human::round_duration(bucket.at_least);
    match bucket.less_than {
        None => format!("{from} and older"),
        Some(to) if bucket.at_least.is_zero() => format!("less than {}", human::round_duration(to)),
        Some(to) => format!("{from} to {}", human::round_duration(to)),
    }
}
