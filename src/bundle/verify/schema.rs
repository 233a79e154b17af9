//! Every document of ours, held strictly to its type: the types are what `evidence-schema/` is generated from.

use super::Check;
use super::documents::Strict;
use super::facts::Facts;
use super::findings::{Findings, remedy};

pub struct Schema;

impl Check for Schema {
    fn id(&self) -> &'static str {
        "schema"
    }
    fn title(&self) -> &'static str {
        "every document is of its form, in a version that this build knows, and holds no credentials"
    }
    fn run(&self, facts: &Facts, out: &mut Findings) {
        for t in &facts.troubles {
            let at = t.line.map(|n| format!("line {n}: ")).unwrap_or_default();
            match &t.what {
                Strict::Form(what) => out.add(facts.absence(), Some(t.path.as_str()), format!("{at}{what}"), remedy::ASK_MAKER),
                Strict::Version(v) => {
                    let what = format!("{at}it is of version {v}, which this build does not know; its content was not checked");
                    out.error(Some(t.path.as_str()), what, remedy::NEWER_BUILD);
                }
            }
        }
        for x in facts.exchanges.values() {
            if let Some(name) = &x.credential {
                let what = format!("it holds a credential of the request (`{name}`), which should never have been recorded");
                out.warn(
                    Some(x.path.as_str()),
                    what,
                    "Treat that credential as leaked: revoke it, and hand this bundle to nobody who should not have it.",
                );
            }
        }
    }
}
