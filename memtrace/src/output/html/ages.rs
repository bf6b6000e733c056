//! How old what is outstanding is. A leak has all ages; what is in use is young, or as old as its process.

use maud::{Markup, html};

use super::{markup::bar, section as section_of};
use crate::{text::human, view::ages::AgeBucket};

pub(super) fn section(ages: &[AgeBucket]) -> Markup {
    let most = ages.iter().map(|bucket| bucket.bytes).max().unwrap_or(0).max(1) as f64;
    let all = ages.iter().map(|bucket| bucket.bytes).fold(0, u64::saturating_add).max(1) as f64;
    if ages.iter().all(|bucket| bucket.objects == 0) {
        return html! {};
    }
    let table = html! {
        p.lede { "How long ago outstanding objects were allocated. A leak fills all ages evenly, in proportion to their span." }
        table.ages {
            thead { tr { th scope="col" { "Age" } th.plot scope="col" {} @for title in ["Bytes", "Share", "Objects"] { th.num scope="col" { (title) } } } }
            tbody {
                @for bucket in ages {
                    tr {
                        th scope="row" { (span(bucket)) }
                        td.plot { (bar(bucket.bytes as f64 / most, "held")) }
                        td.num { (human::bytes(bucket.bytes)) }
                        td.num { (human::percent(bucket.bytes as f64 / all)) }
                        td.num { (human::grouped(bucket.objects)) }
                    }
                }
            }
        }
    };
    section_of("ages", "Age", &table)
}

fn span(bucket: &AgeBucket) -> String {
    let from = human::round_duration(bucket.at_least);
    match bucket.less_than {
        None => format!("{from} and older"),
        Some(to) if bucket.at_least.is_zero() => format!("less than {}", human::round_duration(to)),
        Some(to) => format!("{from} to {}", human::round_duration(to)),
    }
}
