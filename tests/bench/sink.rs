//! Just enough of S3 to take an archive of any size in bounded memory, and to give it back. The emulator holds objects in memory, so it cannot.
//!
//! Every body is hashed as it comes, and must have the SHA-256 that was announced. Small objects are kept; a large one is forgotten once it is seen to
//! be the very bytes of the bundle's own file, and given back from there. No signatures are looked at, no locks are kept: a test of neither.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const SMALL: u64 = 1 << 20;

pub struct Sink {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

/// A request, as far as it says how an object is to be kept: address, headers about lock and encryption, body where it is a small document.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

#[derive(Default)]
struct Object {
    bytes: u64,
    checksum: String,
    part_bytes: u64,
    kept: Option<Vec<u8>>,
}

#[derive(Default)]
struct Upload {
    whole: Sha256,
    of_parts: Sha256,
    parts: u32,
    bytes: u64,
    part_bytes: u64,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    seen: Vec<Asked>,
    /// What every HEAD of an object says beside.
    says: String,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
}

impl Sink {
    /// `bundle`: where the bytes of large objects are found again; `name` is its last folder in every key.
    pub fn open(bundle: PathBuf) -> Sink {
        Sink::saying(bundle, &[])
    }

    /// One that says these headers of every object, whatever was asked of it.
    pub fn saying(bundle: PathBuf, headers: &[(&str, &str)]) -> Sink {
        let says = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { says, ..State::default() }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, bundle) = (shared.clone(), bundle.clone());
                std::thread::spawn(move || serve(stream, &state, &bundle).ok());
            }
        });
        Sink { endpoint, state }
    }

    /// Every write so far.
    pub fn seen(&self) -> Vec<Asked> {
        self.state.lock().unwrap().seen.clone()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, bundle: &Path) -> io::Result<()> {
    let mut from = BufReader::with_capacity(128 << 10, stream.try_clone()?);
    let mut to = stream;
    while let Some(request) = request(&mut from)? {
        let length: u64 = request.headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or_default();
        assert!(!request.headers.contains_key("transfer-encoding"), "a body without a length");
        let small = length <= SMALL;
        let (mut hasher, mut body, mut left, mut buf) = (Sha256::new(), vec![], length, vec![0; 128 << 10]);
        let part = request.query.contains("partNumber=");
        while left > 0 {
            let n = from.read(&mut buf[..left.min(128 << 10) as usize])?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hasher.update(&buf[..n]);
            if part {
                // Parts come one after the other.
                state.lock().unwrap().uploads.get_mut(&request.path).unwrap().whole.update(&buf[..n]);
            }
            if small {
                body.extend_from_slice(&buf[..n]);
            }
            left -= n as u64;
        }
        answer(&mut to, &request, (length, hasher.finalize().into(), body), state, bundle)?;
    }
    Ok(())
}

fn request(from: &mut impl io::BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap().to_string(), words.next().unwrap().to_string());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            None => break,
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_string()),
        };
    }
    Ok(Some(Request { method, path: path.to_string(), query: query.to_string(), headers }))
}

