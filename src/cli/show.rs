//! `show`: what is in a bundle; one item's bytes to stdout. It verifies nothing: `verify` does.

use super::args::{Global, ShowArgs};
use super::error::CliError;
use super::session::screen;
use crate::aws::fault::tame;
use crate::bundle::source::{BagSource, EntryName};
use crate::model::exchange::Exchange;
use crate::model::item::Item;
use crate::model::outcome::Outcome;
use crate::model::path::BundlePath;

/// Items are one line each; a bundle with more than this much of them is none of ours.
const ITEMS_LIMIT: u64 = 256 << 20;

pub fn show(global: &Global, args: ShowArgs) -> Result<Outcome, CliError> {
    let bag = BagSource::open(&args.bundle).map_err(|e| {
        let (hint, outcome) = (e.hint(), e.outcome());
        CliError::new(format!("cannot open {}", args.bundle.display())).because(e).hint(hint).outcome(outcome)
    })?;
    let screen = screen(global);
    let items = items(&bag)?;
    let Some(wanted) = &args.item else {
        screen.document(&items);
        for item in &items {
            let file = item.files.first().map(|f| f.path.as_str()).unwrap_or("–");
            let more = if item.files.len() > 1 { format!(" (+{} more)", item.files.len() - 1) } else { String::new() };
            screen.text(&format!(
                "{} {:14} {:22} {}  {file}{more}",
                item.id,
                item.status.as_str(),
                tame(&item.collector, 22),
                tame(&item.subject, 80)
            ));
        }
        if items.is_empty() {
            screen.remark("no items: the bundle was not sealed, or is not one of ours");
        }
        return Ok(Outcome::Complete);
    };
    let paths = resolve(&bag, &items, wanted)?;
    for path in paths {
        let bytes = bag.stream(&path).map_err(|e| CliError::new(format!("cannot read {}", path.as_str())).because(e))?;
        screen.bytes(bytes).map_err(|e| CliError::new("could not write to standard output").because(e))?;
    }
    Ok(Outcome::Complete)
}

fn path(text: &str) -> Result<BundlePath, CliError> {
    BundlePath::parse(text).map_err(|e| CliError::new("no such item").because(e).outcome(Outcome::Usage))
}

fn items(bag: &BagSource) -> Result<Vec<Item>, CliError> {
    let Ok(bytes) = bag.read_small(&path("meta/items.jsonl")?, ITEMS_LIMIT) else { return Ok(vec![]) };
    bytes
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|line| {
            serde_json::from_slice(line).map_err(|e| {
                CliError::new("meta/items.jsonl cannot be read").because(e).hint("freezeframe verify tells what else is wrong")
            })
        })
        .collect()
}

/// `i000003`, `x000007` or a path.
fn resolve(bag: &BagSource, items: &[Item], wanted: &str) -> Result<Vec<BundlePath>, CliError> {
    if let Some(item) = items.iter().find(|i| i.id.to_string() == wanted) {
        if item.files.is_empty() {
            let detail = item.detail.as_deref().map(|d| format!(": {}", tame(d, 300))).unwrap_or_default();
            return Err(CliError::new(format!("{wanted} ({}) has no bytes{detail}", item.status.as_str()))
                .hint("its exchanges are shown with `show <bundle> x…`"));
        }
        return Ok(item.files.iter().map(|f| f.path.clone()).collect());
    }
    if wanted.starts_with('x') && wanted[1..].parse::<u32>().is_ok() {
        for entry in bag.files() {
            let EntryName::Path(p) = &entry.name else { continue };
            if !p.as_str().ends_with(".http.json") {
                continue;
            }
            let record: Option<Exchange> = bag.read_small(p, 1 << 20).ok().and_then(|b| serde_json::from_slice(&b).ok());
            if record.is_some_and(|x| x.id.to_string() == wanted) {
                return Ok(vec![p.clone()]);
            }
        }
        return Err(CliError::new(format!("there is no exchange {wanted} in this bundle")).outcome(Outcome::Usage));
    }
    Ok(vec![path(wanted)?])
}
