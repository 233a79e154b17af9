//! The rule that chains journal lines, and nothing else: no file, no clock.
//!
//! A line is canonical JSON (RFC 8785). Its `prev` is the SHA-256 of the line before, without the newline; the first line's is 64 zeros. `seq`
//! counts from 1 without holes, over all segments. `jq` and `sha256sum` can check it (`meta/VERIFY.txt` does).

use crate::model::canon::{self, CanonError};
use crate::model::digest::Sha256;
use crate::model::journal_event::{JournalEvent, JournalLine};

/// Version of the form of a line.
pub const LINE_VERSION: u32 = 1;
/// The longest line that is written or read: an intent with two policy documents takes a tenth of it.
pub const MAX_LINE: usize = 1 << 20;

/// Where a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Digest of the last line: what the next one names as `prev`.
    pub prev: Sha256,
    /// Number of the last line; 0 when there is none yet.
    pub seq: u64,
}

impl ChainHead {
    pub const START: ChainHead = ChainHead { prev: Sha256::ZERO, seq: 0 };
}

/// What a line is not, that it must be.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    #[error("the line has {0} bytes, more than the {MAX_LINE} that a line may have")]
    TooLong(usize),
    #[error("the line is no journal line")]
    Parse(#[source] serde_json::Error),
    #[error("the line has version {0}; this program reads version {LINE_VERSION}")]
    Version(u32),
    #[error("the line is number {found} where number {expected} belongs")]
    Sequence { expected: u64, found: u64 },
    #[error("the line does not continue the chain: it names {found} as the line before, which is {expected}")]
    Broken { expected: Sha256, found: Sha256 },
}

/// The next line, without its newline, and the head moved past it. On an error the head stays.
pub fn line(head: &mut ChainHead, t: &str, mono_ns: u64, actor: &str, event: JournalEvent) -> Result<Vec<u8>, CanonError> {
    let seq = head.seq + 1;
    let line = JournalLine { v: LINE_VERSION, seq, prev: head.prev, t: t.into(), mono_ns, actor: actor.into(), event };
    let bytes = canon::to_vec("a journal line", &line)?;
    *head = ChainHead { prev: Sha256::of(&bytes), seq };
    Ok(bytes)
}

/// Reads the next line (without its newline) and moves the head past it. The digest is of the bytes as they are, never of a rewriting of
/// what was understood. On an error the head stays.
pub fn follow(head: &mut ChainHead, bytes: &[u8]) -> Result<JournalLine, ChainError> {
    if bytes.len() > MAX_LINE {
        return Err(ChainError::TooLong(bytes.len()));
    }
    let line: JournalLine = serde_json::from_slice(bytes).map_err(ChainError::Parse)?;
    if line.v != LINE_VERSION {
        return Err(ChainError::Version(line.v));
    }
    let expected = head.seq + 1;
    if line.seq != expected {
        return Err(ChainError::Sequence { expected, found: line.seq });
    }
    if line.prev != head.prev {
        return Err(ChainError::Broken { expected: head.prev, found: line.prev });
    }
    *head = ChainHead { prev: Sha256::of(bytes), seq: expected };
    Ok(line)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::id::{CellId, RunId};
    use serde_json::{Value, json};

    pub(crate) fn event(text: &str) -> JournalEvent {
        JournalEvent::Interrupted { by: text.into() }
    }

    /// A reading that shares nothing with [`follow`]: what the shell loop in VERIFY.txt does. Returns the head and the events' names.
    pub(crate) fn independent(all: &[u8]) -> (Sha256, Vec<String>) {
        let mut prev = "0".repeat(64);
        let mut names = Vec::new();
        for (n, line) in all.strip_suffix(b"\n").unwrap().split(|b| *b == b'\n').enumerate() {
            let value: Value = serde_json::from_slice(line).unwrap();
            assert_eq!(value["prev"], json!(prev), "line {}", n + 1);
            assert_eq!(value["seq"], json!(n + 1));
            names.push(value["ev"].as_str().unwrap().to_string());
            prev = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(line));
        }
        (Sha256::from_hex(&prev).unwrap(), names)
    }

    #[test]
    fn first_line_as_written_down() {
        let mut head = ChainHead::START;
        let bytes = line(&mut head, "2026-11-20T12:00:00.000Z", 7, "me", event("x")).unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            format!(
                r#"{{"actor":"me","by":"x","ev":"interrupted","mono_ns":7,"prev":"{}","seq":1,"t":"2026-11-20T12:00:00.000Z","v":1}}"#,
                "0".repeat(64)
            )
        );
        assert_eq!(head, ChainHead { prev: Sha256::of(&bytes), seq: 1 });
    }

    #[test]
    fn what_was_written_follows_and_what_was_changed_does_not() {
        let mut head = ChainHead::START;
        let intent = JournalEvent::AlreadyContained {
            run: RunId::new(1, 2),
            cell: CellId::new("a", "b"),
            target: "t".into(),
            state: json!({"z": 1, "a": [null, "\u{1f600}\n\"", -1.5], "ev": "forged"}),
        };
        let lines: Vec<Vec<u8>> =
            [event("1"), intent.clone(), event("3")].into_iter().map(|e| line(&mut head, "t", 0, "me", e).unwrap()).collect();

        let mut reading = ChainHead::START;
        let read: Vec<JournalEvent> = lines.iter().map(|l| follow(&mut reading, l).unwrap().event).collect();
        assert_eq!((reading, &read[1]), (head, &intent));
        let mut file = lines.join(&b'\n');
        file.push(b'\n');
        assert_eq!(independent(&file).0, head.prev);

        let mut at = ChainHead::START;
        assert!(matches!(follow(&mut at, &lines[1]), Err(ChainError::Sequence { expected: 1, found: 2 })));
        follow(&mut at, &lines[0]).unwrap();
        let second = String::from_utf8(lines[1].clone()).unwrap();
        follow(&mut at, second.replace("me", "you").as_bytes()).unwrap();
        assert!(matches!(follow(&mut at, &lines[2]), Err(ChainError::Broken { .. })));
        assert_eq!(at.seq, 2);
        assert!(matches!(follow(&mut at, b"{}"), Err(ChainError::Parse(_))));
        assert!(matches!(follow(&mut at, &vec![b' '; MAX_LINE + 1]), Err(ChainError::TooLong(_))));
        let third = String::from_utf8(lines[2].clone()).unwrap().replace("\"v\":1", "\"v\":2");
        assert!(matches!(follow(&mut at, third.as_bytes()), Err(ChainError::Version(2))));
    }
}
