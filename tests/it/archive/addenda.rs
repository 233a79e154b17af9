//! Addenda in a bucket and beside the bundle: signed, chained, and what is done to them is found.

use super::vault::{CASE, PLACE, VAULT, Vault};
use crate::bundle::bag::{Bag, NAME, sha};
use crate::support::emulator::{clock, ok};
use freezeframe::bundle::addenda::beside::{append, place};
use freezeframe::bundle::addenda::{About, AddendumKind};
use freezeframe::bundle::keys::SigningKey;
use freezeframe::bundle::signing::Signers;
use freezeframe::model::digest::Sha256;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A key in a file, and its fingerprint.
fn key(vault: &Vault, name: &str) -> (PathBuf, String) {
    let path = vault.stage.files.path().join(name);
    let key = SigningKey::make(&path).unwrap();
    (path, key.public().fingerprint().to_string())
}

/// As `unseal` does it: an addendum beside the bundle on the disk.
async fn access(vault: &Vault, bag: &Bag, key: &Path) {
    let mut signers = Signers::default();
    signers.with(Arc::new(SigningKey::read(key).unwrap()));
    let about = About {
        case: CASE.parse().unwrap(),
        bundle: NAME.into(),
        root: Sha256::from_hex(&bag.root()).unwrap(),
        operator: "an analyst".into(),
    };
    append(&place(&vault.bundle(), NAME), &about, AddendumKind::Access, b"{\"v\":1}", &signers, &*clock()).await.unwrap();
}

