//! The SFTP sink against OpenSSH's server and against one that misbehaves on request.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop where it stands"
)]

mod bench;
mod host_keys;
mod logins;
mod odd;
mod promises;
mod server;
