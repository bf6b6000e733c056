//! Names of allocation flags (`gfp_t`).
//!
//! Which bit means what differs between kernels, so the kernel is asked. In tracefs, the format of `kmem_cache_alloc` has all
//! names as the kernel itself prints them, those of usual combinations first: `{(unsigned long)((gfp_t)(0x400u|0x800u)),
//! "__GFP_RECLAIM"}`, from [`expression`]s that C's preprocessor left. Where tracefs is unavailable, BTF has the bits: they are an
//! enumeration since Linux commit 772dd0342727 ("mm: enumerate all gfp flags") (in v6.9).

mod expression;

use std::{cell::OnceCell, collections::HashMap};

use super::{
    tracefs::{self, TracefsError},
    types::KernelTypes,
};
use crate::stream::event::Gfp;

const FORMAT: &str = "events/kmem/kmem_cache_alloc/format";

/// In the format, the list of names follows.
const LIST: &str = "__print_flags(";

/// What the names of bits begin with.
const BIT: &str = "___GFP_";

/// Combinations that the kernel names, as include/linux/gfp_types.h has them since there is an enumeration of the bits. The
/// kernel looks for larger ones first, and so do we.
const COMBINATIONS: [(&str, &[&str]); 7] = [
    ("GFP_USER", &["DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS", "HARDWALL"]),
    ("GFP_KERNEL_ACCOUNT", &["DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS", "ACCOUNT"]),
    ("GFP_KERNEL", &["DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS"]),
    ("GFP_NOFS", &["DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO"]),
    ("GFP_ATOMIC", &["HIGH", "KSWAPD_RECLAIM"]),
    ("GFP_NOIO", &["DIRECT_RECLAIM", "KSWAPD_RECLAIM"]),
    ("GFP_NOWAIT", &["KSWAPD_RECLAIM", "NOWARN"]),
];

#[derive(Debug, thiserror::Error)]
pub enum GfpError {
    #[error("{0}, and the kernel's BTF does not have them (before Linux 6.9)")]
    Tracefs(#[from] TracefsError),
    #[error(
        "{FORMAT} of tracefs has an unknown format, and the kernel's BTF does not have them; please report this"
    )]
    Format,
}

/// The names of flags, and of combinations of them before those of their parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GfpNames(Vec<(Gfp, String)>);

impl GfpNames {
    /// Of the running kernel.
    pub fn read() -> Result<Self, GfpError> {
        let bits = Bits::default();
        let format = tracefs::read(FORMAT);
        let from_format =
            format.as_ref().ok().and_then(|format| Self::from_format(format, |name| bits.get(name)));
        match (from_format.or_else(|| Self::from_bits(bits.all())), format) {
            (Some(names), _) => Ok(names),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(_)) => Err(GfpError::Format),
        }
    }

    /// From a tracepoint's format. Some kernels have names of bits in it, not numbers; `bit` gives their numbers.
    pub fn from_format(format: &[u8], bit: impl Fn(&str) -> Option<u32>) -> Option<Self> {
        let format = str::from_utf8(format).ok()?;
        let (_, list) = format.split_once(LIST)?;
        let mut names = Vec::new();
        // The last element is no name, but `((void *)0)`, so that no quotation mark follows.
        for element in list.split('{').skip(1) {
            let (pair, _) = element.split_once('}')?;
            let (value, name) = pair.rsplit_once(',')?;
            let Some(name) = name.trim().strip_prefix('"').and_then(|name| name.strip_suffix('"')) else {
                break;
            };
            let flags = Gfp::try_from(expression::value(value, &bit)?).ok()?;
            if flags != 0 {
                names.push((flags, name.to_owned()));
            }
        }
        (!names.is_empty()).then_some(Self(names))
    }

    /// From the enumeration of bits: `___GFP_IO_BIT` is `__GFP_IO`.
    fn from_bits(bits: &HashMap<String, u32>) -> Option<Self> {
        let flag = |name: &str| 1_u32.checked_shl(*bits.get(&format!("{BIT}{name}_BIT"))?);
        let combined = COMBINATIONS.iter().filter_map(|(name, parts)| {
            let flags = parts.iter().try_fold(0, |flags, part| Some(flags | flag(part)?))?;
            Some((flags, (*name).to_owned()))
        });
        let mut single: Vec<(Gfp, String)> = bits
            .keys()
            .filter_map(|name| name.strip_prefix(BIT)?.strip_suffix("_BIT"))
            .filter(|name| !["UNUSED", "LAST"].contains(name))
            .filter_map(|name| Some((flag(name)?, format!("__GFP_{name}"))))
            .collect();
        single.sort();
        (!single.is_empty()).then(|| Self(combined.chain(single).collect()))
    }

    /// From a table that [`Self::table`] returned.
    pub fn from_table(table: Vec<(Gfp, String)>) -> Self {
        Self(table)
    }

    /// All that is known, combinations before their parts.
    pub fn table(&self) -> &[(Gfp, String)] {
        &self.0
    }

    /// As the kernel prints them: `GFP_KERNEL|__GFP_ZERO`. What has no name is a number.
    pub fn text(&self, gfp: Gfp) -> String {
        let mut rest = gfp;
        let mut parts = Vec::new();
        for (flags, name) in &self.0 {
            if rest & flags == *flags {
                rest &= !flags;
                parts.push(name.clone());
            }
        }
        if rest != 0 {
            parts.push(number(rest));
        }
        if parts.is_empty() { "none".to_owned() } else { parts.join("|") }
    }
}

/// Where flags have no names.
pub fn number(gfp: Gfp) -> String {
    format!("{gfp:#x}")
}

/// The bits of flags by the kernel's types, which are read when they are asked for.
#[derive(Default)]
struct Bits(OnceCell<HashMap<String, u32>>);

impl Bits {
    fn all(&self) -> &HashMap<String, u32> {
        self.0.get_or_init(|| {
            KernelTypes::load().map(|types| types.nameless_enumerators(BIT)).unwrap_or_default()
        })
    }

    fn get(&self, name: &str) -> Option<u32> {
        if name.starts_with(BIT) { self.all().get(name).copied() } else { None }
    }
}

#[cfg(test)]
mod tests;
