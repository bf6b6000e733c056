//! Names and passwords.
//!
//! A bcrypt hash is made to be slow: one is computed at a time, on a thread that answers nobody, and a password that was right is
//! known by its digest. Unknown names take as long as wrong passwords. After a wrong one nobody's is tried for a while, so that
//! guessing takes little of a CPU, and so of what `--max-cpu` allows.

use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bcrypt::HashParts;
use hyper::header::HeaderValue;
use sha2::{Digest as _, Sha256};
use tokio::{sync::Semaphore, task, time};

use crate::text::escape;

/// Hashes of passwords by name.
#[derive(Default)]
pub struct Users {
    hashes: BTreeMap<String, String>,
    /// No password has it. It costs as much as the dearest.
    nobodys: String,
}

/// Those that bcrypt has.
const COSTS: RangeInclusive<u32> = 4..=31;
/// Right passwords that are remembered.
const MOST_REMEMBERED: usize = 256;
/// A wrong password takes so many times as long as it took to find out.
const PENALTY: u32 = 19;

#[derive(Default)]
pub struct Gate {
    /// Of name, hash and password.
    right: Mutex<HashSet<[u8; 32]>>,
    turn: Turn,
}

struct Turn(Semaphore);

impl Default for Turn {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl Users {
    pub fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        let mut dearest = 0;
        for (name, hash) in &hashes {
            let parts = hash.parse().ok().filter(|parts: &HashParts| COSTS.contains(&parts.get_cost()));
            let parts = parts.ok_or_else(|| {
                let name = escape::terminal(name.as_bytes());
                format!("basic_auth_users: what stands behind '{name}' is no bcrypt hash")
            })?;
            dearest = dearest.max(parts.get_cost());
        }
        // A salt and a digest of zeros.
        let nobodys = format!("$2b${dearest:02}${}", ".".repeat(53));
        Ok(Self { hashes, nobodys })
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

impl Gate {
    pub async fn admits(&self, users: &Users, authorization: Option<&HeaderValue>) -> bool {
        let Some((name, password)) = authorization.and_then(credentials) else { return false };
        let known = users.hashes.get(&name);
        let hash = known.unwrap_or(&users.nobodys).clone();
        let digest = digest([name.as_bytes(), hash.as_bytes(), &password]);
        if known.is_some() && self.remembers(&digest) {
            return true;
        }
        let Ok(_turn) = self.turn.0.acquire().await else { return false };
        // Somebody else may have come with it meanwhile.
        if known.is_some() && self.remembers(&digest) {
            return true;
        }
        let (is_right, took) = verify(password, hash).await;
        if is_right && known.is_some() {
            self.remember(digest);
            return true;
        }
        time::sleep(took * PENALTY).await;
        false
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= MOST_REMEMBERED {
            right.clear();
        }
        right.insert(digest);
    }
}

/// And how long it took.
async fn verify(password: Vec<u8>, hash: String) -> (bool, Duration) {
    let verified = task::spawn_blocking(move || {
        let start = Instant::now();
        (bcrypt::verify(password, &hash).unwrap_or(false), start.elapsed())
    });
    verified.await.unwrap_or_default()
}

/// Of `Authorization: Basic`.
fn credentials(value: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

/// Each part with its length, so that none runs into the next.
fn digest(parts: [&[u8]; 3]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cheap: tests wait for it.
    fn users(cost: u32) -> Users {
        let hash = bcrypt::hash("secret", cost).expect("it can be hashed");
        Users::new(BTreeMap::from([("prometheus".to_owned(), hash)])).expect("it is a hash")
    }

    fn basic(name: &str, password: &str) -> HeaderValue {
        let encoded = BASE64_STANDARD.encode(format!("{name}:{password}"));
        HeaderValue::try_from(format!("Basic {encoded}")).expect("it is text")
    }

    async fn admits(gate: &Gate, users: &Users, name: &str, password: &str) -> bool {
        gate.admits(users, Some(&basic(name, password))).await
    }

    #[tokio::test]
    async fn who_has_the_password_is_let_in() {
        let (gate, users) = (Gate::default(), users(4));
        assert!(!gate.admits(&users, None).await);
        assert!(!admits(&gate, &users, "prometheus", "wrong").await);
        assert!(!admits(&gate, &users, "somebody", "secret").await);
        assert!(!admits(&gate, &users, "", "").await);
        assert!(admits(&gate, &users, "prometheus", "secret").await);
        assert_eq!(gate.right.lock().expect("it is free").len(), 1, "only what was right is remembered");
        assert!(admits(&gate, &users, "prometheus", "secret").await);
        for other in ["Bearer x", "Basic", "Basic !", "Basic cHJvbWV0aGV1cw=="] {
            assert!(!gate.admits(&users, Some(&HeaderValue::from_static(other))).await, "{other}");
        }
    }

    #[tokio::test]
    async fn another_hash_is_another_password() {
        let gate = Gate::default();
        assert!(admits(&gate, &users(4), "prometheus", "secret").await);
        let hash = bcrypt::hash("changed", 4).expect("it can be hashed");
        let changed = Users::new(BTreeMap::from([("prometheus".to_owned(), hash)])).expect("it is a hash");
        assert!(!admits(&gate, &changed, "prometheus", "secret").await);
        assert!(admits(&gate, &changed, "prometheus", "changed").await);
    }

    #[test]
    fn the_hash_of_nobody_costs_as_much_as_the_dearest() {
        let parts: HashParts = users(5).nobodys.parse().expect("it is a hash");
        assert_eq!(parts.get_cost(), 5);
        assert!(!bcrypt::verify("", &users(4).nobodys).expect("it can be computed"));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for hash in ["", "secret", "$2y$10$short", "$1$md5crypt$xxxxxxxxxxxxxxxxxxxxxx"] {
            let users = BTreeMap::from([("a\u{1b}".to_owned(), hash.to_owned())]);
            let problem = Users::new(users).map(drop).expect_err(hash);
            assert_eq!(problem, "basic_auth_users: what stands behind 'a\\x1b' is no bcrypt hash");
        }
        // As htpasswd writes them.
        let of_htpasswd = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";
        assert!(Users::new(BTreeMap::from([("a".to_owned(), of_htpasswd.to_owned())])).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_header_is_read_or_refused(value in "\\PC{0,40}", name in "[^:]{0,8}", password in "\\PC{0,8}") {
            if let Ok(value) = HeaderValue::try_from(value) {
                let _ = credentials(&value);
            }
            prop_assert_eq!(credentials(&basic(&name, &password)), Some((name, password.into_bytes())));
        }

        #[test]
        fn parts_do_not_run_into_each_other(a in "[ab]{0,3}", b in "[ab]{0,3}", c in "[ab]{0,3}", d in "[ab]{0,3}") {
            let of = |name: &str, password: &str| digest([name.as_bytes(), b"", password.as_bytes()]);
            prop_assert_eq!(of(&a, &b) == of(&c, &d), (&a, &b) == (&c, &d));
        }
    }
}