fn send(to: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    write!(to, "HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// A file of the bundle, by what stands behind case and bundle in the key.
fn own(bundle: &Path, path: &str) -> PathBuf {
    let name = bundle.file_name().unwrap().to_str().unwrap();
    bundle.join(path.split_once(&format!("/{name}/")).map_or("none", |(_, below)| below))
}

fn same_file(bundle: &Path, path: &str, digest: &[u8]) -> bool {
    let file = File::open(own(bundle, path)).unwrap();
    freezeframe::model::digest::of_reader(file).unwrap().0.as_bytes() == digest
}

fn answer(
    to: &mut TcpStream,
    r: &Request,
    (length, digest, body): (u64, [u8; 32], Vec<u8>),
    state: &Mutex<State>,
    bundle: &Path,
) -> io::Result<()> {
    let has = |word: &str| r.query.split('&').any(|q| q == word || q.starts_with(&format!("{word}=")));
    let xml = |name: &str, inner: &str| format!("<?xml version=\"1.0\"?><{name}>{inner}</{name}>");
    let error = |code: &str| xml("Error", &format!("<Code>{code}</Code><Message>x</Message>"));
    let checksum = STANDARD.encode(digest);
    let of_bucket = r.path.trim_start_matches('/').split_once('/').is_none_or(|(_, key)| key.is_empty());
    if let Some(announced) = r.headers.get("x-amz-checksum-sha256").filter(|_| r.method == "PUT") {
        assert_eq!(*announced, checksum, "{}: not the bytes that were announced", r.path);
    }
    if r.method != "GET" && r.method != "HEAD" {
        let ours = |name: &str| name.starts_with("x-amz-object-lock") || name.starts_with("x-amz-server-side");
        let headers = r.headers.iter().filter(|(name, _)| ours(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        let body = if has("retention") || has("legal-hold") { String::from_utf8_lossy(&body).into_owned() } else { String::new() };
        let (method, path, query) = (r.method.clone(), r.path.clone(), r.query.clone());
        state.lock().unwrap().seen.push(Asked { method, path, query, headers, body });
    }
    match (r.method.as_str(), of_bucket) {
        ("PUT", false) if has("retention") || has("legal-hold") => send(to, 200, "", ""),
        ("POST", true) if r.path == "/" => {
            let inner = "<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/bench</Arn><UserId>x</UserId><Account>123456789012</Account></GetCallerIdentityResult>";
            send(to, 200, "", &xml("GetCallerIdentityResponse", inner))
        }
        ("HEAD", true) => send(to, 200, "x-amz-bucket-region: eu-west-1\r\n", ""),
        ("GET", true) if has("versions") => {
            let prefix = r.query.split('&').find_map(|q| q.strip_prefix("prefix=")).unwrap_or_default().replace("%2F", "/");
            let (name, lead) = r.path.trim_start_matches('/').split_once('/').map_or((r.path.trim_start_matches('/'), ""), |x| x);
            assert!(lead.is_empty());
            let state = state.lock().unwrap();
            let keys = state.objects.iter().filter_map(|(p, o)| Some((p.strip_prefix(&format!("/{name}/"))?, o)));
            let versions: String = keys
                .filter(|(key, _)| key.starts_with(&prefix))
                .map(|(key, o)| {
                    format!("<Version><Key>{key}</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest><Size>{}</Size></Version>", o.bytes)
                })
                .collect();
            send(to, 200, "", &xml("ListVersionsResult", &format!("<IsTruncated>false</IsTruncated>{versions}")))
        }
        ("GET", true) if has("uploads") => send(to, 200, "", &xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")),
        ("GET", true) => send(to, 403, "", &error("AccessDenied")),
        ("POST", false) if has("uploads") => {
            state.lock().unwrap().uploads.insert(r.path.clone(), Upload::default());
            send(to, 200, "", &xml("InitiateMultipartUploadResult", "<UploadId>u1</UploadId>"))
        }
        ("PUT", false) if has("partNumber") => {
            let mut state = state.lock().unwrap();
            let upload = state.uploads.get_mut(&r.path).unwrap();
            upload.parts += 1;
            assert!(
                r.query.contains(&format!("partNumber={}&", upload.parts)) || r.query.ends_with(&format!("partNumber={}", upload.parts))
            );
            upload.of_parts.update(digest);
            upload.bytes += length;
            upload.part_bytes = upload.part_bytes.max(length);
            drop(state);
            send(to, 200, "etag: \"e\"\r\n", "")
        }
        ("POST", false) => {
            let upload = state.lock().unwrap().uploads.remove(&r.path).unwrap();
            assert!(same_file(bundle, &r.path, &upload.whole.finalize()), "{}: not the bundle's bytes", r.path);
            let checksum = format!("{}-{}", STANDARD.encode(upload.of_parts.finalize()), upload.parts);
            let object = Object { bytes: upload.bytes, checksum, part_bytes: upload.part_bytes, kept: None };
            state.lock().unwrap().objects.insert(r.path.clone(), object);
            send(to, 200, "x-amz-version-id: v1\r\n", &xml("CompleteMultipartUploadResult", "<ETag>\"e\"</ETag>"))
        }
        ("PUT", false) => {
            if state.lock().unwrap().objects.contains_key(&r.path) {
                return send(to, 412, "", &error("PreconditionFailed"));
            }
            let kept = (length <= SMALL).then_some(body);
            assert!(kept.is_some() || same_file(bundle, &r.path, &digest), "{}: not the bundle's bytes", r.path);
            state.lock().unwrap().objects.insert(r.path.clone(), Object { bytes: length, checksum, part_bytes: 0, kept });
            send(to, 200, "etag: \"e\"\r\nx-amz-version-id: v1\r\n", "")
        }
        ("HEAD" | "GET", false) => {
            let (bytes, checksum, part_bytes, kept, says) = {
                let state = state.lock().unwrap();
                let Some(o) = state.objects.get(&r.path) else { return send(to, 404, "", "") };
                (o.bytes, o.checksum.clone(), o.part_bytes, o.kept.clone(), state.says.clone())
            };
            if has("attributes") {
                let part = format!("<Part><PartNumber>1</PartNumber><Size>{part_bytes}</Size></Part>");
                return send(to, 200, "", &xml("GetObjectAttributesResponse", &format!("<ObjectParts>{part}</ObjectParts>")));
            }
            let from: u64 =
                r.headers.get("range").and_then(|v| v.strip_prefix("bytes=")?.split_once('-')?.0.parse().ok()).unwrap_or_default();
            let status = if r.headers.contains_key("range") { 206 } else { 200 };
            let range = if status == 206 { format!("content-range: bytes {from}-{}/{bytes}\r\n", bytes - 1) } else { String::new() };
            let left = bytes - from;
            write!(
                to,
                "HTTP/1.1 {status} x\r\netag: \"e\"\r\nx-amz-version-id: v1\r\nx-amz-checksum-sha256: {checksum}\r\n{says}{range}content-length: {left}\r\n\r\n"
            )?;
            match (r.method.as_str(), kept) {
                ("HEAD", _) => Ok(()),
                (_, Some(kept)) => to.write_all(&kept[from as usize..]),
                (_, None) => {
                    let mut file = File::open(own(bundle, &r.path))?;
                    file.seek(SeekFrom::Start(from))?;
                    io::copy(&mut file.take(left), to).map(|_| ())
                }
            }
        }
        other => panic!("{other:?} {} {}", r.path, r.query),
    }
}
