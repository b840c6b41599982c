//! Whom we believe: the system's certificate authorities, and the operator's own.
//!
//! The one law: there is no setting that switches verification off.

use std::path::Path;
use std::sync::Arc;

use offtake_model::{ErrorCode, Fault};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

/// Makes aws-lc-rs the process's provider, for libraries that ask for a default. Ours is always given explicitly.
pub fn use_our_crypto() {
    // An error says that one was installed before, which is as good.
    let _ = CryptoProvider::install_default(aws_lc_rs::default_provider());
}

/// The TLS settings of every connection.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<ClientConfig, Fault> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        warn!(%error, "some certificates of the system cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        add(&mut roots, path)?;
    }
    if roots.is_empty() {
        warn!("no certificate authority is known: every TLS connection will be refused");
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| Fault::new(ErrorCode::Internal, "set up TLS").because(&error))
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), Fault> {
    let broken = |error: &dyn std::error::Error| {
        Fault::new(
            ErrorCode::FieldInvalid,
            format!(
                "read `network.ca_file` {}: it is no file of PEM certificates ({error})",
                path.display()
            ),
        )
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| broken(&error))?;
    let mut count = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| broken(&error))?;
        roots.add(certificate).map_err(|error| broken(&error))?;
        count += 1;
    }
    if count == 0 {
        return Err(Fault::new(
            ErrorCode::FieldInvalid,
            format!(
                "read `network.ca_file` {}: it holds no certificate",
                path.display()
            ),
        ));
    }
    Ok(())
}
