//! Straight to S3, killed while the seal goes up: what lies in `seal/` by then stays, and is brought to an end that is whole, or to none.

use super::straight::{At::Wire, Vault, bundle_of, errors};
use super::vault::VAULT;
use crate::bundle::checker::both;
use crate::drill::gate::{Moment::Answered, message};
use crate::support::emulator::ok;
use crate::support::tsa::Authority;
use freezeframe::bundle::keys::SigningKey;
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

const SALVAGE: [&str; 3] = ["--retain", "1d", "--run-is-dead"];

/// A run that is killed when this file of its seal has come into the bucket.
struct Kill {
    /// With the slash: texts in the bundle name the file as well.
    file: &'static str,
    /// With an authority that stamps, and a second key whose KMS does not sign.
    with_others: bool,
    /// Its own signature lay there by then.
    signed: bool,
    /// What a person is told that is not as it was asked, and in which words `verify` warns of it.
    missing: &'static [(&'static str, &'static str)],
}

const NOT_SIGNED: (&str, &str) = ("NOT signed: its run died", "it is the key of no signature here");
const NO_STAMP: (&str, &str) = ("/tsr: its run died while", "/tsr was to stamp it, and did not: its run died while");
const KMS_DIED: (&str, &str) = ("NOT signed with the KMS key arn:", "could not: its run died while");
const KMS_REFUSED: (&str, &str) = ("NOT signed with the KMS key arn:", "AccessDenied");

const KILLS: [Kill; 7] = [
    Kill { file: "/seal/public-key.pem", with_others: false, signed: false, missing: &[NOT_SIGNED] },
    Kill { file: "/seal/statement.dsse.json", with_others: false, signed: true, missing: &[] },
    Kill { file: "/seal/sealing.json", with_others: false, signed: true, missing: &[] },
    Kill { file: "/seal/public-key.pem", with_others: true, signed: false, missing: &[NOT_SIGNED] },
    Kill { file: "/seal/statement.dsse.json", with_others: true, signed: true, missing: &[KMS_DIED, NO_STAMP] },
    Kill { file: "/seal/root.tsr", with_others: true, signed: true, missing: &[KMS_DIED] },
    Kill { file: "/seal/sealing.json", with_others: true, signed: true, missing: &[KMS_REFUSED] },
];

const KMS_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1111-2222";

/// A KMS that tells what the key is, and refuses to sign with it.
async fn kms_that_does_not_sign(vault: &Vault) -> String {
    let public = SigningKey::make(&vault.stage.scratch().join("kms.pem")).unwrap().public().to_pem();
    let der: String = public.lines().filter(|l| !l.starts_with('-')).collect();
    let described = json!({"KeyId": KMS_KEY, "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": ["ECDSA_SHA_256"],
                           "PublicKey": der});
    let refused = json!({"__type": "AccessDeniedException", "message": "not with this key"});
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // One request each; the other side going away is the end of a connection and nothing more.
            let Ok(Some(request)) = message(&mut client, None).await else { continue };
            let signs = String::from_utf8_lossy(&request).contains("TrentService.Sign");
            let (status, body) = if signs { ("400 Bad Request", &refused) } else { ("200 OK", &described) };
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}", body.len());
            client.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes()).await.ok();
        }
    });
    endpoint
}

