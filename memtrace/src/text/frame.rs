//! What the name of a call tells of where it is.

/// One call of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub function: &'a str,
    pub place: Place<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    Kernel,
    /// A program, a library, or a module of the kernel.
    File(&'a str),
    /// It is a remark, not a call: `(no frame pointer)`.
    Unknown,
}

impl<'a> Frame<'a> {
    /// `main [curl]`, `curl+0x1234` where the function is not known, or a remark; else it is a function of the kernel.
    pub fn of(name: &'a str) -> Self {
        if let Some((function, file)) = name.strip_suffix(']').and_then(|name| name.rsplit_once(" ["))
            && !function.is_empty()
        {
            return Self { function, place: Place::File(file) };
        }
        if let Some((file, offset)) = name.rsplit_once("+0x")
            && u64::from_str_radix(offset, 16).is_ok()
        {
            return Self { function: name, place: Place::File(file) };
        }
        let place = if name.starts_with('(') { Place::Unknown } else { Place::Kernel };
        Self { function: name, place }
    }
}

/// How many of a stack's calls, of which the innermost are first, are in the kernel: its modules' are inside of others.
pub fn in_kernel(stack: &[String]) -> usize {
    let outermost = stack.iter().rposition(|name| Frame::of(name).place == Place::Kernel);
    outermost.map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_in_a_place() {
        let check = |name, function: &str, place| assert_eq!(Frame::of(name), Frame { function, place });
        check("__d_alloc", "__d_alloc", Place::Kernel);
        check("0xffffffff81234567", "0xffffffff81234567", Place::Kernel);
        check("ovl_alloc_inode [overlay]", "ovl_alloc_inode", Place::File("overlay"));
        check(
            "(anonymous namespace)::f(int [2]) [a b.so]",
            "(anonymous namespace)::f(int [2])",
            Place::File("a b.so"),
        );
        check("libc.so.6+0x1f", "libc.so.6+0x1f", Place::File("libc.so.6"));
        check("operator+0xyz", "operator+0xyz", Place::Kernel);
        check("(the process ended)", "(the process ended)", Place::Unknown);
        check(" [x]", " [x]", Place::Kernel);
    }

    #[test]
    fn modules_are_in_the_kernel() {
        let check = |stack: &[&str], count| {
            let stack: Vec<String> = stack.iter().map(ToString::to_string).collect();
            assert_eq!(in_kernel(&stack), count);
        };
        check(&["ovl_alloc_inode [overlay]", "alloc_inode", "read [libc.so.6]", "(no frame pointer)"], 2);
        check(&["read [libc.so.6]", "main [curl]"], 0);
        check(&["__d_alloc"], 1);
        check(&["kmalloc", "do_syscall_64"], 2);
        check(
            &["kmalloc", "ovl_alloc_inode [overlay]", "do_syscall_64", "open64 [libc.so.6]", "curl+0x12"],
            3,
        );
        check(&["kmalloc", "do_syscall_64", "(no frame pointer)"], 2);
        check(&[], 0);
    }
}
