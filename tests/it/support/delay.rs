//! A wire with a delay: a proxy on loopback that holds every HTTP request back for a while, then passes it on as it came and the answer as it
//! comes. So a local emulator is as far away as a Region, and it shows which questions wait for each other.
//!
//! Bytes are never changed: head and framing pass through raw, so signatures stay good (`Host` is the proxy's own, as the client signed it).
//! Any number of connections at once, each with one of its own behind the proxy, kept alive as long as both sides keep theirs. It runs on a
//! thread of its own, so that a busy test does not make the wire longer than it says.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// One request that passed.
#[derive(Clone, Debug)]
pub struct Passed {
    /// `GET /2015-03-31/functions/f HTTP/1.1`.
    pub line: String,
    /// Which connection of the client's it came over, counted from 0.
    pub connection: usize,
    pub came: Instant,
    /// When it was sent on: never sooner than the delay after it came.
    pub forwarded: Instant,
    pub answered: Instant,
}

/// The proxy; it ends when this is dropped.
pub struct Delay {
    pub url: String,
    passed: Arc<Mutex<Vec<Passed>>>,
    _stop: oneshot::Sender<()>,
}

impl Delay {
    /// In front of `behind` (`http://127.0.0.1:4566`), each request held back for `by`.
    pub fn before(behind: &str, by: Duration) -> Delay {
        let behind: Arc<str> = behind.trim_start_matches("http://").trim_end_matches('/').into();
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let passed: Arc<Mutex<Vec<Passed>>> = Arc::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let seen = passed.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    let mut connection = 0;
                    while let Ok((client, _)) = listener.accept().await {
                        // Whoever hangs up in the middle, hangs up on both sides.
                        let line = Line { behind: behind.clone(), by, passed: seen.clone(), connection };
                        tokio::spawn(async move { line.serve(client).await.ok() });
                        connection += 1;
                    }
                };
                tokio::select! { () = accepting => {}, _ = stopped => {} }
            });
        });
        Delay { url, passed, _stop: stop }
    }

    /// What has passed since this was asked last.
    pub fn passed(&self) -> Vec<Passed> {
        std::mem::take(&mut *self.passed.lock().unwrap())
    }
}

struct Line {
    behind: Arc<str>,
    by: Duration,
    passed: Arc<Mutex<Vec<Passed>>>,
    connection: usize,
}

impl Line {
    async fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut client = BufReader::new(client);
        let mut server = None;
        while let Some(head) = Head::read(&mut client).await? {
            let came = Instant::now();
            let mut request = head.raw.clone();
            match head.framing(Framing::None) {
                Framing::Length(n) => {
                    let at = request.len();
                    request.resize(at + usize::try_from(n).map_err(io::Error::other)?, 0);
                    client.read_exact(&mut request[at..]).await?;
                }
                Framing::Chunked => chunks(&mut client, &mut request).await?,
                Framing::None | Framing::UntilClosed => {}
            }
            tokio::time::sleep(self.by).await;
            let forwarded = Instant::now();
            let (mut answering, answer) = self.forward(server.take(), &request).await?;
            client.write_all(&answer.raw).await?;
            let framing = if head.raw.starts_with(b"HEAD ") || [204, 304].contains(&answer.status()) {
                Framing::None
            } else {
                answer.framing(Framing::UntilClosed)
            };
            match framing {
                Framing::None => {}
                Framing::Length(n) => drop(tokio::io::copy(&mut (&mut answering).take(n), &mut client).await?),
                Framing::Chunked => chunks(&mut answering, &mut client).await?,
                Framing::UntilClosed => drop(tokio::io::copy(&mut answering, &mut client).await?),
            }
            client.flush().await?;
            let line = head.first_line();
            let passed = Passed { line, connection: self.connection, came, forwarded, answered: Instant::now() };
            self.passed.lock().unwrap().push(passed);
            if framing == Framing::UntilClosed || head.closes() || answer.closes() {
                break;
            }
            server = Some(answering);
        }
        Ok(())
    }

    /// Send a request on and read the head of its answer. A kept connection that the server has closed meanwhile is made anew, once.
    async fn forward(&self, kept: Option<BufReader<TcpStream>>, request: &[u8]) -> io::Result<(BufReader<TcpStream>, Head)> {
        if let Some(mut server) = kept
            && server.write_all(request).await.is_ok()
            && let Ok(Some(head)) = Head::read_answer(&mut server).await
        {
            return Ok((server, head));
        }
        let server = TcpStream::connect(&*self.behind).await?;
        server.set_nodelay(true)?;
        let mut server = BufReader::new(server);
        server.write_all(request).await?;
        let head = Head::read_answer(&mut server).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((server, head))
    }
}

/// How a body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClosed,
}

struct Head {
    raw: Vec<u8>,
}

impl Head {
    /// `None` when the other side has closed between two messages.
    async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Head>> {
        let mut raw = vec![];
        loop {
            let n = from.read_until(b'\n', &mut raw).await?;
            match n {
                0 if raw.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ if raw.ends_with(b"\r\n\r\n") => return Ok(Some(Head { raw })),
                _ => {}
            }
        }
    }

    /// The final answer: `100 Continue` and its like are ours alone, because the whole request has been sent.
    async fn read_answer(from: &mut BufReader<TcpStream>) -> io::Result<Option<Head>> {
        loop {
            match Head::read(from).await? {
                Some(head) if (100..200).contains(&head.status()) => {}
                other => return Ok(other),
            }
        }
    }

