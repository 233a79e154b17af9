//! STUB until branch `bundle` is merged.
use super::documents::*;
use crate::aws::record::{Recorder, UnitScope};
use crate::clock::Clock;
use crate::model::digest::Sha256;
use crate::model::exchange::Exchange;
use crate::model::id::*;
use crate::model::item::*;
use crate::model::journal_event::JournalEvent;
use crate::model::path::BundlePath;
use crate::model::target::Target;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub struct DraftInfo { pub case: CaseId, pub run: RunId, pub kind: BundleKind, pub target: Target, pub playbook: String, pub operator: String, pub tool: ToolRecord, pub previous: Option<Previous> }
#[derive(Debug)]
pub struct Draft;
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct DraftError;
pub struct NewItem { pub group: Group, pub collector: String, pub subject: String, pub status: ItemStatus, pub sensitivity: Sensitivity, pub files: Vec<FileRef>, pub exchanges: Vec<ExchangeId>, pub derived_from: Vec<ItemId>, pub provider_digest: Option<ProviderDigest>, pub detail: Option<String>, pub question: Option<String>, pub action: Option<String> }
pub struct DraftFile;
impl Write for DraftFile { fn write(&mut self, _: &[u8]) -> io::Result<usize> { todo!() } fn flush(&mut self) -> io::Result<()> { todo!() } }
impl DraftFile { pub fn finish(self) -> Result<FileRef, DraftError> { todo!() } }
impl Draft {
    pub fn open(_case_dir: &Path, _info: DraftInfo, _clock: Arc<dyn Clock>) -> Result<Arc<Draft>, DraftError> { todo!() }
    pub fn name(&self) -> &str { todo!() }
    pub fn dir(&self) -> &Path { todo!() }
    pub fn info(&self) -> &DraftInfo { todo!() }
    pub fn set_actor(&self, _arn: &str) { todo!() }
    pub fn set_clock_skew(&self, _ms: i64) { todo!() }
    pub fn set_stated_target(&self, _t: StatedTarget) { todo!() }
    pub fn journal(&self, _e: JournalEvent) -> Result<(), DraftError> { todo!() }
    pub fn put(&self, _p: &BundlePath, _b: &[u8]) -> Result<FileRef, DraftError> { todo!() }
    pub fn create(&self, _p: &BundlePath, _limit: u64) -> Result<DraftFile, DraftError> { todo!() }
    pub fn exchange(&self, _id: ExchangeId) -> Option<Exchange> { todo!() }
    pub fn file_of(&self, _id: ExchangeId) -> Option<FileRef> { todo!() }
    pub fn add(&self, _i: NewItem) -> Result<ItemId, DraftError> { todo!() }
    pub fn items(&self) -> Vec<Item> { todo!() }
    pub fn seal(&self, _planned: Vec<PlannedUnit>, _finished: bool) -> Result<Sealed, DraftError> { todo!() }
}
pub struct Sealed;
impl Sealed { pub fn root(&self) -> Sha256 { todo!() } pub fn zip(&self) -> Result<PathBuf, DraftError> { todo!() } }
impl Recorder for Draft {
    fn number(&self) -> ExchangeId { todo!() }
    fn open_body(&self, _id: ExchangeId) -> io::Result<Box<dyn Write + Send>> { todo!() }
    fn finish(&self, _s: &UnitScope, _e: Exchange, _w: Option<BundlePath>) -> Exchange { todo!() }
}
