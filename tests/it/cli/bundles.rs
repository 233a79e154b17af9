//! `verify` and `show`, on bundles that are whole, broken, unfinished, or none.

use super::Terminal;
use crate::bundle::bag::{Bag, CONFIG, NAME};

/// A terminal whose directory holds a good bundle as `good/` and `good.zip`.
fn terminal() -> Terminal {
    let terminal = Terminal::new();
    let bag = Bag::good();
    let dir = terminal.path().join("good");
    std::fs::create_dir(&dir).unwrap();
    bag.write_to(&dir);
    std::fs::write(terminal.path().join("good.zip"), bag.zip().bytes()).unwrap();
    terminal
}

#[test]
fn a_good_one() {
    insta::assert_snapshot!(terminal().transcript(&["verify", "good.zip"]), @r"
    $ freezeframe verify good.zip
    --- stdout
    ok   container        the zip or directory plays no tricks, and every file in it can be read
    ok   layout           it is a finished BagIt 1.0 bag with every document that a bundle has
    ok   manifest         every file below data/ is listed, and has the digest that is listed
    ok   tag-manifest     every file outside data/ and seal/ is listed, and has the digest that is listed
    ok   root             the statement is about this root digest, in forms that this build knows
    ok   envelope         if it is signed, then the signed statement is this one
    ok   signature        every signature that it carries holds, and none is missing that the statement names
    ok   key              it is signed by every key that was asked for
    ok   timestamp        if it is stamped, then the stamp is over this signature, and no older than it
    ok   chain            the journal's hash chain has no break, and ends where the statement says
    ok   schema           every document is of its form, in a version that this build knows, and holds no credentials
    ok   items            every item's files and exchanges are there and agree, and no payload file is unaccounted for
    ok   secrets          every redacted file is listed, with its original sealed beside it
    ok   disclosure       a disclosed copy holds all of its source but what is sealed there, unchanged
    ok   coverage         the coverage claims what the items show, and spells out every gap
    ok   custody          the journal tells of every item and exchange, as they are
    ok   provider-digest  digests stated by AWS are the digests of the bytes here
    note [signature] seal/statement.json: unsigned: the digests show that nothing changed since sealing only if the root digest is known from elsewhere
          Compare the root digest with the one that was noted when the bundle was made (report, case file, object store).
    20 files, 20763 bytes, 4 items, 1 gaps, 4 exchanges, 11 journal lines
    root b82f5a23e320332fbffb8c240425a527ba309dbdb21677afd1d312e8692fa8d7
    the bundle is whole: every check holds
    --- exit 0
    ");
}

#[test]
fn one_byte_differs() {
    let terminal = terminal();
    let file = terminal.path().join("good").join(CONFIG);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[3] ^= 1;
    std::fs::write(file, bytes).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["verify", "good"]), @r"
    $ freezeframe verify good
    --- stdout
    ok   container        the zip or directory plays no tricks, and every file in it can be read
    ok   layout           it is a finished BagIt 1.0 bag with every document that a bundle has
    FAIL manifest         every file below data/ is listed, and has the digest that is listed
    ok   tag-manifest     every file outside data/ and seal/ is listed, and has the digest that is listed
    ok   root             the statement is about this root digest, in forms that this build knows
    ok   envelope         if it is signed, then the signed statement is this one
    ok   signature        every signature that it carries holds, and none is missing that the statement names
    ok   key              it is signed by every key that was asked for
    ok   timestamp        if it is stamped, then the stamp is over this signature, and no older than it
    ok   chain            the journal's hash chain has no break, and ends where the statement says
    ok   schema           every document is of its form, in a version that this build knows, and holds no credentials
    ok   items            every item's files and exchanges are there and agree, and no payload file is unaccounted for
    ok   secrets          every redacted file is listed, with its original sealed beside it
    ok   disclosure       a disclosed copy holds all of its source but what is sealed there, unchanged
    ok   coverage         the coverage claims what the items show, and spells out every gap
    ok   custody          the journal tells of every item and exchange, as they are
    ok   provider-digest  digests stated by AWS are the digests of the bytes here
    error [manifest] data/20-config/000001-GetFunctionConfiguration.json: its bytes were changed: manifest-sha256.txt lists 95edf775134a4a6d0bf4bc5d8a3a49f9bb8e8201aae964f3bde79f705a86345e, and the 94 bytes here have 37f55cc40351b574b0ef2e571b0097ab5f278031935e73cd7fd7f82ee43adfcd
          Do not rely on this copy: fetch the bundle again from where it was first kept, and compare the root digests.
    note [signature] seal/statement.json: unsigned: the digests show that nothing changed since sealing only if the root digest is known from elsewhere
          Compare the root digest with the one that was noted when the bundle was made (report, case file, object store).
    20 files, 20763 bytes, 4 items, 1 gaps, 4 exchanges, 11 journal lines
    root b82f5a23e320332fbffb8c240425a527ba309dbdb21677afd1d312e8692fa8d7
    the bundle is broken: it is not what it claims to be
    --- exit 4
    ");
}