    fn first_line(&self) -> String {
        String::from_utf8_lossy(&self.raw).lines().next().unwrap_or_default().to_string()
    }
    fn status(&self) -> u16 {
        self.first_line().split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_default()
    }
    fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.raw);
        let mut fields = text.lines().skip(1).filter_map(|l| l.split_once(':'));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_ascii_lowercase())
    }
    fn framing(&self, unsaid: Framing) -> Framing {
        if self.header("transfer-encoding").is_some_and(|v| v.contains("chunked")) {
            return Framing::Chunked;
        }
        self.header("content-length").and_then(|v| v.parse().ok()).map_or(unsaid, Framing::Length)
    }
    fn closes(&self) -> bool {
        self.header("connection").is_some_and(|v| v.contains("close")) || self.first_line().contains("HTTP/1.0")
    }
}

/// Pass chunks on as they are framed, with what trails them.
async fn chunks(from: &mut BufReader<TcpStream>, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(line.as_bytes()).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        if size == 0 {
            break;
        }
        // With the line's end behind it.
        tokio::io::copy(&mut from.take(size + 2), to).await?;
    }
    loop {
        let mut line = String::new();
        let ended = from.read_line(&mut line).await? == 0 || line == "\r\n";
        to.write_all(line.as_bytes()).await?;
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, Read, Write};
    use std::net::TcpStream as StdStream;

    /// A server that answers each request on a connection with the next of these, byte for byte, and says what came.
    fn server(answers: &'static [&'static [u8]]) -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let came: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let seen = came.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || {
                    let mut stream = stream;
                    for answer in answers {
                        let mut buffer = vec![0; 64 << 10];
                        let n = stream.read(&mut buffer).unwrap_or(0);
                        if n == 0 {
                            return;
                        }
                        seen.lock().unwrap().push(buffer[..n].to_vec());
                        stream.write_all(answer).unwrap();
                    }
                });
            }
        });
        (url, came)
    }

    fn connect(proxy: &Delay) -> StdStream {
        let stream = StdStream::connect(proxy.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nX-Odd:  Case \r\ncontent-length: 5\r\n\r\nhello";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nwave\r\nA\r\n0123\r\n5678\r\n0\r\nx-trailer: t\r\n\r\n";
    const NOTHING: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

    #[test]
    fn what_passes_is_not_changed_and_the_connection_is_kept() {
        let (url, came) = server(&[PLAIN, CHUNKED, NOTHING, PLAIN]);
        let proxy = Delay::before(&url, Duration::from_millis(5));
        let mut client = connect(&proxy);
        let requests: [&[u8]; 4] = [
            b"GET /a%2Fb?x=%20 HTTP/1.1\r\nHost: signed.example\r\nX-Amz-Date: 1\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\nA\r\nb\0\r\n",
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            b"GET /last HTTP/1.1\r\nconnection: close\r\n\r\n",
        ];
        for (request, answer) in requests.iter().zip([PLAIN, CHUNKED, NOTHING, PLAIN]) {
            client.write_all(request).unwrap();
            let mut got = vec![0; answer.len()];
            client.read_exact(&mut got).unwrap();
            assert_eq!(got, answer, "{}", String::from_utf8_lossy(request));
        }
        assert_eq!(came.lock().unwrap().concat(), requests.concat(), "as it was signed, so it arrives");
        // Asked to close: closed.
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        let passed = proxy.passed();
        assert_eq!(passed.iter().map(|p| p.connection).collect::<Vec<_>>(), [0; 4]);
        assert!(passed.iter().all(|p| p.forwarded - p.came >= Duration::from_millis(5) && p.answered >= p.forwarded), "{passed:?}");
        assert_eq!(passed[0].line, "GET /a%2Fb?x=%20 HTTP/1.1");
        assert!(proxy.passed().is_empty());
    }

    #[test]
    fn a_server_that_closed_a_kept_connection_is_called_anew() {
        let (url, came) = server(&[PLAIN]);
        let proxy = Delay::before(&url, Duration::ZERO);
        let mut client = connect(&proxy);
        for _ in 0..3 {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let mut got = vec![0; PLAIN.len()];
            client.read_exact(&mut got).unwrap();
        }
        assert_eq!(came.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_body_that_ends_with_the_connection_passes_whole() {
        let (url, _) = server(&[b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end"]);
        let proxy = Delay::before(&url, Duration::ZERO);
        let mut client = connect(&proxy);
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut all = String::new();
        io::BufReader::new(client).lines().map_while(Result::ok).for_each(|l| all.push_str(&l));
        assert!(all.ends_with("to the end"), "{all}");
    }

    #[test]
    fn many_at_once_wait_at_the_same_time() {
        let (url, _) = server(&[PLAIN]);
        let proxy = Delay::before(&url, Duration::from_millis(100));
        let mut clients: Vec<StdStream> = (0..40).map(|_| connect(&proxy)).collect();
        for client in &mut clients {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        }
        for client in &mut clients {
            client.read_exact(&mut vec![0; PLAIN.len()]).unwrap();
        }
        // What has passed is told after it has been passed on.
        let mut passed = vec![];
        while passed.len() < 40 {
            passed.extend(proxy.passed());
            std::thread::yield_now();
        }
        let first = passed.iter().map(|p| p.forwarded).min().unwrap();
        assert!(passed.iter().filter(|p| p.came < first).count() > 1, "none is read before the one ahead of it has been passed on");
    }
}
