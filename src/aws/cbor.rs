//! CBOR (RFC 8949) as far as AWS's `rpc-v2-cbor` protocol speaks it: JSON in, JSON out. For finding the next question; the answer itself is
//! kept as it came.
//!
//! What has no word in JSON: tags are dropped (a time is its seconds), bytes are hexadecimal, what is not a number or undefined is null.

use serde_json::{Map, Number, Value};

/// Nesting and values that we are ready to follow: an API answer that has more makes no sense.
const DEPTH: u32 = 64;
const VALUES: u32 = 2_000_000;

pub fn write(value: &Value) -> Vec<u8> {
    let mut out = vec![];
    put(value, &mut out);
    out
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(b) => out.push(if *b { 0xf5 } else { 0xf4 }),
        Value::Number(n) => match (n.as_u64(), n.as_i64()) {
            (Some(n), _) => head(0, n, out),
            // −1 is 0, −2 is 1, …
            (None, Some(n)) => head(1, n.unsigned_abs() - 1, out),
            (None, None) => {
                out.push(0xfb);
                out.extend(n.as_f64().unwrap_or_default().to_be_bytes());
            }
        },
        Value::String(text) => {
            head(3, text.len() as u64, out);
            out.extend(text.as_bytes());
        }
        Value::Array(all) => {
            head(4, all.len() as u64, out);
            all.iter().for_each(|v| put(v, out));
        }
        Value::Object(members) => {
            head(5, members.len() as u64, out);
            for (name, v) in members {
                put(&Value::String(name.clone()), out);
                put(v, out);
            }
        }
    }
}

fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend([major | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend(bytes);
        }
    }
}

