//! The file, as `docs/web-configuration.md` of Prometheus' exporter-toolkit has it: YAML, and what is unknown is refused.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_saphyr::UserMessageFormatter;

use super::{
    Config,
    tls::{self, Section},
    users::Users,
};
use crate::{serve::file, text::escape};

#[derive(Debug, thiserror::Error)]
pub enum WebError {
    #[error("{}: {source}", escape::path(path))]
    Read { path: PathBuf, source: io::Error },
    /// With the place in the file.
    #[error("{}: {problem}", escape::path(path))]
    Faulty { path: PathBuf, problem: String },
}

/// What was read, and what it refers to.
pub struct Read {
    file: File,
    /// By their paths from here.
    pub files: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    tls_server_config: Option<Section>,
    http_server_config: Option<Http>,
    /// Passwords as bcrypt hashes.
    basic_auth_users: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    /// HTTP/1.1 is all there is: it can be turned off, and nothing changes.
    #[serde(rename = "http2")]
    _http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

/// What can be set, and to what, where not to anything.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

pub fn read(path: &Path) -> Result<Read, WebError> {
    let bytes = file::read(path).map_err(|source| WebError::Read { path: path.to_owned(), source })?;
    let mut file = parse(&bytes).map_err(|problem| WebError::Faulty { path: path.to_owned(), problem })?;
    // Paths in it are from where it is.
    let directory = path.parent().unwrap_or(Path::new(""));
    let paths = file
        .tls_server_config
        .as_mut()
        .map(|tls| [&mut tls.cert_file, &mut tls.key_file, &mut tls.client_ca_file]);
    for path in paths.into_iter().flatten() {
        *path = path.take().filter(|path| !path.as_os_str().is_empty()).map(|path| directory.join(path));
    }
    let files =
        file.tls_server_config.iter().flat_map(|tls| [&tls.cert_file, &tls.key_file, &tls.client_ca_file]);
    let files = files.flatten().cloned().collect();
    Ok(Read { file, files })
}

pub fn parse(bytes: &[u8]) -> Result<File, String> {
    let text = str::from_utf8(bytes).map_err(|_| "this is not UTF-8".to_owned())?;
    let file: Result<Option<File>, _> = serde_saphyr::from_str(text);
    file.map(Option::unwrap_or_default).map_err(|error| {
        let problem = error.without_snippet().render_with_formatter(&UserMessageFormatter);
        problem.lines().next().unwrap_or_default().to_owned()
    })
}

impl Read {
    pub fn into_config(self, path: &Path) -> Result<Config, WebError> {
        self.file.into_config().map_err(|problem| WebError::Faulty { path: path.to_owned(), problem })
    }
}

impl File {
    fn into_config(self) -> Result<Config, String> {
        let Self { tls_server_config, http_server_config, basic_auth_users } = self;
        let asks_for_certificates = tls_server_config.as_ref().is_some_and(Section::asks_for_certificates);
        let tls = tls_server_config.map(|tls| tls::config(&tls)).transpose()?.flatten();
        let headers = http_server_config.and_then(|http| http.headers).unwrap_or_default();
        let headers = headers.into_iter().map(header).collect::<Result<_, _>>()?;
        let users = Users::new(basic_auth_users.unwrap_or_default())?;
        Ok(Config { tls, headers, users, asks_for_certificates })
    }
}

fn header((name, value): (String, String)) -> Result<(HeaderName, HeaderValue), String> {
    let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
        let known = HEADERS.map(|(known, _)| known).join(", ");
        return Err(format!(
            "headers: '{}' cannot be set; what can: {known}",
            escape::terminal(name.as_bytes())
        ));
    };
    if !values.is_empty() && !values.contains(&value.as_str()) {
        return Err(format!("headers: {name} can be {}", values.join(" or ")));
    }
    match (name.parse(), value.parse()) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(format!("headers: {name} cannot have this value")),
    }
}
