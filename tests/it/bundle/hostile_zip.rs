//! Zips that no honest writer makes. Whatever the trick, the container check names it, and nothing is followed, overwritten or inflated.

use super::bag::{Bag, NAME};
use super::broken::fired;
use super::raw_zip::{RawEntry, RawZip};
use freezeframe::bundle::source::OpenError;
use freezeframe::bundle::verify::{Level, Verdict, Verification, verify};
use std::path::Path;

fn verify_bytes(bytes: &[u8]) -> Result<Verification, OpenError> {
    let at = tempfile::tempdir().unwrap();
    let path = at.path().join(format!("{NAME}.zip"));
    std::fs::write(&path, bytes).unwrap();
    verify(&path)
}

const CONFIG: &str = super::bag::CONFIG;

type Trick = (&'static str, fn(&mut RawZip), &'static str);

/// The trick, and words of the finding that names it. After all of them only the container check fires.
const TRICKS: &[Trick] = &[
    ("traversal", |z| z.entries.push(RawEntry::stored("../../etc/cron.d/x", b"x")), "leads out of the bundle"),
    ("traversal inside", |z| z.entries.push(RawEntry::stored(&format!("{NAME}/data/../../../x"), b"x")), "leads out of the bundle"),
    ("absolute", |z| z.entries.push(RawEntry::stored("/etc/passwd", b"x")), "absolute path"),
    ("drive letter", |z| z.entries.push(RawEntry::stored("C:/x", b"x")), "drive letter"),
    ("backslash", |z| z.entries.push(RawEntry::stored(&format!("{NAME}\\..\\x"), b"x")), "backslash"),
    ("control characters", |z| z.entries.push(RawEntry::stored(&format!("{NAME}/data/\u{1b}[2Jx"), b"x")), "control characters"),
    (
        "no UTF-8",
        |z| z.entries.push(RawEntry { name: [NAME.as_bytes(), b"/data/\xff"].concat(), ..RawEntry::stored("", b"x") }),
        "no UTF-8",
    ),
    ("endless name", |z| z.entries.push(RawEntry::stored(&format!("{NAME}/data/{}", "x".repeat(5000)), b"x")), "longer than any path"),
    ("outside the bundle's directory", |z| z.entries.push(RawEntry::stored("elsewhere/x", b"x")), "outside the bundle's own directory"),
    (
        "symlink",
        |z| z.entries.push(RawEntry { mode: 0o120_777, ..RawEntry::stored(&format!("{NAME}/seal/l"), b"/etc/passwd") }),
        "symbolic link",
    ),
    ("device", |z| z.entries.push(RawEntry { mode: 0o020_666, ..RawEntry::stored(&format!("{NAME}/seal/d"), b"") }), "device"),
    ("prepended", |z| z.prepended = b"#!/bin/sh\nrm -rf /\n".to_vec(), "in front of the archive"),
    ("prepended, offsets adjusted", |z| (z.prepended, z.adjusted) = (b"#!/bin/sh\n".to_vec(), true), "belong to no entry"),
    ("appended", |z| z.appended = b"hello".to_vec(), "follow the end of the archive"),
    ("comment", |z| z.comment = b"hello".to_vec(), "archive comment"),
    ("hidden between entries and directory", |z| z.before_directory = vec![7; 100], "belong to no entry"),
    ("wrong count", |z| z.declared_entries = Some(3), "declares 3 entries"),
    ("second name in an extra field", |z| z.entry(CONFIG).extra = b"\x75\x70\x06\0\x01\0\0\0\0x".to_vec(), "second name"),
    ("malformed extra field", |z| z.entry(CONFIG).extra = b"\x75\x70\xff\0\x01".to_vec(), "malformed"),
    ("other count on this disk", |z| z.on_this_disk = Some(1), "several disks"),
    ("second name in the local header", |z| z.entry(CONFIG).local_extra = b"\x75\x70\x06\0\x01\0\0\0\0x".to_vec(), "second name"),
    ("malformed extra field in the local header", |z| z.entry(CONFIG).local_extra = b"\x01".to_vec(), "malformed"),
    ("hidden in a descriptor's place", |z| streamed(z, b"HIDDEN-NO-DIGEST".to_vec()), "belong to no entry"),
    (
        "descriptor of something else",
        |z| {
            let mut behind = descriptor(z.entry(CONFIG), true, false);
            behind[12] ^= 1;
            streamed(z, behind);
        },
        "belong to no entry",
    ),
    (
        "descriptor with more behind it",
        |z| {
            let behind = [descriptor(z.entry(CONFIG), true, false), b"more".to_vec()].concat();
            streamed(z, behind);
        },
        "belong to no entry",
    ),
    ("streamed without a descriptor", |z| streamed(z, vec![]), "to follow its data"),
    (
        "hidden in a directory",
        |z| z.entries.push(RawEntry { method: 8, size: 0, crc: 0, ..RawEntry::stored(&format!("{NAME}/data/x/"), &[b'A'; 5000]) }),
        "yet has content",
    ),
    (
        "hidden in a directory, two bytes",
        |z| z.entries.push(RawEntry { method: 8, size: 0, crc: 0, ..RawEntry::stored(&format!("{NAME}/data/x/"), b"AB") }),
        "yet has content",
    ),
];

