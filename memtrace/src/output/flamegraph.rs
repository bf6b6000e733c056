//! Flame graphs: one SVG file that needs nothing else, to zoom and to search in any browser.

use std::io::{self, Write};

use inferno::flamegraph::{
    Options, TextTruncateDirection,
    color::{BackgroundColor, Color, PaletteMap},
    from_lines,
};

use super::{folded, phrases::provenance};
use crate::{
    text::frame::{self, Frame, Place},
    view::{
        Snapshot,
        profile::{Profile, Profiled, Sample, Weight},
    },
};

/// What is drawn where nothing has any of the weight.
const EMPTY: &str = include_str!("flamegraph/empty.svg");

/// Commands at the bottom, then the calls from outside in, slab caches at the top.
pub fn write(profile: &Profile, snapshot: &Snapshot, weight: Weight, out: &mut impl Write) -> io::Result<()> {
    let stacks = folded::stacks(profile, weight);
    if stacks.is_empty() {
        return out.write_all(EMPTY.as_bytes());
    }
    let mut colours = colours(profile);
    let mut options = options(weight);
    options.subtitle = Some(provenance::words(profile, snapshot).join(" · "));
    options.palette_map = Some(&mut colours);
    // All together they have to be a number still.
    let most = u64::MAX / stacks.len() as u64;
    let lines: Vec<String> =
        stacks.iter().map(|(stack, &count)| format!("{stack} {}", count.min(most))).collect();
    from_lines(&mut options, lines.iter().map(String::as_str), out)
}

/// As wide as what is there after, and red where it is more than before, blue where it is less. What is gone has no width: the
/// difference the other way round shows it.
pub fn write_difference(
    before: Profiled<'_>,
    after: Profiled<'_>,
    weight: Weight,
    out: &mut impl Write,
) -> io::Result<()> {
    let stacks = folded::differences(before.profile, after.profile, weight);
    if stacks.values().all(|&[_, after]| after == 0) {
        return out.write_all(EMPTY.as_bytes());
    }
    let mut options = options(weight);
    options.title += ": red is more than before, blue is less";
    options.subtitle = Some(provenance::of_difference(before, after));
    let most = i64::MAX as u64 / stacks.len() as u64;
    let line = |(stack, [before, after]): (&String, &[u64; 2])| {
        format!("{stack} {} {}", before.min(&most), after.min(&most))
    };
    let lines: Vec<String> = stacks.iter().map(line).collect();
    from_lines(&mut options, lines.iter().map(String::as_str), out)
}

/// All but where it is from, and its colours.
fn options(weight: Weight) -> Options<'static> {
    let (title, unit) = words(weight);
    let mut options = Options::default();
    options.title = title.to_owned();
    options.count_name = unit.to_owned();
    options.name_type = "Frame:".to_owned();
    options.bgcolors = Some(BackgroundColor::Flat(Color::new(255, 255, 255)));
    options.text_truncate_direction = TextTruncateDirection::Right;
    // They are sorted by their names alone, as has to be; inferno would sort them together with their counts.
    options.no_sort = true;
    options
}

/// By name: each kind has its colour, each name a shade of it. The same profile is the same picture.
fn colours(profile: &Profile) -> PaletteMap {
    let mut colours = PaletteMap::default();
    // All together.
    colours.insert("", Color::new(225, 225, 225));
    for sample in &profile.samples {
        let names = folded::names(sample);
        for (name, kind) in names.into_iter().zip(kinds(sample)) {
            let colour = kind.shade(&name);
            colours.insert(name, colour);
        }
    }
    colours
}

/// What stands in a sample's line, in its order.
fn kinds(sample: &Sample) -> impl Iterator<Item = Kind> {
    let in_kernel = frame::in_kernel(&sample.frames);
    let calls = sample.frames.iter().enumerate().rev().map(move |(at, name)| match Frame::of(name).place {
        _ if at < in_kernel => Kind::Kernel,
        Place::Unknown => Kind::Remark,
        Place::Kernel | Place::File(_) => Kind::Program,
    });
    std::iter::once(Kind::Command).chain(calls).chain([Kind::Cache])
}

#[derive(Clone, Copy)]
enum Kind {
    Command,
    Program,
    Kernel,
    Cache,
    Remark,
}

impl Kind {
    fn shade(self, name: &str) -> Color {
        let [red, green, blue] = match self {
            Self::Command => [128, 168, 222],
            Self::Program => [150, 205, 140],
            Self::Kernel => [226, 165, 90],
            Self::Cache => [200, 155, 215],
            Self::Remark => [205, 205, 205],
        };
        let hash = name.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let lighter = (hash % 29) as u8;
        Color::new(red + lighter, green + lighter, blue + lighter)
    }
}

