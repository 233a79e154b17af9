//! CBOR (RFC 8949) as far as Smithy's RPC v2 needs it: questions of ours out, answers in, both as JSON values. EventBridge v2 speaks nothing
//! else (botocore 1.44.5, `eventbridgev2/2025-05-15`: `smithy-rpc-v2-cbor` is its only protocol).
//!
//! Answers are strangers' bytes: nesting, sizes and trailing bytes are bounded before anything is allocated for them.

use serde_json::{Map, Number, Value};

/// Deeper than any answer of AWS; a hostile one must not use up the stack.
const DEEPEST: u32 = 64;

/// Definite lengths throughout. Whole numbers, texts, booleans, null, lists and maps are all that our questions hold; a fraction goes out as a
/// double.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = vec![];
    put(value, &mut out);
    out
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(false) => out.push(0xf4),
        Value::Bool(true) => out.push(0xf5),
        Value::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(n), _) => head(0, n, out),
            (None, Some(n)) => head(1, n.unsigned_abs() - 1, out),
            (None, None) => {
                out.push(0xfb);
                out.extend(n.as_f64().unwrap_or_default().to_be_bytes());
            }
        },
        Value::String(text) => put_text(text, out),
        Value::Array(list) => {
            head(4, list.len() as u64, out);
            list.iter().for_each(|v| put(v, out));
        }
        Value::Object(map) => {
            head(5, map.len() as u64, out);
            for (key, value) in map {
                put_text(key, out);
                put(value, out);
            }
        }
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    head(3, text.len() as u64, out);
    out.extend(text.as_bytes());
}

/// Major type and argument in the fewest bytes.
fn head(major: u8, n: u64, out: &mut Vec<u8>) {
    let bytes = n.to_be_bytes();
    match n {
        0..=23 => out.push(major << 5 | bytes[7]),
        24..=0xff => out.extend([major << 5 | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major << 5 | 25);
            out.extend(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major << 5 | 26);
            out.extend(&bytes[4..]);
        }
        _ => {
            out.push(major << 5 | 27);
            out.extend(bytes);
        }
    }
}

/// One whole value and nothing after it; `None` for anything else. Tags (timestamps) give what they mark, byte strings their base64.
pub fn decode(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { left: bytes };
    let value = reader.value(0)?;
    reader.left.is_empty().then_some(value)
}

struct Reader<'b> {
    left: &'b [u8],
}

/// What opens a value: its major type, and the argument, `None` for *indefinite*.
struct Head {
    major: u8,
    info: u8,
    n: Option<u64>,
}

impl<'b> Reader<'b> {
    fn take(&mut self, n: u64) -> Option<&'b [u8]> {
        let (taken, left) = self.left.split_at_checked(usize::try_from(n).ok()?)?;
        self.left = left;
        Some(taken)
    }

    fn head(&mut self) -> Option<Head> {
        let first = *self.take(1)?.first()?;
        let (major, info) = (first >> 5, first & 0x1f);
        let n = match info {
            0..=23 => Some(u64::from(info)),
            24..=27 => Some(self.take(1 << (info - 24))?.iter().fold(0, |n, b| n << 8 | u64::from(*b))),
            31 => None,
            _ => return None,
        };
        Some(Head { major, info, n })
    }

    /// Whether an indefinite list, map or string ends here.
    fn at_break(&mut self) -> bool {
        let ends = self.left.first() == Some(&0xff);
        if ends {
            self.left = &self.left[1..];
        }
        ends
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        let head = self.head()?;
        match head.major {
            0 => Some(Value::from(head.n?)),
            1 => Some(i64::try_from(head.n?).map_or(Value::Null, |n| Value::from(-1 - n))),
            2 => {
                use base64::Engine as _;
                Some(base64::engine::general_purpose::STANDARD.encode(self.string(&head)?).into())
            }
            3 => String::from_utf8(self.string(&head)?).ok().map(Value::String),
            4 => {
                let mut list = vec![];
                while self.another(&head, list.len())? {
                    list.push(self.value(depth + 1)?);
                }
                Some(Value::Array(list))
            }
            5 => {
                let mut map = Map::new();
                let mut read = 0;
                while self.another(&head, read)? {
                    let Value::String(key) = self.value(depth + 1)? else { return None };
                    map.insert(key, self.value(depth + 1)?);
                    read += 1;
                }
                Some(Value::Object(map))
            }
            6 => head.n.and_then(|_| self.value(depth + 1)),
            _ => simple(&head),
        }
    }

    /// Whether a list or map with this head has an entry after the `read`ones. A count that the bytes cannot hold ends in a failed read.
    fn another(&mut self, head: &Head, read: usize) -> Option<bool> {
        Some(match head.n {
            Some(n) => (read as u64) < n,
            None => !self.at_break(),
        })
    }

    fn string(&mut self, head: &Head) -> Option<Vec<u8>> {
        if let Some(n) = head.n {
            return self.take(n).map(<[u8]>::to_vec);
        }
        let mut all = vec![];
        while !self.at_break() {
            let part = self.head()?;
            if part.major != head.major {
                return None;
            }
            all.extend(self.take(part.n?)?);
        }
        Some(all)
    }
}

