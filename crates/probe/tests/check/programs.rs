//! Servers of Debian's packages, started on ports of their own; `scripts/test.sh` installs what is missing.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use probe::check::{CheckResult, CheckStatus};
use serde_json::Value;

/// A program that ends with the test.
pub(crate) struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program; what it says goes into a file that the end of a failed wait points at.
pub(crate) fn start(program: &Path, args: &[String], log: &Path) -> Program {
    let out = std::fs::File::create(log).expect("a log");
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stderr(out.try_clone().expect("a log")).stdout(out);
    Program(command.spawn().unwrap_or_else(|e| panic!("{} (see scripts/test.sh): {e}", program.display())))
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port()
}

/// Runs a check until it is so, for at most half a minute.
pub(crate) async fn until(status: CheckStatus, spec: &Value) -> CheckResult {
    for _ in 0..150 {
        let result = crate::run(spec.clone()).await;
        if result.status == status {
            return result;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("never {status}: {:?}", crate::run(spec.clone()).await);
}

/// A certificate for `localhost` and its key, and the authority, all PEM.
pub(crate) struct Identity {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// An identity for these names that ends after so many days.
pub(crate) fn identity(names: &[&str], days: i64) -> Identity {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("valid");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("an authority").pem();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
        .expect("valid");
    let now = std::time::SystemTime::now();
    let day = Duration::from_secs(86_400);
    params.not_before = (now - day * 400).into();
    params.not_after = match u32::try_from(days) {
        Ok(days) => (now + day * days + Duration::from_secs(3600)).into(),
        Err(_) => (now - day * days.unsigned_abs() as u32).into(),
    };
    params.distinguished_name.push(rcgen::DnType::CommonName, names[0]);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
    Identity { ca, certificate, key: key.serialize_pem() }
}

/// A user's numbers, from `/etc/passwd`.
fn ids(user: &str) -> Option<(u32, u32)> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = text.lines().find(|line| line.starts_with(&format!("{user}:")))?;
    let mut parts = line.split(':').skip(2);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// PostgreSQL in a folder of its own, on a port; it refuses to run as root.
pub(crate) struct Postgres {
    bin: PathBuf,
    home: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Postgres {
    /// Makes a cluster with these rules of access and users.
    pub(crate) fn create(access: &str, sql: &str, tls: &Identity) -> Self {
        let versions = std::fs::read_dir("/usr/lib/postgresql").expect("postgresql (see scripts/test.sh)");
        let bin = versions.map(|v| v.expect("a version").path().join("bin")).max().expect("a version");
        let server = Self { bin, home: tempfile::tempdir().expect("a folder"), port: free_port() };
        let home = server.home.path().to_owned();
        if let Some((user, group)) = server.user() {
            std::os::unix::fs::chown(&home, Some(user), Some(group)).expect("its own");
        }
        let data = home.join("data");
        server.run("initdb", &["-D", &data.display().to_string(), "-A", "trust", "-U", "postgres"]);
        std::fs::write(data.join("pg_hba.conf"), format!("local all all trust\n{access}")).expect("rules");
        for (name, text) in [("server.crt", &tls.certificate), ("server.key", &tls.key)] {
            let file = data.join(name);
            std::fs::write(&file, text).expect("a file");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, mode).expect("for one");
            if let Some((user, group)) = server.user() {
                std::os::unix::fs::chown(&file, Some(user), Some(group)).expect("its own");
            }
        }
        server.start();
        let home = home.display().to_string();
        server.run(
            "psql",
            &[
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                &home,
                "-p",
                &server.port.to_string(),
                "-U",
                "postgres",
                "-c",
                sql,
            ],
        );
        server
    }

    fn user(&self) -> Option<(u32, u32)> {
        let root =
            std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
        if root { ids("postgres") } else { None }
    }

    fn run(&self, program: &str, args: &[&str]) {
        let mut command = Command::new(self.bin.join(program));
        command.args(args).current_dir(self.home.path()).stdout(Stdio::null()).stdin(Stdio::null());
        if let Some((user, group)) = self.user() {
            command.uid(user).gid(group);
        }
        let status = command.status().unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} {args:?}");
    }

    fn control(&self, args: &[&str]) {
        let data = self.home.path().join("data").display().to_string();
        let log = self.home.path().join("log").display().to_string();
        self.run("pg_ctl", &[&["-D", &data, "-w", "-l", &log], args].concat());
    }

    pub(crate) fn start(&self) {
        let (home, port) = (self.home.path().display(), self.port);
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='{home}' -c fsync=off -c ssl=on"
        );
        self.control(&["-o", &options, "start"]);
    }

    pub(crate) fn stop(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.home.path().join("data");
        if data.join("postmaster.pid").exists() && !std::thread::panicking() {
            self.stop();
        } else if let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) {
            let pid = text.lines().next().unwrap_or_default().to_owned();
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        }
    }
}
