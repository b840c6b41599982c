//! Puts credentials on requests.
//!
//! The one law: a signer never shows what it holds, and refuses what would end up in the wrong place.

mod aws;
mod azure;

pub use aws::{AwsKeys, AwsSigner};
pub use azure::AzureSigner;

use bytes::Bytes;
use http::Request;
use object_store::client::HttpRequest;
use offtake_model::{ErrorCode, Fault};

/// Lets an authorizer of the object-store crate work on our request.
fn authorize(
    request: &mut Request<Bytes>,
    sign: impl FnOnce(&mut HttpRequest),
) -> Result<(), Fault> {
    if request.uri().scheme().is_none() || url::Url::parse(&request.uri().to_string()).is_err() {
        return Err(unusable("its address is not a whole URL"));
    }
    let mut shadow = HttpRequest::new(request.body().clone().into());
    *shadow.method_mut() = request.method().clone();
    *shadow.uri_mut() = request.uri().clone();
    *shadow.headers_mut() = std::mem::take(request.headers_mut());
    // Signing again, for a repeated request, replaces the signature.
    shadow.headers_mut().remove(http::header::AUTHORIZATION);
    sign(&mut shadow);
    let (parts, _) = shadow.into_parts();
    *request.headers_mut() = parts.headers;
    *request.uri_mut() = parts.uri;
    Ok(())
}

fn unusable(reason: &str) -> Fault {
    Fault::new(ErrorCode::Internal, format!("sign a request: {reason}"))
}

/// Credentials with line ends or the like would break the header that they stand in.
fn fits_a_header(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}