/// Floats, booleans, null. What JSON has no number for reads as null.
fn simple(head: &Head) -> Option<Value> {
    let number = |n: f64| Number::from_f64(n).map_or(Value::Null, Value::Number);
    let n = head.n?;
    Some(match head.info {
        20 => Value::Bool(false),
        21 => Value::Bool(true),
        22 | 23 => Value::Null,
        25 => number(half(u16::try_from(n).ok()?)),
        26 => number(f64::from(f32::from_bits(u32::try_from(n).ok()?))),
        27 => number(f64::from_bits(n)),
        _ => return None,
    })
}

fn half(bits: u16) -> f64 {
    let (sign, exponent, fraction) = (if bits >> 15 == 1 { -1.0 } else { 1.0 }, i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_goes_out_comes_back() {
        let all = json!({"a": [0, 23, 24, 255, 256, 65_536, 4_294_967_296u64, -1, -25, i64::MIN], "é": "x".repeat(300), "f": 1.5, "n": null,
                         "b": [true, false], "m": {"": {}}});
        assert_eq!(decode(&encode(&all)), Some(all));
        // RFC 8949, Appendix A.
        assert_eq!(encode(&json!({"a": 1, "b": [2, 3]})), hex::decode("a26161016162820203").unwrap());
        assert_eq!(encode(&json!(-100)), hex::decode("3863").unwrap());
    }

    #[test]
    fn servers_write_what_we_do_not() {
        for (bytes, value) in [
            ("bf61610161629f0203ffff", json!({"a": 1, "b": [2, 3]})),
            ("7f657374726561646d696e67ff", json!("streaming")),
            ("c11a514b67b0", json!(1_363_896_240)),
            ("c1fb41d452d9ec000000", json!(1_363_896_240.0)),
            ("f93c00", json!(1.0)),
            ("f97bff", json!(65_504.0)),
            ("fa47c35000", json!(100_000.0)),
            ("f97e00", json!(null)),
            ("43010203", json!("AQID")),
            ("f7", json!(null)),
        ] {
            let bytes = hex::decode(bytes).unwrap();
            assert_eq!(decode(&bytes), Some(value), "{bytes:02x?}");
        }
    }

    #[test]
    fn hostile_bytes_are_refused() {
        // Nothing; cut short; counts beyond the bytes; a key that is no text; a break from nowhere; bytes left over; not UTF-8; reserved heads.
        for bytes in
            ["", "a1", "a16161", "9bffffffffffffffff", "7bffffffffffffffff61", "a10101", "ff", "0101", "61ff", "1c", "5f6161ff", "f8ff"]
        {
            assert_eq!(decode(&hex::decode(bytes).unwrap()), None, "{bytes}");
        }
        assert_eq!(decode(&[0x81; 100_000]), None, "depth is bounded");
        assert_eq!(decode(&[0xc1; 100_000]), None, "of tags as well");
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
