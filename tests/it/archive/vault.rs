//! A case on a disk, and a bucket with Object Lock on the emulator.

use crate::bundle::bag::{Bag, NAME};
use crate::support::emulator::clock;
use crate::support::stage::{Empty, PROGRAM};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use freezeframe::bundle::case_journal::CaseJournal;
use freezeframe::drill::command::{Ended, Shell};
use freezeframe::model::id::RunId;
use freezeframe::model::journal_event::JournalEvent;
use freezeframe::store::dir::DirStore;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const CASE: &str = "IR-2026-0042";
pub const VAULT: &str = "evidence-vault";
pub const PLACE: &str = "s3://evidence-vault/prod";

/// An empty account with a vault in it, and one case of one bundle on the disk.
pub struct Vault {
    pub stage: Empty,
    pub cases: PathBuf,
}

impl Vault {
    pub async fn set(bag: &Bag) -> Vault {
        let stage = Empty::set().await;
        stage.aws.s3.create_bucket().bucket(VAULT).object_lock_enabled_for_bucket(true).send().await.unwrap();
        let cases = stage.files.path().join("cases");
        let vault = Vault { stage, cases };
        std::fs::create_dir_all(vault.case()).unwrap();
        std::fs::write(vault.bundle(), bag.zip().bytes()).unwrap();
        vault.journal().await.append(opened(CASE)).await.unwrap();
        vault
    }

    pub fn case(&self) -> PathBuf {
        self.cases.join(CASE)
    }
    pub fn bundle(&self) -> PathBuf {
        self.case().join(format!("{NAME}.zip"))
    }
    pub fn place(&self) -> String {
        format!("{PLACE}/{CASE}/{NAME}")
    }
    /// The bundle's lead in the bucket.
    pub fn lead(&self) -> String {
        format!("prod/{CASE}/{NAME}/")
    }
    pub async fn journal(&self) -> CaseJournal {
        CaseJournal::open(Arc::new(DirStore::open(self.case()).unwrap()), clock(), "a test").await.unwrap()
    }

    pub fn shell(&self) -> Shell {
        Shell::new(Path::new(PROGRAM), &self.stage.emulator, &self.stage.emulator.root, &self.cases)
    }
    pub async fn archive(&self, more: &[&str]) -> Ended {
        let bundle = self.bundle();
        self.shell().run(&[&["archive", bundle.to_str().unwrap(), PLACE], more].concat()).await.unwrap()
    }

    /// A bucket of its own, as careless as it gets.
    pub async fn bucket(&self, name: &str, versioned: bool) {
        let s3 = &self.stage.aws.s3;
        s3.create_bucket().bucket(name).send().await.unwrap();
        if versioned {
            let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            s3.put_bucket_versioning().bucket(name).versioning_configuration(on).send().await.unwrap();
        }
    }

    /// Every version below a prefix: key, version id, whether it is a delete marker.
    pub async fn versions(&self, lead: &str) -> Vec<(String, String, bool)> {
        let page = self.stage.aws.s3.list_object_versions().bucket(VAULT).prefix(lead).send().await.unwrap();
        assert_ne!(page.is_truncated(), Some(true));
        let versions = page.versions().iter().map(|v| (v.key().unwrap().into(), v.version_id().unwrap().into(), false));
        versions.chain(page.delete_markers().iter().map(|m| (m.key().unwrap().into(), m.version_id().unwrap().into(), true))).collect()
    }

    pub async fn object(&self, key: &str) -> Vec<u8> {
        let answer = self.stage.aws.s3.get_object().bucket(VAULT).key(key).send().await.unwrap();
        answer.body.collect().await.unwrap().to_vec()
    }
}

pub fn opened(case: &str) -> JournalEvent {
    JournalEvent::CaseOpen { case: case.into(), run: RunId::new(1, 1), tool: "freezeframe 0.1.0".into(), operator: "a test".into() }
}

/// The property of the preflight by its name: `good: on; …`.
pub fn property(document: &Value, name: &str) -> String {
    let all = document["bucket"].as_array().unwrap();
    let p = all.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("no {name} in {document:#}"));
    format!("{}: {}", p["verdict"].as_str().unwrap(), p["found"].as_str().unwrap())
}

impl Vault {
    /// The same bundle in the same case once more, as if nothing had been archived: what lies in the vault is deleted by whoever may bypass
    /// governance.
    pub async fn anew(&self, bag: &Bag) {
        let s3 = &self.stage.aws.s3;
        for (key, version, _) in self.versions("").await {
            s3.delete_object().bucket(VAULT).key(key).version_id(version).bypass_governance_retention(true).send().await.unwrap();
        }
        std::fs::remove_dir_all(self.case()).unwrap();
        std::fs::create_dir_all(self.case()).unwrap();
        std::fs::write(self.bundle(), bag.zip().bytes()).unwrap();
        self.journal().await.append(opened(CASE)).await.unwrap();
    }
}