fn messages(told: &Value, check: &str) -> Vec<String> {
    let all = told["findings"].as_array().unwrap().iter().filter(|f| f["check"] == check);
    all.map(|f| format!("{}: {} {}", f["level"].as_str().unwrap(), f["path"].as_str().unwrap_or(""), f["message"].as_str().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_signed_chained_and_the_same_in_the_bucket_and_beside_the_bundle() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let (shell, bundle) = (vault.shell(), vault.bundle());
    let ((mine, my_print), (theirs, _)) = (key(&vault, "mine.pem"), key(&vault, "theirs.pem"));
    let sign: &[&str] = &["--retain", "1d", "--sign-key", mine.to_str().unwrap()];

    // Opened before it was archived: what lies beside the bundle goes into the bucket first.
    access(&vault, &bag, &theirs).await;
    let first = ok(vault.archive(sign).await, 0);
    assert_eq!((&first["signed_by"], &first["record"]), (&json!([my_print]), &json!("seal/addenda/000002/archive.json")), "{first:#}");
    // The same words again: nothing new. Another key has something to add.
    let again = ok(vault.archive(sign).await, 0);
    assert_eq!(again["statement_sha256"], first["statement_sha256"]);
    access(&vault, &bag, &theirs).await;
    let other = ok(vault.archive(&["--retain", "1d", "--sign-key", theirs.to_str().unwrap()]).await, 0);
    assert_eq!(other["record"], "seal/addenda/000004/archive.json");

    let (here, there) = (bundle.to_str().unwrap(), vault.place());
    let said = async |more: &[&str], code| {
        let (a, b) = (
            shell.run(&[&["verify", here], more].concat()).await.unwrap(),
            shell.run(&[&["verify", &there], more].concat()).await.unwrap(),
        );
        (ok(a, code), ok(b, code))
    };
    let (local, remote) = said(&[], 0).await;
    let kinds =
        |told: &Value| told["addenda"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(kinds(&local), ["access", "archive", "access", "archive"]);
    assert_eq!(kinds(&remote), kinds(&local));
    for (a, b) in local["addenda"].as_array().unwrap().iter().zip(remote["addenda"].as_array().unwrap()) {
        assert_eq!((&a["statement"], &a["signatures"], &a["stands"]), (&b["statement"], &b["signatures"], &json!(true)));
        assert_eq!(a["signatures"][0]["result"], "holds");
    }
    // By a key that did not sign: the bundle is not signed at all, so that is an error of its own; of the addenda it is a warning.
    let (local, remote) = said(&["--key", &my_print], 4).await;
    for told in [&local, &remote] {
        let all = messages(told, "addenda");
        assert_eq!(
            all.iter().filter(|m| m.starts_with("warn") && m.contains("none of the keys that were asked for")).count(),
            3,
            "{all:#?}"
        );
        assert!(all.iter().all(|m| !m.starts_with("error")), "{all:#?}");
    }
    // A person reads the same.
    let told = ok(shell.run(&["custody", here]).await.unwrap(), 0);
    assert_eq!((told["addenda"].as_array().map(Vec::len), &told["addenda"][1]["kind"]), (Some(4), &json!("archive")));
    let plain = shell.process(&["custody", here]).output().await.unwrap();
    let text = String::from_utf8_lossy(&plain.stdout);
    assert!(text.contains("What happened to it afterwards") && text.contains(&format!("signed by {my_print}")), "{text}");

    // From the bucket to another machine: the chain comes along, and goes on there.
    let out = vault.stage.files.path().join("elsewhere");
    ok(shell.run(&["fetch", &there, "--to", out.to_str().unwrap()]).await.unwrap(), 0);
    let dir = out.join(NAME);
    let elsewhere = ok(shell.run(&["archive", dir.to_str().unwrap(), "s3://evidence-vault/copy", "--retain", "1d"]).await.unwrap(), 0);
    assert_eq!((&elsewhere["record"], &elsewhere["signed_by"]), (&json!("seal/addenda/000005/archive.json"), &json!([])));
    let copy = ok(shell.run(&["verify", elsewhere["place"].as_str().unwrap()]).await.unwrap(), 0);
    assert_eq!(kinds(&copy).len(), 5);
    assert!(messages(&copy, "addenda").iter().any(|m| m.starts_with("info") && m.contains("unsigned")), "{copy:#}");

    // Here the chain goes on as well, without knowing of that: from then on there are two, and neither is mixed into the other.
    access(&vault, &bag, &theirs).await;
    let two = ok(shell.run(&["archive", here, "s3://evidence-vault/copy", "--retain", "2d"]).await.unwrap(), 0);
    assert!(two["notes"].as_array().unwrap().iter().any(|n| n.as_str().unwrap().contains("are another chain")), "{two:#}");
    for at in [here, two["place"].as_str().unwrap()] {
        assert_eq!(check(&ok(shell.run(&["verify", at]).await.unwrap(), 0)), 0, "{at}");
    }
}

/// Errors of the check.
fn check(told: &Value) -> u64 {
    told["checks"].as_array().unwrap().iter().find(|c| c["id"] == "addenda").unwrap()["errors"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_to_them_is_found() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let shell = vault.shell();
    let (mine, _) = key(&vault, "mine.pem");
    let lead = format!("{NAME}.addenda/");
    let at = vault.case().join(format!("{NAME}.addenda"));
    let (one, two) = (at.join("000001"), at.join("000002"));
    let set = async || {
        let _ = std::fs::remove_dir_all(&at);
        for _ in 0..3 {
            access(&vault, &bag, &mine).await;
        }
    };
    let edit = |path: &Path, f: &dyn Fn(&mut Value)| {
        let mut v: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        f(&mut v);
        std::fs::write(path, v.to_string()).unwrap();
    };
    type Spoil<'s> = (&'s str, Box<dyn Fn() + 's>, &'s str, u64);
    let remove = |p: PathBuf| std::fs::remove_file(p).unwrap();
    let spoils: Vec<Spoil<'_>> = vec![
        (
            "a byte of the document",
            Box::new(|| std::fs::write(one.join("access.json"), b"{\"v\":2}").unwrap()),
            "its bytes were changed",
            4,
        ),
        ("the document", Box::new(|| remove(two.join("access.json"))), "it is not there", 4),
        ("a number", Box::new(|| std::fs::remove_dir_all(&two).unwrap()), "its number is missing between others", 4),
        ("a statement between others", Box::new(|| remove(two.join("statement.json"))), "one was replaced or taken away", 4),
        ("the last statement", Box::new(|| remove(at.join("000003/statement.json"))), "did not come to its end", 0),
        (
            "a member",
            Box::new(|| edit(&one.join("statement.json"), &|v| v["predicate"]["operator"] = json!("me"))),
            "what was signed is not the statement",
            4,
        ),
        (
            "a member that no form has",
            Box::new(|| edit(&one.join("statement.json"), &|v| v["predicate"]["x"] = json!(1))),
            "`/predicate/x` is unknown",
            4,
        ),
        ("a signature", Box::new(|| edit(&one.join("statement.dsse.json"), &|v| v["signatures"][0]["sig"] = json!("AAAA"))), "is wrong", 4),
        ("the envelope", Box::new(|| remove(one.join("statement.dsse.json"))), "was to sign it, and its signature is not here", 4),
        ("the key", Box::new(|| remove(one.join("public-key.pem"))), "whose public half lies neither here nor was given", 4),
        (
            "the order",
            Box::new(|| {
                std::fs::rename(&one, at.join("x")).unwrap();
                std::fs::rename(&two, &one).unwrap();
                std::fs::rename(at.join("x"), &two).unwrap();
            }),
            "it was made as number 2, and lies under 1",
            4,
        ),
        ("another file", Box::new(|| std::fs::write(one.join("notes.txt"), b"x").unwrap()), "no addendum has such a file", 0),
        (
            "a link",
            Box::new(|| {
                remove(one.join("access.json"));
                std::os::unix::fs::symlink("/etc/hostname", one.join("access.json")).unwrap();
            }),
            "it cannot be read",
            4,
        ),
        (
            "of another bundle",
            Box::new(|| edit(&one.join("statement.json"), &|v| v["predicate"]["bundle"] = json!("other"))),
            "and this is another",
            4,
        ),
        ("a number without end", Box::new(|| std::fs::create_dir(at.join("999999")).unwrap()), "more than any bundle has", 4),
        (
            "a megabyte and more",
            Box::new(|| std::fs::write(one.join("statement.json"), vec![b' '; 2 << 20]).unwrap()),
            "has no statement that can be read",
            4,
        ),
    ];
    for (what, spoil, words, code) in &spoils {
        set().await;
        let good = ok(shell.run(&["verify", vault.bundle().to_str().unwrap()]).await.unwrap(), 0);
        assert_eq!((check(&good), good["addenda"].as_array().map(Vec::len)), (0, Some(3)), "{good:#}");
        spoil();
        let told = ok(shell.run(&["verify", vault.bundle().to_str().unwrap()]).await.unwrap(), i32::try_from(*code).unwrap());
        let all = messages(&told, "addenda");
        assert!(all.iter().any(|m| m.contains(words) && m.contains(&lead)), "{what}: {all:#?}");
        assert_eq!(check(&told) > 0, *code == 4, "{what}: {all:#?}");
        assert!(
            told["checks"].as_array().unwrap().iter().all(|c| c["id"] == "addenda" || c["errors"] == 0),
            "{what}: only this check: {told:#}"
        );
    }
    // The same eyes look into the bucket.
    set().await;
    ok(vault.archive(&["--retain", "1d"]).await, 0);
    let key = format!("{}seal/addenda/000002/access.json", vault.lead());
    assert_eq!(sha(&vault.object(&key).await), sha(b"{\"v\":1}"));
    vault.stage.aws.s3.put_object().bucket(VAULT).key(&key).body(b"{}".to_vec().into()).send().await.unwrap();
    let told = ok(shell.run(&["verify", &vault.place()]).await.unwrap(), 4);
    assert!(messages(&told, "addenda").iter().any(|m| m.contains("its bytes were changed")), "{told:#}");
    let _ = PLACE;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_never_share_a_number() {
    let bag = Bag::good();
    let vault = Vault::set(&bag).await;
    let ((a, _), (b, _)) = (key(&vault, "a.pem"), key(&vault, "b.pem"));
    ok(vault.archive(&["--retain", "1d"]).await, 0);
    let of = |k: PathBuf| {
        let vault = &vault;
        async move { vault.archive(&["--retain", "1d", "--sign-key", k.to_str().unwrap()]).await }
    };
    let (one, two) = tokio::join!(of(a), of(b));
    let (one, two) = (ok(one, 0), ok(two, 0));
    assert_ne!(one["statement_sha256"], two["statement_sha256"]);
    assert_ne!(one["record"], two["record"], "{one:#}\n{two:#}");
    let told = ok(vault.shell().run(&["verify", &vault.place()]).await.unwrap(), 0);
    assert_eq!((check(&told), told["addenda"].as_array().map(Vec::len)), (0, Some(3)), "{told:#}");
    let here = ok(vault.shell().run(&["verify", vault.bundle().to_str().unwrap()]).await.unwrap(), 0);
    assert_eq!(check(&here), 0, "{here:#}");
}
