//! `show`: what is in a bundle; one item's bytes to stdout. It verifies nothing: `verify` does.

use super::args::{Global, ShowArgs};
use super::documents::{Contents, Shown, ShownFile};
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
        screen.document(&Contents { v: 1, items });
        return Ok(Outcome::Complete);
    };
    let found = resolve(&bag, &items, wanted)?;
    if screen.json {
        screen.document(&record(&bag, found));
        return Ok(Outcome::Complete);
    }
    if let (Some(item), []) = (found.item, found.paths.as_slice()) {
        let detail = item.detail.as_deref().map(|d| format!(": {}", tame(d, 300))).unwrap_or_default();
        return Err(CliError::new(format!("{wanted} ({}) has no bytes{detail}", item.status.as_str()))
            .hint("its exchanges are shown with `show <bundle> x…`"));
    }
    for path in found.paths {
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

/// What was named.
struct Found<'i> {
    item: Option<&'i Item>,
    /// The files whose bytes it stands for.
    paths: Vec<BundlePath>,
}

/// `i000003`, `x000007` or a path.
fn resolve<'i>(bag: &BagSource, items: &'i [Item], wanted: &str) -> Result<Found<'i>, CliError> {
    if let Some(item) = items.iter().find(|i| i.id.to_string() == wanted) {
        return Ok(Found { item: Some(item), paths: item.files.iter().map(|f| f.path.clone()).collect() });
    }
    let number = |letter| wanted.strip_prefix(letter).is_some_and(|n| n.parse::<u32>().is_ok());
    if number('i') {
        return Err(CliError::new(format!("there is no item {wanted} in this bundle"))
            .hint("`show <bundle>` lists them")
            .outcome(Outcome::Usage));
    }
    if number('x') {
        let found = exchanges(bag).into_iter().find(|(_, x)| x.id.to_string() == wanted);
        let (path, _) =
            found.ok_or_else(|| CliError::new(format!("there is no exchange {wanted} in this bundle")).outcome(Outcome::Usage))?;
        return Ok(Found { item: None, paths: vec![path] });
    }
    let path = path(wanted)?;
    if !bag.files().iter().any(|f| matches!(&f.name, EntryName::Path(p) if *p == path)) {
        return Err(CliError::new(format!("there is no file {} in this bundle", path.as_str())).outcome(Outcome::Usage));
    }
    Ok(Found { item: None, paths: vec![path] })
}

/// Every exchange that can be read, with the path of its record.
fn exchanges(bag: &BagSource) -> Vec<(BundlePath, Exchange)> {
    let records = bag.files().iter().filter_map(|entry| match &entry.name {
        EntryName::Path(p) if p.as_str().ends_with(".http.json") => Some(p),
        _ => None,
    });
    records.filter_map(|p| Some((p.clone(), serde_json::from_slice(&bag.read_small(p, 1 << 20).ok()?).ok()?))).collect()
}

/// For `--json`, which has no room for a stranger's bytes: what is known of them.
fn record(bag: &BagSource, found: Found<'_>) -> Shown {
    let named = |x: &Exchange, path: &BundlePath| match found.item {
        Some(item) => item.exchanges.contains(&x.id),
        None => found.paths.contains(path),
    };
    let exchanges = exchanges(bag).into_iter().filter(|(path, x)| named(x, path)).map(|(_, x)| x).collect();
    let size = |path: &BundlePath| bag.files().iter().find(|f| matches!(&f.name, EntryName::Path(p) if p == path)).map_or(0, |f| f.bytes);
    let files = found.paths.iter().map(|p| ShownFile { path: p.as_str().to_string(), bytes: size(p) }).collect();
    Shown { v: 1, item: found.item.cloned(), exchanges, files }
}