/// `None` for what is no CBOR, is not one value, or is more than we are ready to follow.
pub fn read(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { rest: bytes, values: VALUES };
    let value = reader.value(DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'b> {
    rest: &'b [u8],
    values: u32,
}

/// What follows the first byte: a number, or "until the end is marked".
enum Argument {
    Is(u64),
    Open,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: u64) -> Option<&'b [u8]> {
        let count = usize::try_from(count).ok().filter(|n| *n <= self.rest.len())?;
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn argument(&mut self, info: u8) -> Option<Argument> {
        Some(Argument::Is(match info {
            0..=23 => u64::from(info),
            24..=27 => self.take(1 << (info - 24))?.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
            31 => return Some(Argument::Open),
            _ => return None,
        }))
    }

    /// Whether the next byte ends what is open; it is taken then.
    fn ends(&mut self) -> Option<bool> {
        let ends = *self.rest.first()? == 0xff;
        if ends {
            self.byte()?;
        }
        Some(ends)
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        self.values = self.values.checked_sub(1)?;
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            return self.simple(info);
        }
        let argument = self.argument(info)?;
        Some(match (major, argument) {
            (0, Argument::Is(n)) => n.into(),
            (1, Argument::Is(n)) => i64::try_from(n).map_or_else(|_| float(-(n as f64) - 1.0), |n| (-1 - n).into()),
            (2 | 3, argument) => {
                let bytes = self.string(major, argument)?;
                if major == 3 { String::from_utf8(bytes).ok()?.into() } else { hex(&bytes).into() }
            }
            (4, argument) => {
                let mut all = vec![];
                while self.more(&argument, all.len())? {
                    all.push(self.value(depth)?);
                }
                all.into()
            }
            (5, argument) => {
                let (mut members, mut read) = (Map::new(), 0);
                while self.more(&argument, read)? {
                    let Value::String(name) = self.value(depth)? else { return None };
                    members.insert(name, self.value(depth)?);
                    read += 1;
                }
                members.into()
            }
            (6, Argument::Is(_)) => self.value(depth)?,
            _ => return None,
        })
    }

    fn more(&mut self, argument: &Argument, read: usize) -> Option<bool> {
        match argument {
            Argument::Is(count) => Some((read as u64) < *count),
            Argument::Open => self.ends().map(|ends| !ends),
        }
    }

    /// A text or bytes, in one piece or in several of the same kind.
    fn string(&mut self, major: u8, argument: Argument) -> Option<Vec<u8>> {
        let Argument::Is(length) = argument else {
            let mut whole = vec![];
            while !self.ends()? {
                let first = self.byte()?;
                let Argument::Is(length) = self.argument(first & 0x1f)? else { return None };
                if first >> 5 != major {
                    return None;
                }
                whole.extend(self.take(length)?);
            }
            return Some(whole);
        };
        Some(self.take(length)?.to_vec())
    }

    fn simple(&mut self, info: u8) -> Option<Value> {
        Some(match info {
            20 => false.into(),
            21 => true.into(),
            22 | 23 => Value::Null,
            25 => float(half(u16::from_be_bytes(self.take(2)?.try_into().ok()?))),
            26 => float(f32::from_be_bytes(self.take(4)?.try_into().ok()?).into()),
            27 => float(f64::from_be_bytes(self.take(8)?.try_into().ok()?)),
            _ => return None,
        })
    }
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// RFC 8949, appendix D.
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let value = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { value } else { -value }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// Written by botocore 1.44.5 (`RpcV2CBORSerializer`): a request and an answer of EventBridge v2.
    #[test]
    fn botocore_and_we_write_and_read_the_same() {
        let request = json!({"NextToken": "page-two", "MaxResults": 100});
        let theirs = bytes("a2694e657874546f6b656e68706167652d74776f6a4d6178526573756c74731864");
        assert_eq!(read(&theirs), Some(request.clone()));
        assert_eq!(read(&write(&request)), Some(request.clone()));
        assert_eq!(write(&json!({"NextToken": "page-two"})), bytes("a1694e657874546f6b656e68706167652d74776f"));
        let answer = bytes(
            "a26b537562736372696265727381a46d5375627363726962657241726e783461726e3a6177733a6576656e74733a65752d776573742d313a3132333435363738393031323a737562736372696265722f612f62644e616d656161675265766f6b6564f46c4372656174696f6e54696d65c1fb41dac00d90200000694e657874546f6b656e6174",
        );
        let read = read(&answer).unwrap();
        let one = &read["Subscribers"][0];
        assert_eq!(one["SubscriberArn"], "arn:aws:events:eu-west-1:123456789012:subscriber/a/b");
        assert_eq!((&one["Revoked"], &one["CreationTime"], &read["NextToken"]), (&json!(false), &json!(1_795_176_000.5), &json!("t")));
    }

    /// RFC 8949, appendix A.
    #[test]
    fn examples_of_the_standard() {
        for (given, value) in [
            ("17", json!(23)),
            ("1818", json!(24)),
            ("1903e8", json!(1000)),
            ("1bffffffffffffffff", json!(u64::MAX)),
            ("3903e7", json!(-1000)),
            ("f90001", json!(5.960_464_477_539_063e-8)),
            ("f9c400", json!(-4.0)),
            ("fa47c35000", json!(100_000.0)),
            ("fb3ff199999999999a", json!(1.1)),
            ("f97e00", Value::Null),
            ("f7", Value::Null),
            ("c074323031332d30332d32315432303a30343a30305a", json!("2013-03-21T20:04:00Z")),
            ("4401020304", json!("01020304")),
            ("62c3bc", json!("ü")),
            ("80", json!([])),
            ("826161a161626163", json!(["a", {"b": "c"}])),
            ("9f018202039f0405ffff", json!([1, [2, 3], [4, 5]])),
            ("bf61610161629f0203ffff", json!({"a": 1, "b": [2, 3]})),
            ("7f657374726561646d696e67ff", json!("streaming")),
        ] {
            assert_eq!(read(&bytes(given)), Some(value), "{given}");
        }
        for n in [0i64, 23, 24, 255, 256, 65_535, 65_536, i64::from(u32::MAX) + 1, -1, -24, -25, i64::MIN, i64::MAX] {
            assert_eq!(read(&write(&json!(n))), Some(json!(n)));
        }
        assert_eq!(read(&write(&json!([null, true, 1.5]))), Some(json!([null, true, 1.5])));
    }

    #[test]
    fn what_strangers_send_is_bounded_and_never_a_panic() {
        for bad in
            ["", "18", "1c", "61", "62c328", "9f", "bf6161", "a1", "a10102", "ff", "1bffff", "5f6161ff", "7f7f6161ffff", "0000", "f8ff"]
        {
            assert_eq!(read(&bytes(bad)), None, "{bad}");
        }
        // Lengths beyond what is there, and nesting without end.
        for bad in [
            bytes("9bffffffffffffffff"),
            bytes("5bffffffffffffffff"),
            bytes("bbffffffffffffffff"),
            vec![0x81; 1_000_000],
            vec![0xc1; 1_000_000],
        ] {
            assert_eq!(read(&bad), None);
        }
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let _ = read(&[first, second, 0x81, 0x00]);
            }
        }
    }
}
