//! Users of this host, as /etc/passwd and /etc/group name them.

use std::fs;

use crate::text::escape;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user, as somebody writes one: by name or by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As it was written.
    text: String,
    pub uid: u32,
    /// Its own group; None of a number that has no name here.
    pub gid: Option<u32>,
    pub name: Option<String>,
    pub home: Option<String>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no user is called '{}'", escape::terminal(.0.as_bytes()))]
pub struct NoSuchUser(String);

/// A line of /etc/passwd.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl User {
    /// Containers and network directories have users that this host has no names for: a number is always one.
    pub fn parse(text: &str) -> Result<Self, NoSuchUser> {
        Self::of(text, &fs::read_to_string(PASSWD).unwrap_or_default())
    }

    fn of(text: &str, passwd: &str) -> Result<Self, NoSuchUser> {
        let number = text.parse().ok().filter(|&uid| uid != u32::MAX);
        let is_it = |entry: &Entry<'_>| entry.name == text || number == Some(entry.uid);
        let found = passwd.lines().filter_map(entry).find(is_it);
        let uid = found.as_ref().map(|entry| entry.uid).or(number);
        Ok(Self {
            text: text.to_owned(),
            uid: uid.ok_or_else(|| NoSuchUser(text.to_owned()))?,
            gid: found.as_ref().map(|entry| entry.gid),
            home: found.as_ref().map(|entry| entry.home.to_owned()).filter(|home| !home.is_empty()),
            name: found.map(|entry| entry.name.to_owned()),
        })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its groups beside its own.
    pub fn groups(&self) -> Vec<u32> {
        groups(self.name.as_deref(), &fs::read_to_string(GROUP).unwrap_or_default())
    }
}

fn entry(line: &str) -> Option<Entry<'_>> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Entry { name, uid, gid, home: fields.nth(1)? })
}

fn groups(user: Option<&str>, group: &str) -> Vec<u32> {
    let Some(user) = user else { return Vec::new() };
    let number = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let gid = fields.next()?.parse().ok()?;
        fields.next()?.split(',').any(|member| member == user).then_some(gid)
    };
    group.lines().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOME: &str = "root:x:0:0:root:/nonexistent:/bin/sh\nann:x:1000:1001:,,,:/srv/ann:/bin/sh\n# no user\n7:x:70:71::/:\n";

    #[test]
    fn a_user_has_a_name_and_a_number() {
        let of = |text| User::of(text, SOME).map(|user| (user.uid, user.gid, user.name));
        assert_eq!(of("ann"), Ok((1000, Some(1001), Some("ann".to_owned()))));
        assert_eq!(of("0"), Ok((0, Some(0), Some("root".to_owned()))));
        assert_eq!(of("100000"), Ok((100_000, None, None)));
        // A name goes before a number.
        assert_eq!(of("7"), Ok((70, Some(71), Some("7".to_owned()))));
        for text in ["", "bob", "-1", "4294967295", "1e3"] {
            assert_eq!(of(text), Err(NoSuchUser(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn groups_have_members() {
        let some = "root:x:0:\nadm:x:4:syslog,ann\ndocker:x:999:ann\nann:x:1001:\n";
        assert_eq!(groups(Some("ann"), some), [4, 999]);
        assert_eq!(groups(Some("an"), some), [0; 0]);
        assert_eq!(groups(None, some), [0; 0]);
    }

    proptest! {
        #[test]
        fn any_text(text in ".{0,10}", file in ".{0,100}") {
            let _ = User::of(&text, &file);
            groups(Some(&text), &file);
        }
    }
}
