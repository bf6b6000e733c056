//! One JSON object, for scripts.

use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Answer, Topic};
use crate::{
    knowledge::{
        Line, Prose,
        caches::{self, CacheEntry},
        incidents::{Field, Incident, Incidents},
    },
    procfs::slab::SlabCache,
    text::escape,
};

const VERSION: u32 = 1;

pub fn explain(answer: &Answer) -> String {
    let here =
        |caches: &[SlabCache]| caches.iter().map(|cache| host(cache, answer.page_size)).collect::<Vec<_>>();
    let topic = |topic: &Topic| {
        let mut value = entry(topic.entry);
        value["host"] = Value::Array(here(&topic.here));
        value["incidents"] = topic.incidents.iter().map(|known| incident(known)).collect();
        value
    };
    one_line(&json!({
        "type": "explain",
        "version": VERSION,
        "asked": answer.asked,
        "caches": answer.topics.iter().map(topic).collect::<Vec<_>>(),
        "unknown": here(&answer.unknown),
        "notes": answer.notes,
    }))
}

pub fn list(incidents: &Incidents) -> String {
    one_line(&json!({
        "type": "explain",
        "version": VERSION,
        "asked": null,
        "caches": caches::all().iter().map(entry).collect::<Vec<_>>(),
        "incidents": incidents.iter().map(incident).collect::<Vec<_>>(),
    }))
}

fn one_line(value: &impl Serialize) -> String {
    let line = serde_json::to_string(value).unwrap_or_default();
    format!("{}\n", escape::json_fragment(&line))
}

fn entry(entry: &CacheEntry) -> Value {
    let look = entry.look.iter().map(|look| json!({"run": look.run.as_str(), "tells": look.tells.as_str()}));
    json!({
        "names": entry.names.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "title": entry.title.as_str(),
        "holds": entry.holds.as_str(),
        "fills": entry.fills.as_str(),
        "reclaim": entry.reclaim,
        "reclaim_how": entry.reclaim_how.as_str(),
        "look": look.collect::<Vec<_>>(),
        "helps": prose(&entry.helps),
        "caveats": prose(&entry.caveats),
        "references": lines(&entry.references),
    })
}

fn incident(known: &Incident) -> Value {
    let signs = Field::ALL.into_iter().filter(|field| known.signs.has(*field));
    json!({
        "id": known.id.as_str(),
        "title": known.title.as_str(),
        "signs": signs.map(|field| (field.to_string(), Value::from(known.signs.text(field)))).collect::<serde_json::Map<_, _>>(),
        "if_known": known.if_known,
        "typical": known.typical,
        "cause": known.cause.as_str(),
        "now": prose(&known.now),
        "for_good": prose(&known.for_good),
        "verify": prose(&known.verify),
        "references": lines(&known.references),
    })
}

fn host(cache: &SlabCache, page_size: u64) -> Value {
    json!({
        "name": cache.name,
        "aliases": cache.aliases,
        "object_size": cache.slab_size,
        "reclaimable": cache.reclaimable,
        "active_objects": cache.counts.map(|counts| counts.active_objects),
        "total_objects": cache.counts.map(|counts| counts.total_objects),
        "bytes": cache.counts.map(|counts| counts.bytes(page_size)),
    })
}

fn prose(texts: &[Prose]) -> Vec<&str> {
    texts.iter().map(Prose::as_str).collect()
}

fn lines(texts: &[Line]) -> Vec<&str> {
    texts.iter().map(Line::as_str).collect()
}