fn streamed(z: &mut RawZip, behind: Vec<u8>) {
    let e = z.entry(CONFIG);
    (e.flags, e.behind) = (8, behind);
}

/// What follows the data of an entry that was written as a stream.
fn descriptor(e: &RawEntry, signed: bool, long: bool) -> Vec<u8> {
    let size = |n: u32| if long { u64::from(n).to_le_bytes().to_vec() } else { n.to_le_bytes().to_vec() };
    let signature: &[u8] = if signed { b"PK\x07\x08" } else { b"" };
    [signature, &e.crc.to_le_bytes(), &size(e.data.len() as u32), &size(e.size)].concat()
}

/// The same, where an entry of the bag itself is in question and can no longer be read: nothing else is said about it.
const UNREADABLE: &[Trick] = &[
    (
        "duplicate name",
        |z| {
            let e = z.entry(CONFIG).clone();
            z.entries.push(RawEntry { data: b"{}".to_vec(), ..RawEntry::stored(std::str::from_utf8(&e.name).unwrap(), b"{}") })
        },
        "two entries have this name",
    ),
    (
        "other name in the local header",
        |z| {
            let e = z.entry(CONFIG);
            e.local_name = Some([&e.name[..e.name.len() - 1], b"X"].concat())
        },
        "another name than the directory",
    ),
    ("other size in the local header", |z| z.entry(CONFIG).local_size = Some(5), "another size"),
    (
        "longer than declared",
        |z| {
            let e = z.entry(CONFIG);
            e.size -= 1
        },
        "more than the",
    ),
    (
        "shorter than declared",
        |z| {
            let e = z.entry(CONFIG);
            e.size += 1
        },
        "where its header declares",
    ),
    (
        "impossible size",
        |z| {
            let e = z.entry(CONFIG);
            e.size = 60 << 20
        },
        "more bytes than its data can hold",
    ),
    ("wrong checksum", |z| z.entry(CONFIG).crc ^= 1, "checksum"),
    ("damaged stream", |z| z.entry(CONFIG).data[0] = 0xff, "damaged"),
    ("bytes behind the stream", |z| z.entry(CONFIG).data.extend(b"hidden"), "follow its compressed stream"),
    ("encrypted", |z| z.entry(CONFIG).flags = 1, "encrypted"),
    ("encrypted by the local header", |z| z.entry(CONFIG).local_extra = b"\x01\x99\x07\0\x02\0AE\x03\x08\0".to_vec(), "encrypted"),
    ("unknown compression", |z| z.entry(CONFIG).method = 93, "compressed in a way"),
    (
        "stored with two sizes",
        |z| {
            let e = z.entry(super::bag::FUNCTION_ZIP);
            e.size += 1
        },
        "two sizes differ",
    ),
    (
        "an empty directory where a file is, behind it",
        |z| z.entries.push(RawEntry::stored(&format!("{NAME}/{CONFIG}/"), b"")),
        "a directory's as well",
    ),
    (
        "an empty directory where a file is, before it and in another case",
        |z| z.entries.insert(0, RawEntry::stored(&format!("{NAME}/{}/", CONFIG.to_uppercase()), b"")),
        "a directory's as well",
    ),
    ("symlink in the place of evidence", |z| z.entry(CONFIG).mode = 0o120_777, "symbolic link"),
    ("no header there", |z| z.entry(CONFIG).offset = Some(17), "no header where"),
    ("offset beyond the file", |z| z.entry(CONFIG).offset = Some(0xfff0_0000), "no header where"),
];