fn warnings(told: &Value) -> Vec<&str> {
    let findings = told["findings"].as_array().unwrap().iter();
    let of_seal = findings.filter(|f| f["level"] == "warn" && (f["check"] == "signature" || f["check"] == "timestamp"));
    of_seal.map(|f| f["message"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_was_begun_is_brought_to_its_end_elsewhere() {
    let vault = Vault::set().await;
    let elsewhere = vault.elsewhere("other");
    let other = ok(elsewhere.run(&["key", "new"]).await.unwrap(), 0)["fingerprint"].clone();
    let own = ok(vault.stage.root().run(&["key", "new"]).await.unwrap(), 0)["fingerprint"].clone();
    let tsa = Authority::new().map(|authority| authority.serve(|answer| answer));
    let kms = kms_that_does_not_sign(&vault).await;
    let mut sealed: Vec<PathBuf> = vec![];
    for (n, Kill { file, with_others, signed, missing }) in (1..).zip(KILLS) {
        let case = format!("IR-SEAL-{n}");
        let mut command = vault.stage.root().process(&vault.run(&case));
        if with_others {
            // Without openssl there is no authority to ask.
            let Some(tsa) = &tsa else { continue };
            command.args(["--kms-key", KMS_KEY, "--tsa", tsa]).env("AWS_ENDPOINT_URL_KMS", &kms);
        }
        vault.kill_it(command, &case, Wire(Answered, file)).await;
        let left = vault.there(&format!("prod/{case}/")).await;
        let lead = format!("prod/{case}/{}/", bundle_of(&left, &case).unwrap());
        let at = |name: &str| format!("{}{name}", lead.trim_end_matches('/'));
        assert!(left.contains_key(&at(file)) && !left.contains_key(&at("/seal/statement.json")), "{left:#?}");
        // One after the other: what comes behind this file is not there yet.
        let order = ["/seal/public-key.pem", "/seal/statement.dsse.json", "/seal/root.tsr", "/seal/sealing.json"];
        let behind = order.iter().skip_while(|f| **f != file).skip(1);
        assert_eq!(behind.filter(|f| left.contains_key(&at(f))).collect::<Vec<_>>(), Vec::<&&str>::new(), "{file}");

        let place = format!("s3://{VAULT}/{}", lead.trim_end_matches('/'));
        let salvaged = elsewhere.run(&[&["salvage", &place], &SALVAGE[..]].concat()).await.unwrap();
        let salvaged = ok(salvaged, if missing.is_empty() { 0 } else { 3 });
        let signed_by = if signed { json!([own]) } else { json!([]) };
        assert_eq!((&salvaged["signed_by"], &salvaged["finished"]), (&signed_by, &json!(true)), "{file}");
        let now = vault.there(&format!("prod/{case}/")).await;
        assert!(now.values().all(|n| *n == 1) && left.keys().all(|k| now.contains_key(k)), "{file}: {now:#?}");
        let told = ok(elsewhere.run(&["verify", &place]).await.unwrap(), 0);
        assert_eq!((&told["verdict"], errors(&told), &told["root"]), (&json!("whole"), vec![], &salvaged["root"]), "{file}: {told:#}");
        // What is missing, and nothing else, is told to whoever took it up and to every reader.
        let (notes, warnings) = (salvaged["notes"].as_array().unwrap(), warnings(&told));
        assert_eq!((notes.len(), warnings.len()), (missing.len(), missing.len()), "{file}: {notes:#?} {warnings:#?}");
        for (note, warning) in missing {
            assert!(notes.iter().any(|n| n.as_str().unwrap().contains(note)), "{file}: {note}: {notes:#?}");
            assert!(warnings.iter().any(|w| w.contains(warning)), "{file}: {warning}: {warnings:#?}");
        }
        let stamped = signed && with_others && !missing.contains(&NO_STAMP);
        assert_eq!(told["timestamp"]["of_this_signature"] == true, stamped, "{file}: {:#}", told["timestamp"]);
        // Whoever took it up signs what he says of it.
        let record: Value = serde_json::from_slice(&vault.object(&format!("{lead}seal/addenda/000001/statement.dsse.json")).await).unwrap();
        assert_eq!(record["signatures"][0]["keyid"], other, "{file}");
        sealed.push(salvaged["path"].as_str().unwrap().into());
    }
    // A reader of the written format, who knows nothing of how it came about, says the same of each.
    let opinions = both(&sealed.into_iter().map(|zip| (zip, vec![])).collect::<Vec<_>>());
    for (n, (verify, checker)) in opinions.into_iter().flatten().enumerate() {
        assert_eq!((&verify, verify.code), (&checker, 0), "bundle {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begun_seal_that_would_come_to_a_broken_end_is_said_to_be_none() {
    let vault = Vault::set().await;
    ok(vault.stage.root().run(&["key", "new"]).await.unwrap(), 0);
    let elsewhere = vault.elsewhere("other");
    vault.kill("IR-1", Wire(Answered, "/seal/statement.dsse.json")).await;
    let left = vault.there("prod/IR-1/").await;
    let lead = format!("prod/IR-1/{}/", bundle_of(&left, "IR-1").unwrap());
    // As long as nothing is sealed a stamp may be half written; sealed, this one is none.
    let forged = vault.stage.aws.s3.put_object().bucket(VAULT).key(format!("{lead}seal/root.tsr"));
    forged.body(b"no stamp".to_vec().into()).send().await.unwrap();
    let before = vault.there("prod/IR-1/").await;
    let place = format!("s3://{VAULT}/{}", lead.trim_end_matches('/'));
    let told = ok(elsewhere.run(&["verify", &place]).await.unwrap(), 4);
    assert_eq!((&told["verdict"], errors(&told)), (&json!("unfinished"), vec![]), "{told:#}");
    // The second time as the first: nothing was kept, claimed or announced by which it would be another's, or sealed.
    for _ in 0..2 {
        let salvaged = elsewhere.run(&[&["salvage", &place], &SALVAGE[..]].concat()).await.unwrap();
        assert!(salvaged.code == 4 && salvaged.stderr.contains("contradicts itself"), "{}", salvaged.stderr);
        assert_eq!(vault.there("prod/IR-1/").await, before);
        let case = vault.stage.scratch().join("other/IR-1");
        let kept = std::fs::read_dir(&case).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        assert_eq!(kept.filter(|name| name.contains(".zip")).collect::<Vec<_>>(), Vec::<String>::new());
        // The dead run had sealed it on its own disk, and said so.
        let journal = std::fs::read_dir(case.join("journal")).unwrap();
        let journal: String = journal.map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap()).collect();
        assert_eq!(journal.matches(r#""ev":"sealed""#).count(), 1, "{journal}");
    }
}
