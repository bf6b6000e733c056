//! What changed between two reports, as a page of its own: what was added first, then what led to it.

use std::io;

use maud::{Markup, PreEscaped, html};

use super::rows::{Kind, by_words, head, head_of_row, of_key, table_class};
use super::strings::{clean, finite, number, place, text};
use super::{contents, data, page, stacks, tip, trust, without_script};
use super::{markup, masthead::fact};
use crate::{
    output::table::{difference as words, verdict},
    text::human,
    view::{
        Difference, Sort,
        diff::{CacheChange, Change, Rates, RowChange, Seen, Side},
        profile::Profile,
    },
};

/// The whole page. `added` is of what is outstanding after and was not before.
pub fn difference(difference: &Difference, added: &Profile) -> io::Result<String> {
    let body = html! {
        a.skip href="#rows" { "Skip to what changed" }
        header.masthead {
            (masthead(difference))
            (contents())
        }
        main {
            (trust::notes("Why the two may not be comparable", &difference.notes))
            (rows(difference))
            (caches(difference))
            (stacks("Calls that led to what was added", "What is outstanding after and was not before. Callers are above what they call. What went is not shown."))
            (without_script("The call stacks need"))
        }
        (tip())
        (super::data("profile-json", &data::of_profile(added)?))
    };
    Ok(page(&format!("{} – memtrace diff", markup::host(difference.after.host.as_bytes())), &body))
}

fn masthead(difference: &Difference) -> Markup {
    let Difference { before, after, total, .. } = difference;
    let hosts = [before, after].map(|side| markup::host(side.host.as_bytes()));
    html! {
        p.eyebrow { "memtrace diff" }
        h1 { @if before.host != after.host { (hosts[0]) " → " } (hosts[1]) }
        dl.facts.sides {
            (fact("Change", words::total(total)))
            (side("Before", before, total.before.bytes))
            (side("After", after, total.after.bytes))
        }
    }
}

/// One of the reports, with its verdict.
fn side(name: &str, side: &Side, bytes: u64) -> Markup {
    let verdict = side.verdict.as_ref().map(|verdict| verdict::claim(verdict, verdict::TERMINAL));
    let about = html! {
        (markup::host(&side.label)) " "
        small {
            (human::bytes(bytes)) " outstanding after " (human::duration(side.elapsed)) ", " (words::when(side)) ", "
            (markup::host(side.kernel.as_bytes()))
        }
        p { (verdict.as_deref().unwrap_or("no verdict: the session was too short")) }
    };
    fact(name, about)
}

/// What sorts a share of nothing: behind all others.
const NEW: f64 = 1e12;

/// Columns that both tables have.
const CHANGES: [(&str, Kind, &str); 6] = [
    ("± Bytes", Kind::Number, "bytes"),
    ("±", Kind::Number, "wide"),
    ("Before", Kind::Number, "wide"),
    ("After", Kind::Number, "wide"),
    ("± Objects", Kind::Number, "objects"),
    ("±", Kind::Number, "wider"),
];

fn changes(change: &Change, seen: Seen) -> String {
    let share = |share: Option<f64>, class: &str| {
        let sorted = share.filter(|_| seen != Seen::After).unwrap_or(NEW);
        number(finite(sorted), &text(&words::share(share, seen)), class)
    };
    [
        number(change.bytes(), &human::bytes_change(change.bytes()), "bytes"),
        share(change.bytes_share(), "wide"),
        number(change.before.bytes, &human::bytes(change.before.bytes), "wide"),
        number(change.after.bytes, &human::bytes(change.after.bytes), "wide"),
        number(change.objects(), &human::count_change(change.objects()), "objects"),
        share(change.objects_share(), "wider"),
    ]
    .concat()
}

fn heads(columns: impl IntoIterator<Item = (&'static str, Kind, &'static str)>) -> String {
    columns.into_iter().map(|(title, kind, class)| head(title, kind, class)).collect()
}