/// The title, and the unit.
fn words(weight: Weight) -> (&'static str, &'static str) {
    match weight {
        Weight::Bytes => ("Outstanding slab memory by the calls that allocated it", "bytes"),
        Weight::Objects => ("Outstanding slab objects by the calls that allocated them", "objects"),
        Weight::AllocatedBytes => ("Allocated slab memory, freed or not, by the calls that did it", "bytes"),
        Weight::AllocatedObjects => {
            ("Allocated slab objects, freed or not, by the calls that did it", "objects")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;
    use proptest::prelude::*;
    use quick_xml::{
        Reader,
        events::{BytesStart, Event},
    };

    use super::*;
    use crate::output::sample;

    const WEIGHTS: [Weight; 4] =
        [Weight::Bytes, Weight::Objects, Weight::AllocatedBytes, Weight::AllocatedObjects];

    fn svg(profile: &Profile, snapshot: &Snapshot, weight: Weight) -> String {
        let mut out = Vec::new();
        write(profile, snapshot, weight, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// What a parser makes of it.
    #[derive(Default)]
    struct Parsed {
        /// How many elements of each name.
        elements: BTreeMap<String, u64>,
        attributes: Vec<(String, String)>,
        texts: Vec<String>,
    }

    impl Parsed {
        fn start(&mut self, element: &BytesStart<'_>) {
            let name = String::from_utf8(element.name().as_ref().to_vec()).unwrap();
            *self.elements.entry(name).or_default() += 1;
            for attribute in element.attributes() {
                let attribute = attribute.unwrap();
                let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                let value = std::str::from_utf8(&attribute.value).unwrap();
                self.attributes.push((key, quick_xml::escape::unescape(value).unwrap().into_owned()));
            }
        }
    }

    #[track_caller]
    fn parse(svg: &str) -> Parsed {
        let mut reader = Reader::from_str(svg);
        let mut parsed = Parsed::default();
        let mut text = String::new();
        let mut depth = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Start(element) => {
                    parsed.start(&element);
                    depth += 1;
                }
                Event::Empty(element) => parsed.start(&element),
                Event::Text(part) => text += &part.decode().unwrap(),
                Event::GeneralRef(part) => {
                    let entity = format!("&{};", part.decode().unwrap());
                    text += &quick_xml::escape::unescape(&entity).unwrap();
                }
                Event::End(_) => {
                    depth -= 1;
                    parsed.texts.push(std::mem::take(&mut text).trim().to_owned());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(depth, 0, "each element ends");
        parsed
    }

    #[test]
    fn it_says_what_it_is() {
        let texts = |snapshot, weight| {
            let parsed = parse(&svg(&sample::profile(), &snapshot, weight));
            let shown = parsed.texts.into_iter().filter(|text| !text.is_empty() && !text.contains('\n'));
            shown.collect::<Vec<_>>().join("\n")
        };
        assert_snapshot!(texts(sample::dentry(), Weight::Bytes));
        assert_snapshot!(texts(sample::sampled(), Weight::AllocatedObjects));
    }

    #[test]
    fn it_needs_nothing_from_elsewhere() {
        let parsed = parse(&svg(&sample::profile(), &sample::dentry(), Weight::Bytes));
        let loads = |(key, _): &&(String, String)| matches!(key.as_str(), "href" | "xlink:href" | "src");
        assert_eq!(parsed.attributes.iter().find(loads), None);
    }

    fn difference(before: &Profile, after: &Profile) -> String {
        let side = |profile| Profiled { profile, snapshot: &DENTRY };
        let mut out = Vec::new();
        write_difference(side(before), side(after), Weight::Bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    static DENTRY: std::sync::LazyLock<Snapshot> = std::sync::LazyLock::new(sample::dentry);

    #[test]
    fn a_difference_says_what_changed() {
        let after = sample::profile();
        let mut before = after.clone();
        before.samples[0].bytes /= 2;
        let parsed = parse(&difference(&before, &after));
        let shown = parsed.texts.into_iter().filter(|text| !text.is_empty() && !text.contains('\n'));
        assert_snapshot!(shown.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_difference_to_nothing_is_a_picture() {
        let some = sample::profile();
        let none = Profile::default();
        parse(&difference(&none, &some));
        assert_eq!(parse(&difference(&some, &none)).texts[0], "memtrace: there is nothing to show");
        let mut much = some.clone();
        much.samples.iter_mut().for_each(|sample| sample.bytes = u64::MAX);
        parse(&difference(&much, &some));
        parse(&difference(&some, &much));
    }

    #[test]
    fn each_kind_has_its_colour() {
        let sample = &sample::profile().samples[4];
        let colours = colours(&sample::profile());
        let shown: Vec<String> = folded::names(sample)
            .into_iter()
            .map(|name| format!("{} {name}", colours.get(&name).unwrap()))
            .collect();
        assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn the_same_profile_is_the_same_picture() {
        let picture = || svg(&sample::profile(), &sample::dentry(), Weight::Bytes);
        assert_eq!(picture(), picture());
    }

    #[test]
    fn hostile_names_are_text() {
        let parsed = parse(&svg(&sample::hostile_profile(), &sample::hostile(), Weight::Bytes));
        let plain = parse(&svg(&sample::profile(), &sample::dentry(), Weight::Bytes));
        let kinds = |parsed: &Parsed| parsed.elements.keys().cloned().collect::<Vec<_>>();
        assert_eq!(kinds(&parsed), kinds(&plain));
        assert_eq!(parsed.elements["script"], 1, "inferno's own");
        let found =
            parsed.texts.iter().filter(|text| text.starts_with("<script>alert(1)</script> (")).count();
        assert_eq!(found, 3, "as a command, as a function and as a cache");
    }

    #[test]
    fn nothing_is_a_picture_that_says_so() {
        let empty = svg(&Profile::default(), &sample::empty(), Weight::Bytes);
        assert_eq!(parse(&empty).texts[0], "memtrace: there is nothing to show");
    }

    #[test]
    fn what_is_too_much_to_be_true_is_drawn() {
        let mut profile = sample::profile();
        profile.samples.iter_mut().for_each(|sample| sample.bytes = u64::MAX);
        parse(&svg(&profile, &sample::dentry(), Weight::Bytes));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_names_there_are_it_is_a_picture_of_all(profile in sample::any_profile()) {
            for weight in WEIGHTS {
                let parsed = parse(&svg(&profile, &sample::dentry(), weight));
                let all: u64 = profile.samples.iter().map(|sample| weight.of(sample)).sum();
                if all > 0 {
                    let total = ("total_samples".to_owned(), all.to_string());
                    prop_assert!(parsed.attributes.contains(&total));
                    prop_assert_eq!(parsed.elements["script"], 1);
                }
            }
        }
    }
}
