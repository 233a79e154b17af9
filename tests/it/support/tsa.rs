//! A timestamp authority for tests: a CA and a certificate made by openssl, `openssl ts -reply` behind a socket.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

pub struct Authority {
    dir: TempDir,
    asked: AtomicU32,
}

const CONFIG: &str = "\
[tsa]\ndefault_tsa = authority\n\
[authority]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = tsa.key\ncerts = tsa.pem\nsigner_digest = sha256\n\
default_policy = 1.2.3.4.1\ndigests = sha256\naccuracy = secs:1\nordering = no\ntsa_name = yes\ness_cert_id_chain = no\n\
[stamping]\nkeyUsage = critical,digitalSignature\nextendedKeyUsage = critical,timeStamping\n";

impl Authority {
    /// None, with a line that says so, where there is no openssl.
    pub fn new() -> Option<Arc<Authority>> {
        crate::stock::stock("openssl")?;
        let authority = Authority { dir: tempfile::tempdir().unwrap(), asked: AtomicU32::new(0) };
        std::fs::write(authority.dir.path().join("tsa.cnf"), CONFIG).unwrap();
        std::fs::write(authority.dir.path().join("serial"), "01").unwrap();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        authority
            .openssl(&[&["req", "-x509", "-subj", "/CN=Test CA", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem"][..], &key].concat());
        authority.openssl(&[&["req", "-subj", "/CN=Test TSA", "-keyout", "tsa.key", "-out", "tsa.csr"][..], &key].concat());
        let sign = ["x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
        authority.openssl(&[&sign[..], &["-extfile", "tsa.cnf", "-extensions", "stamping", "-out", "tsa.pem"]].concat());
        Some(Arc::new(authority))
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").args(args).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The certificate that a reader would have from the authority.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The answer to a request.
    pub fn reply(&self, query: &[u8]) -> Vec<u8> {
        // One number for the files of each request.
        let n = self.asked.fetch_add(1, Ordering::SeqCst);
        let (from, to) = (format!("{n}.tsq"), format!("{n}.tsr"));
        std::fs::write(self.at(&from), query).unwrap();
        self.openssl(&["ts", "-reply", "-config", "tsa.cnf", "-queryfile", &from, "-out", &to]);
        std::fs::read(self.at(&to)).unwrap()
    }

    /// A stamp over `data`, asked for by openssl too.
    pub fn stamp(&self, data: &[u8]) -> Vec<u8> {
        std::fs::write(self.at("data"), data).unwrap();
        self.openssl(&["ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "data.tsq"]);
        self.reply(&std::fs::read(self.at("data.tsq")).unwrap())
    }

    /// Whether openssl finds that `answer` stamps `data`.
    pub fn verifies(&self, data: &[u8], answer: &Path) -> bool {
        std::fs::write(self.at("signed"), data).unwrap();
        let ca = self.ca();
        let args = [Path::new("-data"), &self.at("signed"), Path::new("-in"), answer, Path::new("-CAfile"), &ca].map(Path::to_path_buf);
        Command::new("openssl").args(["ts", "-verify"]).args(args).output().unwrap().status.success()
    }

    /// Serves until the test's process ends. `answer` may put something else in the place of the answer.
    pub fn serve(self: &Arc<Self>, answer: impl Fn(Vec<u8>) -> Vec<u8> + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/tsr", listener.local_addr().unwrap());
        let authority = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(query) = request(&stream) else { continue };
                let body = answer(authority.reply(&query));
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = (&stream).write_all(&[head.as_bytes(), &body].concat());
            }
        });
        address
    }
}

/// The body of a request that is a timestamp query.
fn request(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&buffer[..n]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        assert!(head.starts_with("post /tsr ") && head.contains("content-type: application/timestamp-query"), "{head}");
        let length: usize = head.lines().find_map(|l| l.strip_prefix("content-length:"))?.trim().parse().ok()?;
        if bytes.len() >= end + 4 + length {
            return Some(bytes[end + 4..].to_vec());
        }
    }
}
