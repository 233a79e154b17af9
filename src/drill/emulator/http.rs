//! One HTTP/1.1 request over a plain loopback socket: health and stop. Never AWS calls (those are signed, in `aws/`).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(5);
const MAX_ANSWER: u64 = 64 * 1024;

pub(super) struct Answer {
    pub status: u16,
}

/// `endpoint` is `http://127.0.0.1:PORT`, as the emulator wrote it.
pub(super) async fn request(endpoint: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Answer> {
    let host = endpoint.strip_prefix("http://").unwrap_or(endpoint);
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let talk = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP/1.1 answer"))?;
        Ok(Answer { status })
    };
    tokio::time::timeout(LIMIT, talk).await.unwrap_or_else(|late| Err(io::Error::new(io::ErrorKind::TimedOut, late)))
}
