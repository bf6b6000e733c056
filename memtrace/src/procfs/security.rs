//! What this process may do, and what the kernel forbids to all.

/// The effective capabilities in /proc/self/status, one bit each.
pub fn effective_capabilities(status: &[u8]) -> Option<u64> {
    let mut lines = status.split(|&byte| byte == b'\n');
    let hex = lines.find_map(|line| line.strip_prefix(b"CapEff:"))?;
    u64::from_str_radix(str::from_utf8(hex).ok()?.trim(), 16).ok()
}

/// The mode in /sys/kernel/security/lockdown, which is the word in brackets: `none [integrity] confidentiality`.
pub fn lockdown_mode(modes: &[u8]) -> Option<&str> {
    let (_, rest) = str::from_utf8(modes).ok()?.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        assert_eq!(effective_capabilities(b"Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective_capabilities(b"Name:\tx\n"), None);
        assert_eq!(effective_capabilities(b"CapEff:\tnot hex\n"), None);
    }

    #[test]
    fn lockdown_is_the_word_in_brackets() {
        assert_eq!(lockdown_mode(b"none [integrity] confidentiality\n"), Some("integrity"));
        assert_eq!(lockdown_mode(b"none"), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = effective_capabilities(&[b"CapEff:", &*bytes].concat());
            let _ = lockdown_mode(&[b"[", &*bytes].concat());
        }
    }
}
