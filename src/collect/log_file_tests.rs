use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(vec![], Compression::best());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

fn held(file: &[u8]) -> Held {
    let file = file.to_vec();
    Held { bytes: file.len() as u64, open: Arc::new(move || Ok(Box::new(io::Cursor::new(file.clone())))) }
}

fn read(file: &[u8]) -> (Unpacked, Vec<String>) {
    let mut all = vec![];
    let unpacked = records(&held(file), &mut |r| {
        if all.len() < 100 {
            all.push(r.chars().take(100).collect());
        }
    });
    (unpacked, all)
}

#[test]
fn records_come_as_they_stand_and_the_hash_is_of_the_content() {
    let content = br#"{"Version": 1, "Records":[{"a": 1.50},  {"b": "\u00e9"}], "more": [{}]}"#;
    let (unpacked, all) = read(&gzip(content));
    assert_eq!(all, [r#"{"a": 1.50}"#, r#"{"b": "\u00e9"}"#], "verbatim");
    assert_eq!((unpacked.records, unpacked.odd), (2, None));
    assert_eq!(unpacked.content, Some(Sha256::of(content)));
    let both = [gzip(&content[..20]), gzip(&content[20..])].concat();
    assert_eq!(read(&both).0.content, Some(Sha256::of(content)), "gzip may come in members");
}

#[test]
fn what_is_no_log_file_says_what_it_is() {
    let good = gzip(br#"{"Records":[{"a":1},{"b":2}]}"#);
    for (file, odd, records) in [
        (b"".to_vec(), Odd::Gzip, 0),
        (b"<html>".to_vec(), Odd::Gzip, 0),
        (good[..good.len() - 9].to_vec(), Odd::Gzip, 2),
        ([good.clone(), b"tail".to_vec()].concat(), Odd::Gzip, 2),
        (gzip(b""), Odd::Json, 0),
        (gzip(b"[]"), Odd::Json, 0),
        (gzip(b"{}"), Odd::Json, 0),
        (gzip(br#"{"Records": {}}"#), Odd::Json, 0),
        (gzip(br#"{"Records": [{"a":1}, {"b"]}"#), Odd::Json, 1),
        (gzip(br#"{"Records": [{"a":1}]} {"Records": []}"#), Odd::Json, 1),
        (gzip(b"{\"Records\": [{\"a\": \"\xff\"}]}"), Odd::Json, 0),
    ] {
        let (unpacked, _) = read(&file);
        assert_eq!((unpacked.odd.clone(), unpacked.records), (Some(odd), records), "{:?}", String::from_utf8_lossy(&file));
        assert_eq!(unpacked.content.is_some(), unpacked.odd == Some(Odd::Json), "the content of a broken stream has no hash");
    }
    let gone = records(&Held { open: Arc::new(|| Err(io::ErrorKind::NotFound.into())), bytes: 0 }, &mut |_| {});
    assert_eq!(gone.odd, Some(Odd::Copy(io::ErrorKind::NotFound)));
}

#[test]
fn a_bomb_is_put_down() {
    // 64 MiB of blanks before the document: about 1000 to 1.
    let bomb = gzip(&[vec![b' '; 64 << 20], br#"{"Records":[]}"#.to_vec()].concat());
    assert!(bomb.len() < 100_000);
    let (unpacked, _) = read(&bomb);
    assert_eq!((unpacked.odd, unpacked.content), (Some(Odd::Bomb { limit: SMALL }), None));
    // Many small records: past the ratio, each within its own bound.
    let record = format!("{{\"a\":\"{}\"}},", "b".repeat(120));
    let many = gzip(format!("{{\"Records\":[{}{{}}]}}", record.repeat(1 << 18)).as_bytes());
    let (unpacked, _) = read(&many);
    assert!(matches!(unpacked.odd, Some(Odd::Bomb { .. })) && unpacked.records > 100_000, "{unpacked:?}");
    // One huge record, in a file whose size would allow it.
    let noise: Vec<u8> = (0..6_000_000u32).map(|n| b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26).collect();
    let huge = gzip(&[br#"{"Records":[""#, noise.as_slice(), br#""]}"#].concat());
    let (unpacked, all) = read(&huge);
    assert!(matches!(unpacked.odd, Some(Odd::Bomb { .. })) && all.is_empty());
    assert_eq!(limit_of(u64::MAX), LARGE);
}

#[test]
fn a_digest_is_read_whole() {
    let (unpacked, bytes) = whole(&held(&gzip(b"{\"logFiles\": []}")));
    assert_eq!((unpacked.odd, bytes.as_slice()), (None, &b"{\"logFiles\": []}"[..]));
    assert_eq!(unpacked.content, Some(Sha256::of(&bytes)));
}

#[test]
fn no_depth_overflows_our_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (unpacked, all) = read(&gzip(format!("{{\"Records\": [{deep}, 1]}}").as_bytes()));
    assert_eq!((unpacked.odd, unpacked.records, all.len()), (None, 2, 2), "whoever reads a record says that it is too deep");
}
