//! On the types of the kernel that runs here, and only what holds for all kernels.

use super::*;

/// The running kernel's types, or those in the file that `MEMTRACE_TEST_BTF` names. None, loudly, where there are none:
/// with `MEMTRACE_NO_SKIP=1` a failure.
pub(in crate::kernel) fn some_kernel() -> Option<KernelTypes> {
    let file = std::env::var_os("MEMTRACE_TEST_BTF");
    let types = file.map_or_else(KernelTypes::load, KernelTypes::from_file);
    match types {
        Ok(types) => Some(types),
        Err(TypesError::Missing) if std::env::var_os("MEMTRACE_NO_SKIP").is_none_or(|value| value != "1") => {
            eprintln!("SKIPPED: {}", TypesError::Missing);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn fields_lie_where_c_puts_them() {
    let Some(types) = some_kernel() else { return };
    let offset = |structure, field| types.offset(structure, field).unwrap();
    assert_eq!((offset("list_head", "next"), offset("list_head", "prev")), (0, 8));
    assert_eq!(types.size("list_head").unwrap(), 16);
    // Nested, through the anonymous union of `hash` and `len` with `hash_len`.
    assert_eq!(offset("dentry", "d_name.len"), offset("dentry", "d_name.hash") + 4);
    assert_eq!(offset("dentry", "d_name.hash"), offset("dentry", "d_name.hash_len"));
    assert_eq!(offset("dentry", "d_name.name"), offset("dentry", "d_name.hash_len") + 8);
    assert_eq!(offset("dentry", "d_name.len"), offset("dentry", "d_name") + offset("qstr", "len"));
    for (structure, field) in [("kmem_cache", "name"), ("task_struct", "comm"), ("dentry", "d_parent")] {
        assert!(offset(structure, field) < types.size(structure).unwrap(), "{structure}.{field}");
    }
}

#[test]
fn what_a_kernel_does_not_have_is_named() {
    let Some(types) = some_kernel() else { return };
    let error = |result: Result<u32, TypesError>| result.unwrap_err().to_string();
    assert_eq!(
        error(types.offset("no_such_struct", "name")),
        "this kernel has no `no_such_struct`, which memtrace needs to find its way; please report the kernel's version"
    );
    for path in ["no_such_field", "d_name.no_such_field", "d_name.len.deeper", "no_such_field.len", ""] {
        assert_eq!(
            error(types.offset("dentry", path)),
            format!(
                "this kernel's `dentry` has no field `{path}`, which memtrace needs; please report the kernel's version"
            )
        );
    }
    assert!(error(types.size("no_such_struct")).contains("`no_such_struct`"));
    // A function is not a structure.
    assert!(matches!(types.offset("kfree", "name"), Err(TypesError::NoSuchType(_))));
}

#[test]
fn renamed_fields_are_found_by_the_first_name_that_there_is() {
    let Some(types) = some_kernel() else { return };
    let prev = ("list_head", "prev");
    for alternatives in
        [&[prev][..], &[("no_such_struct", "x"), prev], &[("list_head", "x"), prev, ("list_head", "next")]]
    {
        assert_eq!(types.first_offset(alternatives).unwrap(), 8);
    }
    // The newest name, which stands last, is the one to report.
    let error = types.first_offset(&[("list_head", "old"), ("list_head", "new")]).unwrap_err();
    assert!(error.to_string().contains("no field `new`"), "{error}");
}

#[test]
fn functions_and_tracepoints() {
    let Some(types) = some_kernel() else { return };
    assert_eq!(
        types.function("kfree").map(|function| (function.arguments, function.returns_bool)),
        Some((1, false))
    );
    assert_eq!(types.function("no_such_function"), None);
    // A structure is not a function.
    assert_eq!(types.function("list_head"), None);
    assert!(types.has_tracepoint("kmem_cache_alloc") && types.has_tracepoint("kfree"));
    assert!(!types.has_tracepoint("no_such_tracepoint"));
    assert_eq!(types.tracepoint_argument("no_such_tracepoint", "kmem_cache"), None);
    assert_eq!(types.tracepoint_argument("kfree", "kmem_cache"), None);
    for tracepoint in ["kmem_cache_alloc", "kmem_cache_free"] {
        let argument = types.tracepoint_argument(tracepoint, "kmem_cache");
        assert!(matches!(argument, Some(2) | None), "{tracepoint}: {argument:?}");
    }
    // Stable since long, and of several arguments: (bool preempt, struct task_struct *prev, struct task_struct *next, ..).
    assert_eq!(types.tracepoint_argument("sched_switch", "task_struct"), Some(1));
}

#[test]
fn a_file_that_is_not_btf_is_said_to_be_malformed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not BTF").unwrap();
    assert!(matches!(KernelTypes::from_file(file.path()), Err(TypesError::Malformed(BtfError::Header))));
}
