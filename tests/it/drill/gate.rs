//! A gate in front of the emulator: it lets everything through byte for byte, until the one request that the test waits for. That one it
//! keeps back, before AWS hears of it or with AWS' answer in hand: the two moments that a client cannot tell apart when it dies.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request has left the program and did not reach AWS.
    Asked,
    /// AWS has done it, and the program has not heard so.
    Answered,
}

pub struct Gate {
    /// For `AWS_ENDPOINT_URL`.
    pub endpoint: String,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Holding,
    Open,
}

impl Gate {
    /// Holds the first request whose line (`PUT /path`), target or body contains `needle`.
    pub async fn before(upstream: &str, moment: Moment, needle: &str) -> Gate {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let upstream = upstream.strip_prefix("http://").unwrap().to_string();
        let (state, _) = watch::channel(State::Waiting);
        let job = Arc::new(Job { upstream, moment, needle: needle.to_string(), state: state.clone() });
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let job = job.clone();
                // Either side going away is the end of a connection and nothing more.
                tokio::spawn(async move { job.relay(client).await.ok() });
            }
        });
        Gate { endpoint, state, task }
    }

    /// Returns once the request is held.
    pub async fn holds(&self) {
        self.state.subscribe().wait_for(|s| *s != State::Waiting).await.unwrap();
    }
    /// Let it through, and everything after it.
    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Job {
    upstream: String,
    moment: Moment,
    needle: String,
    state: watch::Sender<State>,
}

impl Job {
    async fn relay(&self, mut client: TcpStream) -> io::Result<()> {
        let mut aws = TcpStream::connect(&self.upstream).await?;
        loop {
            let Some(request) = message(&mut client, None).await? else { return Ok(()) };
            let wanted = self.wants(&request);
            if wanted && self.moment == Moment::Asked {
                self.hold().await;
            }
            aws.write_all(&request).await?;
            let Some(answer) = message(&mut aws, Some(&request)).await? else { return Ok(()) };
            if wanted && self.moment == Moment::Answered {
                self.hold().await;
            }
            client.write_all(&answer).await?;
        }
    }

    fn wants(&self, request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let target = head.lines().find(|l| l.to_ascii_lowercase().starts_with("x-amz-target:"));
        let hit = [head.lines().next(), target, Some(body)].into_iter().flatten().any(|part| part.contains(&self.needle));
        hit && self.state.send_if_modified(|s| {
            let first = *s == State::Waiting;
            *s = if first { State::Holding } else { *s };
            first
        })
    }

    async fn hold(&self) {
        let _ = self.state.subscribe().wait_for(|s| *s == State::Open).await;
    }
}

/// One HTTP/1.1 message, whole: a request, or the answer to one. `None` when the other side has no more.
pub(crate) async fn message(from: &mut TcpStream, answer_to: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![];
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if from.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    let fields: HashMap<&str, &str> = head.lines().skip(1).filter_map(|l| l.split_once(':')).map(|(n, v)| (n, v.trim())).collect();
    let answer = answer_to.is_some();
    // The answer to a HEAD states the length of what it does not hold.
    let bodiless = answer_to.is_some_and(|r| r.starts_with(b"HEAD "))
        || answer && ["204", "304"].contains(&head.split_whitespace().nth(1).unwrap_or_default());
    let whole = |bytes: &[u8]| match (fields.get("content-length"), fields.get("transfer-encoding")) {
        _ if bodiless => true,
        (Some(length), _) => bytes.len() >= head_end + length.parse::<usize>().unwrap_or(0),
        (None, Some(_)) => bytes.ends_with(b"0\r\n\r\n"),
        (None, None) => !answer,
    };
    while !whole(&bytes) {
        if from.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(Some(bytes))
}