#[test]
fn every_trick_is_named_and_nothing_else_is_said() {
    let mut failures = Vec::new();
    for (name, play, words) in TRICKS.iter().chain(UNREADABLE) {
        let mut zip = Bag::good().zip();
        play(&mut zip);
        let v = verify_bytes(&zip.bytes()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let named = v.findings.iter().any(|f| f.check == "container" && f.message.contains(words));
        if !named || fired(&v) != [("container", Level::Error)].into() || v.verdict() != Verdict::Broken {
            failures.push(format!("{name}: {:#?}", v.findings));
        }
        assert!(v.findings.iter().all(|f| !format!("{f:?}").contains('\u{1b}')), "{name}: an escape character came through");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Tricks after which other checks may fire as well, or the zip is no zip any more.
const OTHERS: &[Trick] = &[
    (
        "names that differ in case only",
        |z| z.entries.push(RawEntry::stored(&format!("{NAME}/META/README.txt"), b"x")),
        "upper and lower case",
    ),
    ("a file where a directory is", |z| z.entries.push(RawEntry::stored(&format!("{NAME}/data"), b"x")), "a directory's as well"),
    (
        "an empty directory where the items are",
        |z| z.entries.push(RawEntry::stored(&format!("{NAME}/meta/items.jsonl/"), b"")),
        "a directory's as well",
    ),
    (
        "a file where a directory of another case is",
        |z| {
            for name in ["extra", "Extra/y.json"] {
                z.entries.push(RawEntry::stored(&format!("{NAME}/data/00-plan/{name}"), b"{}"));
            }
        },
        "a directory's as well",
    ),
    (
        // Entries whose directory lines all point at one header: the quine-like bombs are made of these.
        "overlapping entries",
        |z| {
            let first = z.entries[0].clone();
            for n in 0..50 {
                let name = format!("{NAME}/seal/{n}").into_bytes();
                z.entries.push(RawEntry { offset: Some(0), local_name: Some(name.clone()), name, ..first.clone() });
            }
        },
        "lies over another entry",
    ),
    (
        "one entry over another",
        |z| {
            let first = z.entries[0].clone();
            let name = format!("{NAME}/seal/x").into_bytes();
            z.entries.push(RawEntry { offset: Some(0), local_name: Some(name.clone()), name, ..first });
        },
        "another entry lies over it",
    ),
    ("bomb", |z| z.entries.push(RawEntry::deflated(&format!("{NAME}/seal/zeros"), &vec![0; 70 << 20])), "bomb"),
    (
        // The comment of the first archive is the end of a second one: readers that search forward and backward disagree.
        "two end records",
        |z| {
            let second = z.bytes();
            z.comment = second[second.len() - 22..].to_vec();
        },
        "more than one end record",
    ),
];

#[test]
fn every_other_trick_is_named() {
    for (name, play, words) in OTHERS {
        let mut zip = Bag::good().zip();
        play(&mut zip);
        let v = verify_bytes(&zip.bytes()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert!(v.findings.iter().any(|f| f.check == "container" && f.message.contains(words)), "{name}: {:#?}", v.findings);
        assert_eq!(v.verdict(), Verdict::Broken, "{name}");
    }
}

#[test]
fn a_bomb_is_not_inflated() {
    let mut zip = Bag::good().zip();
    zip.entries.push(RawEntry::deflated(&format!("{NAME}/seal/zeros"), &vec![0; 70 << 20]));
    let v = verify_bytes(&zip.bytes()).unwrap();
    assert_eq!(fired(&v), [("container", Level::Error)].into(), "{:#?}", v.findings);
    assert!(v.counts.bytes < 1 << 20, "it was inflated");
}

/// Every zip of this file, by name.
pub fn zips() -> Vec<(&'static str, Vec<u8>)> {
    let tricks = TRICKS.iter().chain(UNREADABLE).chain(OTHERS).map(|(name, play, _)| {
        let mut zip = Bag::good().zip();
        play(&mut zip);
        (*name, zip.bytes())
    });
    let renamed = |name: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut zip = Bag::good().zip();
        zip.entries.iter_mut().for_each(|e| e.name = name(&e.name));
        zip.bytes()
    };
    let holiday = RawZip { entries: vec![RawEntry::stored("holiday/photo.jpg", b"x")], ..RawZip::default() };
    tricks
        .chain([
            ("without its directory", renamed(&|n| n[NAME.len() + 1..].to_vec())),
            ("its directory renamed", renamed(&|n| [b"renamed", &n[NAME.len()..]].concat())),
            ("another zip", holiday.bytes()),
            ("an empty file", vec![]),
            ("a text", b"hello".to_vec()),
        ])
        .collect()
}

#[test]
fn a_bag_zipped_without_its_directory_is_whole_too() {
    let mut zip = Bag::good().zip();
    for e in &mut zip.entries {
        e.name = e.name[NAME.len() + 1..].to_vec();
    }
    assert_eq!(verify_bytes(&zip.bytes()).unwrap().verdict(), Verdict::Whole);
}

#[test]
fn a_renamed_directory_in_the_zip_is_worth_a_word() {
    let mut zip = Bag::good().zip();
    for e in &mut zip.entries {
        e.name = [b"renamed", &e.name[NAME.len()..]].concat();
    }
    let v = verify_bytes(&zip.bytes()).unwrap();
    assert_eq!((fired(&v), v.verdict()), ([("root", Level::Warn)].into(), Verdict::Whole));
}

/// What other programs write: directory entries, data descriptors, timestamps in extra fields.
#[test]
fn zips_of_other_programs_are_read() {
    let at = tempfile::tempdir().unwrap();
    Bag::good().write_to(&at.path().join(NAME));
    // Streamed, so that sizes follow the data (Python writes descriptors when it cannot seek).
    let streamed = at.path().join("streamed.zip");
    let script = "import sys, zipfile, os\n\
        class Pipe:\n    def __init__(s, f): s.f = f\n    def write(s, b): return s.f.write(b)\n    def flush(s): s.f.flush()\n\
        z = zipfile.ZipFile(Pipe(open(sys.argv[2], 'wb')), 'w', zipfile.ZIP_DEFLATED)\n\
        for d, ds, fs in os.walk(sys.argv[1]):\n\
        \x20   for x in sorted(ds + fs):\n\
        \x20       p = os.path.join(d, x)\n        z.write(p, os.path.relpath(p, os.path.dirname(sys.argv[1])))\n\
        z.close()\n";
    let run = std::process::Command::new("python3").args(["-c", script]).arg(at.path().join(NAME)).arg(&streamed).status().unwrap();
    assert!(run.success());
    let v = verify(&streamed).unwrap();
    assert_eq!((fired(&v), v.verdict()), ([].into(), Verdict::Whole), "{:#?}", v.findings);
}

#[test]
fn descriptors_of_all_forms_are_read() {
    let mut zip = Bag::good().zip();
    for (n, e) in zip.entries.iter_mut().enumerate() {
        (e.flags, e.behind) = (8, descriptor(e, n % 2 == 0, n % 4 < 2));
    }
    // As `java.util.zip` writes a directory.
    zip.entries.push(RawEntry { method: 8, size: 0, crc: 0, ..RawEntry::stored(&format!("{NAME}/data/"), b"\x03\0") });
    // Of nothing, so that its longest descriptor begins like the shorter ones.
    let nothing = RawEntry { flags: 8, ..RawEntry::stored(&format!("{NAME}/meta/"), b"") };
    zip.entries.push(RawEntry { behind: descriptor(&nothing, false, true), ..nothing });
    let bytes = zip.bytes();
    let v = verify_bytes(&bytes).unwrap();
    assert_eq!((fired(&v), v.verdict()), ([].into(), Verdict::Whole), "{:#?}", v.findings);
    let at = tempfile::tempdir().unwrap();
    let path = at.path().join(format!("{NAME}.zip"));
    std::fs::write(&path, bytes).unwrap();
    for (ours, theirs) in super::checker::both(&[(path, vec![])]).into_iter().flatten() {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn crate_zips_writer_is_read_with_zip64_too() {
    use std::io::Write as _;
    let at = tempfile::tempdir().unwrap();
    let path = at.path().join(format!("{NAME}.zip"));
    let mut out = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in Bag::good().files {
        out.start_file(format!("{NAME}/{name}"), zip::write::SimpleFileOptions::default().large_file(true)).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap();
    let v = verify(&path).unwrap();
    assert_eq!((fired(&v), v.verdict()), ([].into(), Verdict::Whole), "{:#?}", v.findings);
}

#[test]
fn what_is_no_bundle_is_refused_with_a_hint() {
    let at = tempfile::tempdir().unwrap();
    let zip = RawZip { entries: vec![RawEntry::stored("holiday/photo.jpg", b"x")], ..RawZip::default() };
    for (name, bytes) in [("a.zip", zip.bytes()), ("empty.zip", vec![]), ("text.zip", b"hello".to_vec())] {
        let path = at.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let e = verify(&path).unwrap_err();
        assert!(matches!(e, OpenError::NotABag { .. } | OpenError::Zip { .. }) && !e.hint().is_empty(), "{name}: {e:?}");
    }
    assert!(matches!(verify(Path::new("/nowhere/at/all")), Err(OpenError::Open { .. })));
    let case = at.path().join("IR-1");
    Bag::good().write_to(&case.join(NAME));
    assert!(matches!(verify(&case), Err(OpenError::NotABag { .. })));
}