#[test]
fn never_sealed() {
    let terminal = terminal();
    let dir = terminal.path().join("good");
    std::fs::remove_dir_all(dir.join("seal")).unwrap();
    std::fs::create_dir(dir.join("tmp")).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["verify", "good"]), @r"
    $ freezeframe verify good
    --- stdout
    ok   container        the zip or directory plays no tricks, and every file in it can be read
    warn layout           it is a finished BagIt 1.0 bag with every document that a bundle has
    ok   manifest         every file below data/ is listed, and has the digest that is listed
    ok   tag-manifest     every file outside data/ and seal/ is listed, and has the digest that is listed
    ok   root             the statement is about this root digest, in forms that this build knows
    ok   envelope         if it is signed, then the signed statement is this one
    ok   signature        every signature that it carries holds, and none is missing that the statement names
    ok   key              it is signed by every key that was asked for
    ok   timestamp        if it is stamped, then the stamp is over this signature, and no older than it
    ok   chain            the journal's hash chain has no break, and ends where the statement says
    ok   schema           every document is of its form, in a version that this build knows, and holds no credentials
    ok   items            every item's files and exchanges are there and agree, and no payload file is unaccounted for
    ok   secrets          every redacted file is listed, with its original sealed beside it
    ok   disclosure       a disclosed copy holds all of its source but what is sealed there, unchanged
    ok   coverage         the coverage claims what the items show, and spells out every gap
    ok   custody          the journal tells of every item and exchange, as they are
    ok   provider-digest  digests stated by AWS are the digests of the bytes here
    warning [layout] tmp/: the draft's working files are still there: the run was cut off before its end
          The run did not come to its end. Take the snapshot again; keep this one as well, for it may hold what has since gone.
    warning [layout] seal/statement.json: there is no statement: the bundle was never sealed
          The run did not come to its end. Take the snapshot again; keep this one as well, for it may hold what has since gone.
    19 files, 19742 bytes, 4 items, 1 gaps, 4 exchanges, 11 journal lines
    root b82f5a23e320332fbffb8c240425a527ba309dbdb21677afd1d312e8692fa8d7
    the bundle is unfinished: what is there does not contradict itself, but the run did not come to its end
    --- exit 4
    ");
}

