//! A registry of a test's own, so that the bytes on its disk are known to be those of the test.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running registry; it is stopped, and what it stores is removed, with the value.
pub(super) struct Registry {
    daemon: Child,
    dir: TempDir,
    /// `host:port`, on the loopback interface.
    pub(super) host: String,
}

impl Registry {
    /// Starts an empty one.
    pub(super) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("plinth-e2e-registry-").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog: {{level: info, accesslog: {{disabled: false}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}/data}}}}\nhttp: {{addr: \"{host}\"}}\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("registry.yml"), config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let daemon = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.path().join("registry.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("docker-registry isn't on the PATH: run hack/up");
        let registry = Self { daemon, dir, host };
        let started = Instant::now();
        while std::net::TcpStream::connect(&registry.host).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "the registry doesn't start: {}",
                registry.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }

    /// What it has logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn blobs(&self) -> PathBuf {
        self.dir.path().join("data/docker/registry/v2/blobs/sha256")
    }

    /// The file that it keeps a blob in.
    pub(super) fn file(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.blobs().join(&hex[..2]).join(hex).join("data")
    }

    /// The blobs on its disk: digest and bytes.
    pub(super) fn stored(&self) -> BTreeMap<String, u64> {
        let list = |dir: PathBuf| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let mut stored = BTreeMap::new();
        for blob in list(self.blobs()).flat_map(|two| list(two.path())) {
            let digest = format!("sha256:{}", blob.file_name().to_str().unwrap());
            stored.insert(digest, std::fs::metadata(blob.path().join("data")).unwrap().len());
        }
        stored
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
