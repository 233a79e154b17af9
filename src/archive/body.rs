//! A file of a bundle as the body of a request: read on a thread of its own, handed over in pieces, never whole in memory.
//!
//! A bundle's files lie in a zip as often as in a directory, and a compressed entry can only be read from its beginning. So nothing is sought
//! here: each try reads the file anew. The thread starts when the first byte is wanted, and ends when nobody wants more.

use crate::bundle::source::BagSource;
use crate::model::path::BundlePath;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::io::{self, Read};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

const PIECE: usize = 128 << 10;
/// Pieces that may wait for a slow network.
const AHEAD: usize = 4;

/// The file's bytes, read anew for each try. `bytes` is its length; more is never sent.
pub(super) fn of_file(source: Arc<BagSource>, path: BundlePath, bytes: u64) -> ByteStream {
    of(bytes, Arc::new(move || pieces(&source, &path, PIECE)))
}

/// The same of a plain file that lies in no bag yet.
pub(super) fn of_plain_file(path: PathBuf, bytes: u64) -> ByteStream {
    let begin = move || {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let path = path.clone();
        tokio::task::spawn_blocking(move || match std::fs::File::open(path) {
            Ok(mut from) => pump(&mut from, PIECE, &sender),
            Err(e) => drop(sender.blocking_send(Err(e))),
        });
        receiver
    };
    of(bytes, Arc::new(begin))
}

type Begin = Arc<dyn Fn() -> mpsc::Receiver<io::Result<Bytes>> + Send + Sync>;

fn of(bytes: u64, begin: Begin) -> ByteStream {
    ByteStream::new(SdkBody::retryable(move || SdkBody::from_body_1_x(FileBody { begin: begin.clone(), left: bytes, pieces: None })))
}

struct FileBody {
    /// Begins to read the file from its beginning.
    begin: Begin,
    left: u64,
    pieces: Option<mpsc::Receiver<io::Result<Bytes>>>,
}

/// Reads the file on a blocking thread; the receiver's end stops it.
pub(super) fn pieces(source: &Arc<BagSource>, path: &BundlePath, piece: usize) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(if piece > PIECE { 1 } else { AHEAD });
    let (source, path) = (source.clone(), path.clone());
    tokio::task::spawn_blocking(move || {
        let mut from = match source.stream(&path) {
            Ok(from) => from,
            Err(e) => return drop(sender.blocking_send(Err(io::Error::other(e)))),
        };
        pump(&mut from, piece, &sender);
    });
    receiver
}

fn pump(from: &mut impl Read, piece: usize, sender: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        match fill(from, piece) {
            Ok(bytes) if bytes.is_empty() => return,
            Ok(bytes) => {
                if sender.blocking_send(Ok(bytes.into())).is_err() {
                    return;
                }
            }
            Err(e) => return drop(sender.blocking_send(Err(e))),
        }
    }
}

/// As much as there is, up to `piece`: short only at the end.
fn fill(from: &mut impl Read, piece: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(piece);
    from.take(piece as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let pieces = this.pieces.get_or_insert_with(|| (this.begin)());
        match pieces.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) if this.left > 0 => Poll::Ready(Some(Err(other("it is shorter than it was when it was checked")))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(e))) => Poll::Ready(Some(Err(e))),
            Poll::Ready(Some(Ok(bytes))) => match this.left.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    this.left = left;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                None => Poll::Ready(Some(Err(other("it is longer than it was when it was checked")))),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}

fn other(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