#[test]
fn no_bundle_at_all() {
    let terminal = Terminal::new();
    std::fs::write(terminal.path().join("garbage.zip"), b"PK\x03\x04 and then something else").unwrap();
    std::fs::create_dir(terminal.path().join("empty")).unwrap();
    insta::assert_snapshot!(terminal.transcript(&["verify", "nowhere.zip"]), @r"
    $ freezeframe verify nowhere.zip
    --- stderr
    error: cannot verify nowhere.zip
      caused by: cannot open `nowhere.zip`
      caused by: No such file or directory (os error [N])
      hint: give the path of a bundle: its zip, or the directory that holds its bagit.txt
    --- exit 1
    ");
    insta::assert_snapshot!(terminal.transcript(&["verify", "garbage.zip"]), @r"
    $ freezeframe verify garbage.zip
    --- stderr
    error: cannot verify garbage.zip
      caused by: cannot read `garbage.zip` as a zip
      caused by: this is no zip, or its end was cut off: it has no end-of-directory record
      hint: compare its length and SHA-256 with the copy it came from, and fetch it again
    --- exit 4
    ");
    insta::assert_snapshot!(terminal.transcript(&["verify", "empty"]), @r"
    $ freezeframe verify empty
    --- stdout
    ok   container        the zip or directory plays no tricks, and every file in it can be read
    warn layout           it is a finished BagIt 1.0 bag with every document that a bundle has
    ok   manifest         every file below data/ is listed, and has the digest that is listed
    ok   tag-manifest     every file outside data/ and seal/ is listed, and has the digest that is listed
    ok   root             the statement is about this root digest, in forms that this build knows
    ok   envelope         if it is signed, then the signed statement is this one
    ok   signature        every signature that it carries holds, and none is missing that the statement names
    ok   key              it is signed by every key that was asked for
    ok   timestamp        if it is stamped, then the stamp is over this signature, and no older than it
    ok   chain            the journal's hash chain has no break, and ends where the statement says
    ok   schema           every document is of its form, in a version that this build knows, and holds no credentials
    ok   items            every item's files and exchanges are there and agree, and no payload file is unaccounted for
    ok   secrets          every redacted file is listed, with its original sealed beside it
    ok   disclosure       a disclosed copy holds all of its source but what is sealed there, unchanged
    ok   coverage         the coverage claims what the items show, and spells out every gap
    ok   custody          the journal tells of every item and exchange, as they are
    ok   provider-digest  digests stated by AWS are the digests of the bytes here
    warning [layout] seal/statement.json: there is no statement: the bundle was never sealed
          The run did not come to its end. Take the snapshot again; keep this one as well, for it may hold what has since gone.
    warning [layout] not written yet: bagit.txt, bag-info.txt, manifest-sha256.txt, tagmanifest-sha256.txt, meta/items.jsonl, meta/coverage.json, meta/journal/000001.jsonl
          The run did not come to its end. Take the snapshot again; keep this one as well, for it may hold what has since gone.
    0 files, 0 bytes, 0 items, 0 gaps, 0 exchanges, 0 journal lines
    the bundle is unfinished: what is there does not contradict itself, but the run did not come to its end
    --- exit 4
    ");
    insta::assert_snapshot!(terminal.transcript(&["show", "nowhere.zip"]), @r"
    $ freezeframe show nowhere.zip
    --- stderr
    error: cannot open nowhere.zip
      caused by: cannot open `nowhere.zip`
      caused by: No such file or directory (os error [N])
      hint: give the path of a bundle: its zip, or the directory that holds its bagit.txt
    --- exit 1
    ");
    insta::assert_snapshot!(terminal.transcript(&["show", "empty"]), @r"
    $ freezeframe show empty
    --- stderr
    no items: the bundle was not sealed, or is not one of ours
    --- exit 0
    ");
}

#[test]
fn what_is_in_it() {
    let terminal = terminal();
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip"]), @r"
    $ freezeframe show good.zip
    --- stdout
    i000001 collected      unit-a                 configuration of $LATEST  data/20-config/000001-GetFunctionConfiguration.json
    i000002 collected      unit-a                 code of $LATEST  data/10-code/v-LATEST.zip
    i000003 not_found      unit-a                 resource policy  –
    i000004 denied         unit-a                 recent log events  –
    --- exit 0
    ");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "i000003"]), @r"
    $ freezeframe show good.zip i000003
    --- stderr
    error: i000003 (not_found) has no bytes
      hint: its exchanges are shown with `show <bundle> x…`
    --- exit 1
    ");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "i000099"]), @r"
    $ freezeframe show good.zip i000099
    --- stderr
    error: there is no item i000099 in this bundle
      hint: `show <bundle>` lists them
    --- exit 2
    ");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "x000099"]), @r"
    $ freezeframe show good.zip x000099
    --- stderr
    error: there is no exchange x000099 in this bundle
    --- exit 2
    ");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "../../etc/passwd"]), @r"
    $ freezeframe show good.zip ../../etc/passwd
    --- stderr
    error: no such item
      caused by: `../../etc/passwd` cannot be a path in a bundle: no segment may begin or end with a dot
    --- exit 2
    ");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "data/none.json"]), @r"
    $ freezeframe show good.zip data/none.json
    --- stderr
    error: there is no file data/none.json in this bundle
    --- exit 2
    ");
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "x000003"]), @r#"
    $ freezeframe show good.zip x000003
    --- stdout
    {
      "id": "x000003",
      "unit": "unit-a",
      "service": "Lambda",
      "operation": "GetPolicy",
      "region": "eu-west-1",
      "attempt": 1,
      "method": "GET",
      "uri": "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/payments-export",
      "request_headers": [
        [
          "user-agent",
          "freezeframe"
        ]
      ],
      "sent": "[TIME]",
      "took_ms": 12,
      "status": 404,
      "response_headers": [
        [
          "x-amzn-requestid",
          "r-3"
        ]
      ],
      "request_id": "r-3",
      "body_end": {
        "how": "complete"
      },
      "body_bytes": 70,
      "body_sha256": "24cde2ccda8562d2ea3a8aab07517ae9ff7dd91657b24807e7661583111237fa",
      "body": "data/30-policy/000003-GetPolicy.json"
    }
    --- exit 0
    "#);
    insta::assert_snapshot!(terminal.transcript(&["show", "good.zip", "i000001", "--json"]), @r#"
    $ freezeframe show good.zip i000001 --json
    --- stdout
    {
      "v": 1,
      "item": {
        "id": "i000001",
        "group": "config",
        "collector": "unit-a",
        "subject": "configuration of $LATEST",
        "status": "collected",
        "sensitivity": "s2",
        "files": [
          {
            "path": "data/20-config/000001-GetFunctionConfiguration.json",
            "bytes": 94,
            "sha256": "95edf775134a4a6d0bf4bc5d8a3a49f9bb8e8201aae964f3bde79f705a86345e"
          }
        ],
        "exchanges": [
          "x000001"
        ]
      },
      "exchanges": [
        {
          "id": "x000001",
          "unit": "unit-a",
          "service": "Lambda",
          "operation": "GetFunctionConfiguration",
          "region": "eu-west-1",
          "attempt": 1,
          "method": "GET",
          "uri": "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/payments-export",
          "request_headers": [
            [
              "user-agent",
              "freezeframe"
            ]
          ],
          "sent": "[TIME]",
          "took_ms": 12,
          "status": 200,
          "response_headers": [
            [
              "x-amzn-requestid",
              "r-1"
            ]
          ],
          "request_id": "r-1",
          "body_end": {
            "how": "complete"
          },
          "body_bytes": 94,
          "body_sha256": "95edf775134a4a6d0bf4bc5d8a3a49f9bb8e8201aae964f3bde79f705a86345e",
          "body": "data/20-config/000001-GetFunctionConfiguration.json"
        }
      ],
      "files": [
        {
          "path": "data/20-config/000001-GetFunctionConfiguration.json",
          "bytes": 94
        }
      ]
    }
    --- exit 0
    "#);
}

#[test]
fn an_items_bytes_are_the_bytes() {
    let terminal = terminal();
    let bytes = |args: &[&str]| {
        let output = terminal.run(args);
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
        output.stdout
    };
    let bag = Bag::good();
    for (named, path) in [("i000002", crate::bundle::bag::FUNCTION_ZIP), ("i000001", CONFIG), ("meta/coverage.json", "meta/coverage.json")]
    {
        for bundle in ["good.zip", "good"] {
            assert_eq!(bytes(&["show", bundle, named]), bag.files[path], "{bundle} {named}");
        }
    }
    assert!(NAME.contains("payments-export"));
}
