//! Servers that a test starts for itself on loopback, and ends.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);

/// Password of every account of the odd server.
pub(crate) const ODD_PASSWORD: &str = "odd-Pass-1";

/// A running server with its own keys and folder.
pub(crate) struct Server {
    process: Child,
    place: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// OpenSSH's, which lets the test's own keys in and lands in [`Server::root`].
    pub(crate) fn openssh() -> Self {
        Self::openssh_with("")
    }

    pub(crate) fn openssh_with(more: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        fs::create_dir(path.join("files")).unwrap();
        fs::create_dir_all("/run/sshd").ok();
        keygen(path, "host", &["-t", "ed25519"]);
        keygen(path, "ed25519", &["-t", "ed25519"]);
        let public = fs::read_to_string(path.join("ed25519.pub")).unwrap();
        fs::write(path.join("authorized"), public).unwrap();
        let port = free_port();
        let at = path.display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             AuthorizedKeysFile {at}/authorized\nMaxStartups 200\nMaxSessions 20\n{more}\n\
             Subsystem sftp internal-sftp\nForceCommand internal-sftp -d {at}/files\n"
        );
        fs::write(path.join("config"), config).unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(path.join("config"));
        Self::start(command, place, port)
    }

    /// The one that misbehaves as the user name says.
    pub(crate) fn odd() -> Self {
        let place = tempfile::tempdir().unwrap();
        let port = free_port();
        keygen(place.path(), "host", &["-t", "ed25519"]);
        keygen(place.path(), "ed25519", &["-t", "ed25519"]);
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut command = Command::new(repository.join(".testbed/venv/bin/python"));
        command
            .arg("-B")
            .arg(repository.join("tests/testbed/peers/sftp_odd.py"))
            .args(["--port", &port.to_string(), "--root"])
            .arg(place.path().join("files"))
            .arg("--host-key")
            .arg(place.path().join("host"))
            .arg("--authorized-keys")
            .arg(place.path().join("ed25519.pub"))
            .env("SFTP_ODD_PASSWORD", ODD_PASSWORD);
        Self::start(command, place, port)
    }

    fn start(mut command: Command, place: tempfile::TempDir, port: u16) -> Self {
        let log = fs::File::create(place.path().join("log")).unwrap();
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("start {command:?}: {error}; `cargo xtask testbed install` brings it")
            });
        let mut server = Self {
            process,
            place,
            port,
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.process.try_wait().unwrap();
            if ended.is_some() || started.elapsed() > START_MAX {
                let log = fs::read_to_string(server.place.path().join("log")).unwrap();
                panic!("{command:?} does not listen: {log}");
            }
            std::thread::yield_now();
        }
        server
    }

    /// The folder that logins land in, on this host.
    pub(crate) fn root(&self) -> PathBuf {
        self.place.path().join("files")
    }

    /// The server's public host key, as in a `known_hosts` file without the host.
    pub(crate) fn host_key(&self) -> String {
        let made = Command::new("ssh-keygen")
            .args(["-y", "-f"])
            .arg(self.place.path().join("host"))
            .output()
            .unwrap();
        let line = String::from_utf8(made.stdout).unwrap();
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The base64 of the test's private key.
    pub(crate) fn key(&self) -> String {
        STANDARD.encode(fs::read(self.place.path().join("ed25519")).unwrap())
    }

    /// Makes a key with these options, lets it in, and gives its text.
    pub(crate) fn new_key(&self, options: &[&str]) -> String {
        keygen(self.place.path(), "other", options);
        let public = fs::read_to_string(self.place.path().join("other.pub")).unwrap();
        fs::write(self.place.path().join("authorized"), public).unwrap();
        fs::read_to_string(self.place.path().join("other")).unwrap()
    }

    /// A file beside the server's, for a test's own use.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn keygen(place: &Path, name: &str, options: &[&str]) {
    fs::remove_file(place.join(name)).ok();
    let mut command = Command::new("ssh-keygen");
    command
        .arg("-q")
        .args(options)
        .arg("-f")
        .arg(place.join(name));
    if !options.contains(&"-N") {
        command.args(["-N", ""]);
    }
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