fn rows(difference: &Difference) -> Markup {
    let title = "<h2 id=\"rows-title\">Who holds more, and who less</h2>";
    if difference.rows.is_empty() && difference.rest.is_none() {
        return PreEscaped(format!(
            "<section id=\"rows\" aria-labelledby=\"rows-title\">\n{title}\n<p class=\"empty\">Nothing changed.</p>\n</section>"
        ));
    }
    let keys = difference.by.iter().map(|by| {
        let (title, kind) = of_key(by);
        (title, kind, "key")
    });
    let others = [
        ("Grew by", Kind::Number, "wider"),
        ("Grows by", Kind::Number, "wide growth"),
        ("Where", Kind::Text, "where broad"),
    ];
    let heads = heads(keys.chain(CHANGES).chain(others));
    let lines: String = difference.rows.iter().map(|row| line(difference, row)).collect();
    let sorted = match difference.sort {
        Sort::Objects => "objects",
        Sort::Growth => "growth",
        Sort::Bytes | Sort::Age => "bytes",
    };
    let unchanged = match difference.unchanged {
        0 => String::new(),
        1 => " One more holds what it held.".to_owned(),
        unchanged => format!(" {} more hold what they held.", human::grouped(unchanged)),
    };
    let rest = difference.rest.map(|rest| {
        let columns = difference.by.iter().count();
        let name = format!("{} more", human::grouped(rest.rows));
        let change = changes(&rest.change, Seen::Both);
        format!("<tfoot><tr><th scope=\"row\" class=\"key\" colspan=\"{columns}\">{name}</th>{change}<td class=\"wider\"></td><td class=\"wide\"></td><td class=\"broad\"></td></tr></tfoot>")
    });
    PreEscaped(format!(
        "<section id=\"rows\" aria-labelledby=\"rows-title\">\n{title}\n<p class=\"lede\">What is outstanding, by {}. What changed most comes first.{unchanged}</p>\n\
         <div class=\"scroll\"><table class=\"{}\" id=\"rows-table\" data-limit=\"20\" data-what=\"rows\" data-sorted=\"{sorted}\"><thead><tr>{heads}</tr></thead>\n\
         <tbody>{lines}</tbody>\n{}</table></div>\n</section>",
        by_words(&difference.by),
        table_class(&difference.by),
        rest.unwrap_or_default(),
    ))
}

fn line(difference: &Difference, row: &RowChange) -> String {
    let keys = row.keys.iter().zip(difference.by.iter());
    let keys: String = keys.map(|(key, by)| head_of_row(key, by, "")).collect();
    let growth = |rates: Option<Rates>, class: &str| match rates {
        Some(rates) => number(finite(rates.growth), &text(&human::growth(rates.growth)), class),
        None => number(0, "–", class),
    };
    let place = row.place.as_ref().map(place).unwrap_or_default();
    format!(
        "<tr>{keys}{}{}{}<td class=\"where broad\">{place}</td></tr>\n",
        changes(&row.change, row.seen),
        growth(row.rates_before, "wider"),
        growth(row.rates_after, "wide growth"),
    )
}

fn caches(difference: &Difference) -> Markup {
    if difference.caches.is_empty() {
        return html! {};
    }
    let columns = [("Cache", Kind::Text, "key")].into_iter().chain(CHANGES);
    let columns = columns
        .chain([("In slabinfo before", Kind::Number, "wider"), ("In slabinfo after", Kind::Number, "wide")]);
    let lines: String = difference.caches.iter().map(cache).collect();
    PreEscaped(format!(
        "<section id=\"caches\" aria-labelledby=\"caches-title\">\n<h2 id=\"caches-title\">Slab caches</h2>\n<p class=\"lede\">What was traced of each, beside all that the kernel counts.</p>\n\
         <div class=\"scroll\"><table class=\"data\" id=\"caches-table\" data-limit=\"20\" data-what=\"caches\" data-sorted=\"bytes\"><thead><tr>{}</tr></thead>\n\
         <tbody>{lines}</tbody></table></div>\n</section>",
        heads(columns)
    ))
}

fn cache(cache: &CacheChange) -> String {
    let slabinfo = |objects: Option<u64>, class: &str| {
        number(objects.unwrap_or(0), &objects.map_or_else(|| "–".to_owned(), human::grouped), class)
    };
    let partial = if cache.is_partial { " <small class=\"traced\">partial</small>" } else { "" };
    format!(
        "<tr><th scope=\"row\" class=\"key\">{}{partial}</th>{}{}{}</tr>\n",
        clean(&cache.name),
        changes(&cache.change, cache.seen),
        slabinfo(cache.slabinfo_before, "wider"),
        slabinfo(cache.slabinfo_after, "wide"),
    )
}
