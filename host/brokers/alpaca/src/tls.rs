//! TLS with one provider and one set of roots, for requests and streams alike.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::config::ConfigError;

/// Roots of the web, no client certificate, the ring provider.
pub(crate) fn client_config() -> Result<ClientConfig, ConfigError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Client { message: error.to_string() })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
