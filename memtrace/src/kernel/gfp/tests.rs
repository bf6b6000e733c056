use proptest::prelude::*;

use super::*;

fn of_format(format: &[u8]) -> Option<GfpNames> {
    GfpNames::from_format(format, |_| None)
}

#[test]
fn names_are_those_that_the_kernel_prints() {
    let names = of_format(include_bytes!("fixtures/6.18.format")).unwrap();
    for (flags, expected) in [
        (0, "none"),
        (0xcc0, "GFP_KERNEL"),
        (0xcc0 | 1 << 8, "GFP_KERNEL|__GFP_ZERO"),
        (0xcc0 | 1 << 22, "GFP_KERNEL_ACCOUNT"),
        (0xcc0 | 1 << 22 | 1 << 8, "GFP_KERNEL_ACCOUNT|__GFP_ZERO"),
        (0xc40, "GFP_NOFS"),
        (0x820, "GFP_ATOMIC"),
        (0x2800, "GFP_NOWAIT"),
        (0x800, "__GFP_KSWAPD_RECLAIM"),
        (0x100, "__GFP_ZERO"),
        (1 << 30 | 1 << 8, "__GFP_ZERO|0x40000000"),
        (1 << 30, "0x40000000"),
    ] {
        assert_eq!(names.text(flags), expected, "{flags:#x}");
    }
}

/// The same flags have other bits, and combinations other flags.
#[test]
fn names_of_another_kernel() {
    let names = of_format(include_bytes!("fixtures/5.10.format")).unwrap();
    for (flags, expected) in [
        (0xcc0, "GFP_KERNEL"),
        (0x40_0cc0, "GFP_KERNEL_ACCOUNT"),
        (0xa20, "GFP_ATOMIC"),
        (0x820, "GFP_NOWAIT|__GFP_HIGH"),
        (0x200, "__GFP_ATOMIC"),
    ] {
        assert_eq!(names.text(flags), expected, "{flags:#x}");
    }
}

/// Where the format has names of bits, the kernel's types tell them.
#[test]
fn names_by_names_of_bits() {
    let bits = [
        "DMA",
        "HIGHMEM",
        "DMA32",
        "MOVABLE",
        "RECLAIMABLE",
        "HIGH",
        "IO",
        "FS",
        "ZERO",
        "UNUSED",
        "DIRECT_RECLAIM",
        "KSWAPD_RECLAIM",
    ];
    let other = |name: &str| name.starts_with(BIT).then(|| 12 + name.len() as u32 % 16);
    let bit = |name: &str| {
        let known = bits.iter().position(|bit| name == format!("{BIT}{bit}_BIT"));
        known.map(|bit| bit as u32).or_else(|| other(name))
    };
    let names = GfpNames::from_format(include_bytes!("fixtures/7.3.format"), bit).unwrap();
    for (flags, expected) in
        [(0xcc0, "GFP_KERNEL"), (0xc40, "GFP_NOFS"), (0x820, "GFP_ATOMIC"), (0x100, "__GFP_ZERO")]
    {
        assert_eq!(names.text(flags), expected, "{flags:#x}");
    }
    assert_eq!(of_format(include_bytes!("fixtures/7.3.format")), None, "the bits are unknown");
}

/// Of both kinds, in short.
#[test]
fn formats_in_short() {
    let format = |list: &str| {
        format!(
            "print fmt: \"gfp_flags=%s\", (REC->gfp_flags) ? __print_flags(REC->gfp_flags, \"|\", {list} ) : \"none\""
        )
    };
    let old = format(
        "{(unsigned long)((( gfp_t)(0x400u|0x800u)) | (( gfp_t)0x40u)), \"GFP_NOFS\"}, \
         {(unsigned long)0, \"__GFP_NOTHING\"}, {(unsigned long)(( gfp_t)0x40u), \"__GFP_IO\"}, { 0, ((void *)0) }",
    );
    let old = of_format(old.as_bytes()).unwrap();
    assert_eq!(old, GfpNames(vec![(0xc40, "GFP_NOFS".to_owned()), (0x40, "__GFP_IO".to_owned())]));

    let named =
        format("{( unsigned long)(( gfp_t)((((1UL))) << (___GFP_IO_BIT))), \"__GFP_IO\"}, { -1, NULL }");
    let bit = |name: &str| (name == "___GFP_IO_BIT").then_some(6);
    let names = GfpNames::from_format(named.as_bytes(), bit).unwrap();
    assert_eq!(names, GfpNames(vec![(0x40, "__GFP_IO".to_owned())]));
    assert_eq!(of_format(named.as_bytes()), None, "the bit is unknown");
}

#[test]
fn formats_without_names() {
    for text in [
        "",
        "print fmt: \"ptr=%p\", REC->ptr",
        "__print_flags(",
        "__print_flags(x, {1, \"A\"",
        "__print_flags(x, {1 \"A\"}",
    ] {
        assert_eq!(of_format(text.as_bytes()), None, "{text}");
    }
    assert_eq!(of_format(b"\xff"), None);
}

#[test]
fn bits_alone_have_names() {
    let bits = [
        ("DIRECT_RECLAIM", 10),
        ("KSWAPD_RECLAIM", 11),
        ("IO", 6),
        ("FS", 7),
        ("ZERO", 8),
        ("UNUSED", 9),
        ("LAST", 25),
    ];
    let bits = bits.map(|(name, bit)| (format!("{BIT}{name}_BIT"), bit)).into();
    let names = GfpNames::from_bits(&bits).unwrap();
    for (flags, expected) in [
        (0xcc0, "GFP_KERNEL"),
        (0xdc0, "GFP_KERNEL|__GFP_ZERO"),
        (0xc40, "GFP_NOFS"),
        (0x440, "__GFP_IO|__GFP_DIRECT_RECLAIM"),
        (1 << 9, "0x200"),
    ] {
        assert_eq!(names.text(flags), expected, "{flags:#x}");
    }
    assert_eq!(GfpNames::from_bits(&HashMap::new()), None);
}

/// Where a kernel has both, they say the same.
#[test]
fn this_kernels_bits_are_those_of_its_format() {
    // Not those of a file: tracefs is this kernel's.
    let Ok(types) = KernelTypes::load() else { return };
    let bits = types.nameless_enumerators(BIT);
    let Some(of_bits) = GfpNames::from_bits(&bits) else { return };
    let Ok(format) = tracefs::read(FORMAT) else { return };
    let of_format = GfpNames::from_format(&format, |name| bits.get(name).copied()).unwrap();
    for flags in [0xcc0, 0x820, 0xc40, 0xdc0] {
        assert_eq!(of_bits.text(flags), of_format.text(flags), "{flags:#x}");
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = of_format(&bytes);
        let _ = of_format(&[b"__print_flags(", &bytes[..]].concat());
    }

    /// All flags are named, each once.
    #[test]
    fn no_flag_is_left_out(flags in any::<u32>()) {
        let names = of_format(include_bytes!("fixtures/6.18.format")).unwrap();
        let value = |word: &str| match word.strip_prefix("0x") {
            Some(digits) => Gfp::from_str_radix(digits, 16).unwrap(),
            None if word == "none" => 0,
            None => names.0.iter().find(|(_, name)| name == word).unwrap().0,
        };
        let text = names.text(flags);
        prop_assert_eq!(text.split('|').map(value).fold(0, |sum, flags| sum | flags), flags);
    }
}
