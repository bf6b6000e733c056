//! Is this that incident? Unknown facts of a row never count in favour.

use super::{
    Incident,
    signs::{Comm, Field, Signs, any},
};
use crate::{knowledge::Pattern, procfs::slab::root_name};

/// What is known of a row; what is not is empty or None.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The cache and what is merged into it.
    pub caches: Vec<String>,
    /// Command names: of the allocating process, of its parent, and so on.
    pub chain: Vec<Vec<u8>>,
    /// A real name of an object, or the pattern of many.
    pub name: Option<Vec<u8>>,
    /// The directory: its own name or its path.
    pub parent: Option<Vec<u8>>,
    /// Those that allocate: of the call site, of stacks.
    pub functions: Vec<String>,
    /// Share of the objects that are negative dentries, 0 to 1.
    pub negative: Option<f64>,
}

/// An incident that the evidence supports.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    pub incident: &'a Incident,
    /// The signs that match; never empty.
    pub matched: Vec<Field>,
    /// Typical signs that differ.
    pub differs: Vec<Field>,
    /// Signs about which nothing is known.
    pub unknown: Vec<Field>,
}

impl Evidence {
    /// None where a required sign is missing or different.
    pub(super) fn compare<'a>(&self, incident: &'a Incident) -> Option<Match<'a>> {
        let mut result = Match { incident, matched: vec![], differs: vec![], unknown: vec![] };
        for field in Field::ALL.into_iter().filter(|field| incident.signs.has(*field)) {
            let is_typical = incident.typical.contains(&field);
            match self.shows(field, &incident.signs) {
                Some(true) => result.matched.push(field),
                Some(false) if is_typical => result.differs.push(field),
                None if is_typical || incident.if_known.contains(&field) => result.unknown.push(field),
                Some(false) | None => return None,
            }
        }
        Some(result)
    }

    /// None where nothing is known.
    fn shows(&self, field: Field, signs: &Signs) -> Option<bool> {
        match field {
            Field::Caches => among(&self.caches, |cache| any(&signs.caches, root_name(cache))),
            Field::Comms => self.chain.first().map(|comm| is_comm(&signs.comms, comm)),
            Field::Ancestors => among(self.chain.get(1..)?, |comm| is_comm(&signs.ancestors, comm)),
            Field::Names => self.name.as_deref().map(|name| any(&signs.names, &text(name))),
            Field::Parents => self.parent.as_deref().map(|parent| is_parent(signs, &text(parent))),
            Field::Functions => among(&self.functions, |function| any(&signs.functions, function)),
            // A share that is no number says nothing.
            Field::Negative => {
                let share = self.negative.filter(|share| !share.is_nan())?;
                signs.negative.map(|least| share >= least.get())
            }
        }
    }
}

fn among<T>(known: &[T], is: impl Fn(&T) -> bool) -> Option<bool> {
    (!known.is_empty()).then(|| known.iter().any(is))
}

fn is_comm(comms: &[Comm], comm: &[u8]) -> bool {
    let comm = text(comm);
    comms.iter().any(|sign| sign.pattern().matches(&comm))
}

/// By the whole path where both sides have one, else by the directory's own name.
fn is_parent(signs: &Signs, parent: &str) -> bool {
    let has_path = own_name(parent) != parent;
    signs.parents.iter().any(|sign| match own_name(sign.as_str()) {
        own if own == sign.as_str() => sign.matches(own_name(parent)),
        _ if has_path => sign.matches(parent),
        own => Pattern::try_from(own.to_owned()).is_ok_and(|sign| sign.matches(parent)),
    })
}

fn own_name(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((_, own)) if !own.is_empty() => own,
        _ => path,
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
