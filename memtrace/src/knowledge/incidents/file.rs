//! From a file's bytes to incidents, or to the line that is wrong.

use std::{fs::File, io::Read as _, path::Path};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Fault, Incident, IncidentsError, repeated,
    signs::{Field, Signs},
};
use crate::knowledge::{Line, Prose};

/// Enough for some thousand incidents, and small enough to refuse a disk image.
pub const MAX_BYTES: u64 = 1 << 20;

/// As it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    id: Line,
    title: Prose,
    signs: Signs,
    #[serde(default)]
    if_known: Vec<Field>,
    #[serde(default)]
    typical: Vec<Field>,
    cause: Prose,
    #[serde(default)]
    now: Vec<Prose>,
    #[serde(default)]
    for_good: Vec<Prose>,
    #[serde(default)]
    verify: Vec<Prose>,
    #[serde(default)]
    references: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    incident: Vec<Spanned<Incident>>,
}

impl TryFrom<Table> for Incident {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let relaxed = || table.if_known.iter().chain(&table.typical);
        if let Some(field) = relaxed().find(|field| !table.signs.has(**field)) {
            return Err(format!("'{field}' is in if_known or typical, but not in signs"));
        }
        if let Some(field) = table.if_known.iter().find(|field| table.typical.contains(field)) {
            return Err(format!("'{field}' is both in if_known and in typical"));
        }
        if !Field::ALL
            .into_iter()
            .any(|field| table.signs.has(field) && relaxed().all(|other| *other != field))
        {
            return Err(
                "no sign is required: at least one must be in neither if_known nor typical".to_owned()
            );
        }
        let Table { id, title, signs, if_known, typical, cause, now, for_good, verify, references } = table;
        Ok(Self { id, title, signs, if_known, typical, cause, now, for_good, verify, references })
    }
}

pub fn read(path: &Path) -> Result<Vec<Incident>, IncidentsError> {
    let failed = |source| IncidentsError::Read { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(IncidentsError::TooLong { path: path.to_path_buf() });
    }
    parse(&bytes).map_err(|fault| IncidentsError::Faulty { path: path.to_path_buf(), fault })
}

pub fn parse(bytes: &[u8]) -> Result<Vec<Incident>, Fault> {
    let fault = |at: usize, problem: String| Fault { line: line_of(bytes, at), problem };
    let text = str::from_utf8(bytes).map_err(|error| fault(error.valid_up_to(), "not UTF-8".to_owned()))?;
    let tables: Tables = toml::from_str(text)
        .map_err(|error| fault(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    if tables.incident.is_empty() {
        return Err(fault(0, "there is no [[incident]]".to_owned()));
    }
    let ids = tables.incident.iter().map(|incident| incident.get_ref().id.as_str());
    if let Some((index, id)) = repeated(ids) {
        let at = tables.incident[index].span().start;
        return Err(fault(at, format!("the id '{id}' is used twice")));
    }
    Ok(tables.incident.into_iter().map(Spanned::into_inner).collect())
}

/// Counted from 1.
fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes.iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
}
