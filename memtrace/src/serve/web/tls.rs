//! From the file to what rustls takes.

use std::{fs, path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};
use serde::Deserialize;

use crate::text::escape;

/// What is empty is as if it were not there.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    pub cert: Option<String>,
    pub key: Option<String>,
    pub client_ca: Option<String>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub client_ca_file: Option<PathBuf>,
    pub client_auth_type: Option<String>,
    pub min_version: Option<String>,
    pub max_version: Option<String>,
    pub prefer_server_cipher_suites: Option<bool>,
}

impl Section {
    /// Of whoever connects, and who has none is not let in.
    pub fn asks_for_certificates(&self) -> bool {
        self.client_auth_type.as_deref() == Some(REQUIRED)
    }
}

const REQUIRED: &str = "RequireAndVerifyClientCert";

/// None where nothing of it is set: then there is no TLS.
pub fn config(tls: &Section) -> Result<Option<Arc<ServerConfig>>, String> {
    let parts = [
        is_there(&tls.cert, &tls.cert_file),
        is_there(&tls.key, &tls.key_file),
        is_there(&tls.client_ca, &tls.client_ca_file),
        is_set(&tls.client_auth_type),
    ];
    if !parts.contains(&true) {
        return Ok(None);
    }
    let provider = Arc::new(ring::default_provider());
    let certificates = certificates(&text_of("cert", &tls.cert, &tls.cert_file)?, "cert")?;
    let key =
        PrivateKeyDer::from_pem_slice(&text_of("key", &tls.key, &tls.key_file)?).map_err(
            |error| match error {
                pem::Error::NoItemsFound => "key: there is no key in it".to_owned(),
                error => format!("key: {error}"),
            },
        )?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(tls)?)
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(clients(tls, provider)?)
        .with_single_cert(certificates, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => "the key is not the certificate's".to_owned(),
            error => format!("cert and key: {error}"),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = tls.prefer_server_cipher_suites.unwrap_or(true);
    Ok(Some(Arc::new(config)))
}

/// Who may connect, by certificate.
fn clients(tls: &Section, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let has_authority = is_there(&tls.client_ca, &tls.client_ca_file);
    let is_required = match tls.client_auth_type.as_deref().unwrap_or_default() {
        "" | "NoClientCert" if has_authority => {
            return Err("client_ca is set, and client_auth_type asks for no certificate".to_owned());
        }
        "" | "NoClientCert" => return Ok(WebPkiClientVerifier::no_client_auth()),
        REQUIRED => true,
        "VerifyClientCertIfGiven" => false,
        "RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert" => {
            return Err("client_auth_type: certificates that are not verified keep nobody out; \
                        use RequireAndVerifyClientCert"
                .to_owned());
        }
        other => {
            return Err(format!("client_auth_type cannot be '{}'", escape::terminal(other.as_bytes())));
        }
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&text_of("client_ca", &tls.client_ca, &tls.client_ca_file)?, "client_ca")?
    {
        roots.add(certificate).map_err(|error| format!("client_ca: {error}"))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if is_required { verifier } else { verifier.allow_unauthenticated() };
    verifier.build().map_err(|error| format!("client_ca: {error}"))
}

fn versions(tls: &Section) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let least = version("min_version", tls.min_version.as_deref(), 2)?;
    let most = version("max_version", tls.max_version.as_deref(), 3)?;
    let all = [(3, &TLS13), (2, &TLS12)].into_iter().filter(|(minor, _)| (least..=most).contains(minor));
    let all: Vec<_> = all.map(|(_, version)| version).collect();
    if all.is_empty() { Err("min_version is above max_version".to_owned()) } else { Ok(all) }
}

/// The number behind `TLS 1.`.
fn version(name: &str, text: Option<&str>, default: u8) -> Result<u8, String> {
    match text.unwrap_or_default() {
        "" => Ok(default),
        "TLS12" => Ok(2),
        "TLS13" => Ok(3),
        old @ ("TLS10" | "TLS11") => {
            Err(format!("{name}: {old} is not safe, and not supported; use TLS12 or TLS13"))
        }
        other => {
            Err(format!("{name} cannot be '{}'; use TLS12 or TLS13", escape::terminal(other.as_bytes())))
        }
    }
}

fn certificates(pem: &[u8], name: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| format!("{name}: {error}"))?;
    if all.is_empty() { Err(format!("{name}: there is no certificate in it")) } else { Ok(all) }
}

/// What stands in the file itself, or in another one.
fn text_of(name: &str, text: &Option<String>, path: &Option<PathBuf>) -> Result<Vec<u8>, String> {
    match (path, text.as_ref().filter(|text| !text.is_empty())) {
        (Some(path), _) => {
            fs::read(path).map_err(|error| format!("{name}_file: {}: {error}", escape::path(path)))
        }
        (None, Some(text)) => Ok(text.clone().into_bytes()),
        (None, None) => Err(format!("neither {name} nor {name}_file is set")),
    }
}

fn is_there(text: &Option<String>, path: &Option<PathBuf>) -> bool {
    is_set(text) || path.is_some()
}

fn is_set(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}
