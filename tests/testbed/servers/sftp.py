"""SFTP: OpenSSH's server with a configuration of its own, and a peer that misbehaves on request.

OpenSSH needs root: for the folder that confines its user, and to check a password. As a normal user the peer's user
`plain`, who does not misbehave, stands in.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import asyncssh

from bed import VENV, Missing, Process, folder, listens, port
from packages import HERE, need_programs, program

USER, PASSWORD, PASSPHRASE = "offtake-sftp", "testbed-Sftp-Pass-1", "testbed-key-pass"
ODD_PASSWORD = "testbed-odd-Pass-1"


def keys() -> Path:
    """The folder with the servers' and the user's keys, made once."""
    place = folder("ssh")
    if not (place / "authorized_keys").exists():
        for name, kind, form, passphrase in (
            ("host_ed25519", "ssh-ed25519", "openssh", None),
            ("host_rsa", "ssh-rsa", "openssh", None),
            ("id_ed25519", "ssh-ed25519", "openssh", None),
            ("id_ecdsa", "ecdsa-sha2-nistp256", "openssh", None),
            ("id_rsa_pem", "ssh-rsa", "pkcs1-pem", None),
            ("id_encrypted", "ssh-ed25519", "openssh", PASSPHRASE),
        ):
            # OpenSSH accepts RSA keys from 1024 bits, but clients today refuse less than 2048.
            options = {"key_size": 2048} if kind == "ssh-rsa" else {}
            made = asyncssh.generate_private_key(kind, **options)
            made.write_private_key(place / name, form, passphrase)
            (place / name).chmod(0o600)
            made.write_public_key(place / f"{name}.pub")
        allowed = sorted(place.glob("id_*.pub"))
        (place / "authorized_keys").write_text("".join(path.read_text() for path in allowed))
    return place


def known_hosts(*ports: int) -> Path:
    """What a client that trusts our servers has on file."""
    path = keys() / "known_hosts"
    public = [path.read_text().strip() for path in sorted(keys().glob("host_*.pub"))]
    path.write_text("".join(f"[127.0.0.1]:{number} {it}\n" for number in ports for it in public))
    return path


def variables_of_keys() -> dict[str, str]:
    """What both servers accept and show."""
    place = keys()
    return {
        "SFTP_HOST": "127.0.0.1",
        "SFTP_KEY_ED25519": str(place / "id_ed25519"),
        "SFTP_KEY_ECDSA": str(place / "id_ecdsa"),
        "SFTP_KEY_RSA_PEM": str(place / "id_rsa_pem"),
        "SFTP_KEY_ENCRYPTED": str(place / "id_encrypted"),
        "SFTP_KEY_PASSPHRASE": PASSPHRASE,
        "SFTP_KNOWN_HOSTS": str(known_hosts(port(OpenSsh.name), port(OddPeer.name))),
        "SFTP_HOST_FINGERPRINT": asyncssh.read_public_key(place / "host_ed25519.pub").get_fingerprint(),
    }


class OpenSsh:
    """The server that everybody runs."""

    name = "openssh"

    def __init__(self) -> None:
        self.process = Process(self.name)

    def up(self) -> bool:
        """Whether it runs."""
        return self.process.known() is not None

    def start(self) -> None:
        """Starts it over an empty home for its one user."""
        if os.geteuid() != 0:
            raise Missing("sshd confines its user and checks passwords only as root; sftp-odd's user `plain` stands in")
        need_programs(["sshd"], ["openssh-server"])
        home = jail()
        # sshd wants all of these owned by root and closed to others, which rules out folders below /tmp.
        (home / "upload").mkdir(parents=True, exist_ok=True)
        home.chmod(0o755)
        Path("/run/sshd").mkdir(exist_ok=True)
        if not has_user():
            run("useradd", "--no-create-home", "--home-dir", "/upload", "--shell", "/usr/sbin/nologin", USER)
        run("chpasswd", said=f"{USER}:{PASSWORD}\n")
        account = pwd.getpwnam(USER)
        os.chown(home / "upload", account.pw_uid, account.pw_gid)
        file = folder("ssh") / "sshd_config"
        file.write_text(configuration(keys(), home))
        self.process.start(program("sshd") or "sshd", "-D", "-e", "-f", file)
        self.process.wait_until(lambda: listens(port(self.name)))

    def end(self) -> None:
        """Ends it and takes its user away again; the user's files stay for a look."""
        self.process.end()
        if os.geteuid() == 0 and has_user():
            subprocess.run(["userdel", "--force", USER], capture_output=True, check=False)

    def variables(self) -> dict[str, str]:
        """What tests must know of it."""
        return variables_of_keys() | {
            "SFTP_PORT": str(port(self.name)),
            "SFTP_USER": USER,
            "SFTP_PASSWORD": PASSWORD,
            "SFTP_FOLDER": str(jail() / "upload"),
        }


class OddPeer:
    """The peer whose user names choose how it misbehaves."""

    name = "sftp-odd"

    def __init__(self) -> None:
        self.process = Process(self.name)

    def up(self) -> bool:
        """Whether it runs."""
        return self.process.known() is not None

    def start(self) -> None:
        """Starts it."""
        place = keys()
        files = ["--root", folder("sftp-odd"), "--host-key", place / "host_ed25519"]
        allowed = ["--authorized-keys", place / "authorized_keys"]
        peer = HERE / "peers" / "sftp_odd.py"
        where = ["--port", str(port(self.name))]
        call = [VENV / "bin" / "python", "-B", peer, *where, *files, *allowed]
        self.process.start(*call, SFTP_ODD_PASSWORD=ODD_PASSWORD)
        self.process.wait_until(lambda: listens(port(self.name)))

    def end(self) -> None:
        """Ends it."""
        self.process.end()

    def variables(self) -> dict[str, str]:
        """What tests must know of it."""
        return variables_of_keys() | {
            "SFTP_ODD_PORT": str(port(self.name)),
            "SFTP_ODD_PASSWORD": ODD_PASSWORD,
            "SFTP_ODD_FOLDER": str(folder("sftp-odd")),
        }


def jail() -> Path:
    """The folder that confines OpenSSH's user; one for each bed."""
    return Path(f"/srv/offtake-testbed-{port(OpenSsh.name)}")


def has_user() -> bool:
    """Whether our user is on this machine."""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def run(*command: str, said: str = "") -> None:
    """Runs a tool of the system, which must succeed."""
    name = program(command[0]) or command[0]
    done = subprocess.run([name, *command[1:]], input=said, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()}")


def configuration(place: Path, home: Path) -> str:
    """One user, in one folder, by password or key, without PAM."""
    return f"""\
ListenAddress 127.0.0.1
Port {port(OpenSsh.name)}
HostKey {place}/host_ed25519
HostKey {place}/host_rsa
PidFile none
UsePAM no
StrictModes no
AuthorizedKeysFile {place}/authorized_keys
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin no
AllowUsers {USER}
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
ChrootDirectory {home}
ForceCommand internal-sftp -d /upload
AllowTcpForwarding no
X11Forwarding no
PermitTTY no
"""
