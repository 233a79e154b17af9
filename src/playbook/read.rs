//! The tree as a playbook: every field known, every value of its kind. A problem does not end the reading; whatever else is wrong is told too.

use super::lint;
use super::node::{Key, Kind, Node};
use super::problem::{Invalid, Pos, Problems, choice, nearest};
use super::registry::{Registry, Unit};
use super::strict::{Fields, kebab};
use super::{ApprovalRule, OnFailure, Phase, PhaseKind, Playbook, Step};
use crate::model::digest::Sha256;
use crate::model::params::Params;
use crate::model::restorable::Accept;
use serde_json::Value;

/// Words that a later version gives a meaning. Known, so that the answer is not "unknown".
const LATER_PHASES: [&str; 1] = ["notify"];
const LATER_FIELDS: [&str; 3] = ["when", "required", "accept"];

pub(super) fn read(registry: &Registry, file: &str, text: &str) -> Result<Playbook, Invalid> {
    let mut problems = Problems::new("playbook", file, text);
    let playbook = problems.root().and_then(|root| Reader { registry, problems: &mut problems }.playbook(root, text));
    problems.finish(playbook)
}

struct Reader<'r, 't> {
    registry: &'r Registry,
    problems: &'r mut Problems<'t>,
}

impl Reader<'_, '_> {
    fn playbook(&mut self, root: Node, text: &str) -> Option<Playbook> {
        let mut fields = self.fields("a playbook", root)?;
        let name = self.required_text(&mut fields, "playbook", 64);
        let title = self.required_text(&mut fields, "title", 120);
        let description = fields.take("description").and_then(|(key, node)| self.text(&key, node, 4_000)).unwrap_or_default();
        let phases = match fields.take("phases") {
            Some((key, node)) => self.phases(&key, node),
            None => {
                self.problems.help(fields.at, "a playbook without `phases`", "add `phases:` and below it `- phase: collect`");
                None
            }
        };
        self.nothing_left(fields, &["playbook", "title", "description", "phases"]);
        if let Some((at, name)) = &name
            && !kebab(name)
        {
            self.problems.help(
                *at,
                "a playbook's name is kebab-case",
                "lower-case letters, digits and single hyphens: `snapshot-and-contain`",
            );
        }
        let phases = phases?;
        lint::phases(&phases, self.problems);
        Some(Playbook {
            name: name?.1,
            title: title?.1,
            description: description.trim().to_string(),
            sha256: Sha256::of(text.as_bytes()),
            phases,
        })
    }

    fn phases(&mut self, key: &Key, node: Node) -> Option<Vec<Phase>> {
        let list = self.list(key, node, "- phase: collect")?;
        // All phases are read before any of them is given up, so that every problem is told.
        let phases: Vec<Option<Phase>> = list.into_iter().map(|node| self.phase(node)).collect();
        phases.into_iter().collect()
    }

    fn phase(&mut self, node: Node) -> Option<Phase> {
        let at = node.at;
        let mut fields = self.fields("a phase", node)?;
        let kind = match self.required_text(&mut fields, "phase", 64) {
            Some((at, word)) => self.phase_kind(at, &word),
            None => None,
        };
        let steps = fields.take("steps");
        let on_failure = fields.take("on-failure");
        let overrides = fields.take("override");
        let approval = fields.take("approval");
        self.nothing_left(fields, &["phase", "steps", "on-failure", "override", "approval"]);
        let kind = kind?;

        if kind != PhaseKind::Contain {
            for (key, _) in on_failure.iter().chain(&overrides).chain(&approval) {
                self.problems.say(key.at, format!("`{}` belongs in a contain phase; a {kind} phase changes nothing", key.name));
            }
        }
        let on_failure = match on_failure {
            Some((key, node)) => self.on_failure(&key, node),
            None => OnFailure::default(),
        };
        let overrides = match overrides {
            Some((key, node)) => Some(self.reason(&key, node, "the reason")?),
            None => None,
        };
        let approval = match approval {
            Some((key, node)) => self.approval(&key, node),
            None => ApprovalRule::default(),
        };
        let steps = match (kind, steps) {
            (PhaseKind::Collect | PhaseKind::Contain, Some((key, node))) => self.steps(kind, &key, node)?,
            (PhaseKind::Collect, None) => {
                self.problems.help(at, "an empty collect phase", "add `steps:` and below it `- use: all`");
                return None;
            }
            (PhaseKind::Contain, None) => {
                self.problems.help(at, "an empty contain phase", "add `steps:` and below it `- use: freeze-concurrency`");
                return None;
            }
            (PhaseKind::Seal | PhaseKind::Verify | PhaseKind::Archive, Some((key, _))) => {
                self.problems.help(key.at, format!("a {kind} phase has no steps"), "remove `steps`");
                return None;
            }
            (PhaseKind::Seal | PhaseKind::Verify | PhaseKind::Archive, None) => vec![],
        };
        let on_failure = (kind == PhaseKind::Contain).then_some(on_failure);
        Some(Phase { phase: kind, on_failure, overrides, approval, steps, at })
    }

    fn phase_kind(&mut self, at: Pos, word: &str) -> Option<PhaseKind> {
        let found = PhaseKind::ALL.into_iter().find(|k| k.as_str() == word);
        if found.is_none() {
            if LATER_PHASES.contains(&word) {
                self.problems.help(at, format!("the {word} phase comes in a later version of freezeframe"), "remove it from this playbook");
            } else {
                self.problems.help(at, format!("there is no phase `{word}`"), choice(word, &PhaseKind::ALL.map(PhaseKind::as_str)));
            }
        }
        found
    }

    fn on_failure(&mut self, key: &Key, node: Node) -> OnFailure {
        let at = node.at;
        match self.text(key, node, 64).as_deref() {
            Some("hold") | None => OnFailure::Hold,
            Some("unwind") => OnFailure::Unwind,
            Some(word) => {
                self.problems.help(
                    at,
                    format!("`on-failure` is hold or unwind, not `{word}`"),
                    "hold keeps what was contained; unwind restores it",
                );
                OnFailure::Hold
            }
        }
    }

    /// A word that is none asks for more, never for less.
    fn approval(&mut self, key: &Key, node: Node) -> ApprovalRule {
        let at = node.at;
        let Some(word) = self.text(key, node, 64) else { return ApprovalRule::TwoPerson };
        ApprovalRule::ALL.into_iter().find(|a| a.as_str() == word).unwrap_or_else(|| {
            let help = choice(&word, &ApprovalRule::ALL.map(ApprovalRule::as_str));
            self.problems.help(at, format!("`approval` is operator or two-person, not `{word}`"), help);
            ApprovalRule::TwoPerson
        })
    }

    fn steps(&mut self, phase: PhaseKind, key: &Key, node: Node) -> Option<Vec<Step>> {
        let list = self.list(key, node, "- use: <unit>")?;
        let mut steps: Vec<Step> = Vec::new();
        let mut all: Option<Pos> = None;
        let mut whole = true;
        for node in list {
            let at = node.at;
            match self.step(phase, node) {
                Some(Said::Step(step)) => steps.push(step),
                Some(Said::All) if all.is_some() => self.problems.say(at, "`all` is used twice"),
                Some(Said::All) => all = Some(at),
                None => whole = false,
            }
        }
        if let Some(at) = all {
            for spec in &self.registry.collectors {
                if !steps.iter().any(|s| s.unit.id() == spec.id) {
                    steps.push(Step {
                        unit: Unit::Collector(spec),
                        params: Params::default(),
                        accept: Accept::default(),
                        enabled: true,
                        skipped: false,
                        at,
                    });
                }
            }
        }
        whole.then_some(steps)
    }

    fn step(&mut self, phase: PhaseKind, node: Node) -> Option<Said> {
        let at = node.at;
        if let Kind::Text(word) = &node.kind {
            self.problems.help(at, "a step is a block, not a word", format!("write `- use: {word}`"));
            return None;
        }
        let mut fields = self.fields("a step", node)?;
        let unit = self.required_text(&mut fields, "use", 64);
        let with = fields.take("with");
        let enabled = fields.take("enabled");
        let accept = fields.take("accept");
        self.nothing_left(fields, &["use", "with", "enabled", "accept"]);

        let (unit_at, id) = unit?;
        if id == "all" && phase == PhaseKind::Collect {
            for (key, _) in with.iter().chain(&enabled).chain(&accept) {
                self.problems.help(
                    key.at,
                    format!("`all` takes no `{}`", key.name),
                    "give the collector a step of its own; it overrules `all`",
                );
            }
            return Some(Said::All);
        }
        let unit = self.unit(phase, unit_at, &id)?;
        let enabled = match enabled {
            Some((_, Node { kind: Kind::Bool(b), .. })) => b,
            Some((_, node)) => {
                self.problems.say(node.at, format!("`enabled` is true or false, not {}", node.kind.what()));
                return None;
            }
            None => true,
        };
        let accept = match accept {
            Some((key, node)) => self.accept(phase, &key, node)?,
            None => Accept::default(),
        };
        let params = match with {
            Some((key, node)) => self.params(unit, &key, node)?,
            None => Params::default(),
        };
        Some(Said::Step(Step { unit, params, accept, enabled, skipped: false, at }))
    }

    fn accept(&mut self, phase: PhaseKind, key: &Key, node: Node) -> Option<Accept> {
        if phase != PhaseKind::Contain {
            self.problems.help(
                key.at,
                "`accept` is a word of contain phases",
                "remove it: reading changes nothing that could need restoring",
            );
            return None;
        }
        let word = match &node.kind {
            Kind::Text(word) => Accept::ALL.into_iter().find(|a| a.as_str() == word),
            _ => None,
        };
        if word.is_none() {
            let words = Accept::ALL.map(Accept::as_str).join(", ");
            self.problems.help(node.at, "that is no answer to what restore may lose", format!("`accept` is one of: {words}"));
        }
        word
    }

    fn unit(&mut self, phase: PhaseKind, at: Pos, id: &str) -> Option<Unit> {
        let collectors: Vec<&str> = self.registry.collectors.iter().map(|c| c.id).collect();
        let actions: Vec<&str> = self.registry.actions.iter().map(|a| a.id).collect();
        match (phase, self.registry.find(id)) {
            (PhaseKind::Collect, Some(Unit::Action(_))) => {
                self.problems.help(at, format!("`{id}` is an action; a collect phase only reads"), "move it to a contain phase");
                None
            }
            (PhaseKind::Contain, Some(Unit::Collector(_))) => {
                self.problems.help(at, format!("`{id}` is a collector; a contain phase holds actions"), "move it to a collect phase");
                None
            }
            (_, Some(unit)) => Some(unit),
            (_, None) => {
                // The unit meant may be of the other kind; the next complaint would then say so.
                let here = if phase == PhaseKind::Collect { &collectors } else { &actions };
                let near = nearest(id, here.iter().copied()).or_else(|| nearest(id, collectors.iter().chain(&actions).copied()));
                let what = if phase == PhaseKind::Collect { "collector" } else { "action" };
                let help = near.map_or_else(|| format!("{what}s: {}", here.join(", ")), |near| format!("did you mean `{near}`?"));
                self.problems.help(at, format!("there is no {what} `{id}`"), help);
                None
            }
        }
    }

    fn params(&mut self, unit: Unit, key: &Key, node: Node) -> Option<Params> {
        let entries = match node.kind {
            Kind::Map(entries) => entries,
            other => {
                self.problems.help(
                    node.at,
                    format!("`with` holds `name: value` lines, not {}", other.what()),
                    format!("remove `{}`, or write `with: {{ name: value }}`", key.name),
                );
                return None;
            }
        };
        let known: Vec<&str> = unit.params().iter().map(|p| p.name).collect();
        let mut params = Params::default();
        let mut whole = true;
        for (key, node) in entries {
            let Some(param) = unit.params().iter().find(|p| p.name == key.name) else {
                let help = if known.is_empty() { "it takes none".to_string() } else { choice(&key.name, &known) };
                self.problems.help(key.at, format!("`{}` has no parameter `{}`", unit.id(), key.name), help);
                whole = false;
                continue;
            };
            let value = value(node.kind);
            match param.kind.objection(&value) {
                Some(objection) => {
                    self.problems.help(
                        node.at,
                        format!("`{}` of `{}`: {objection}", key.name, unit.id()),
                        format!("{}; default {}", param.doc, param.default),
                    );
                    whole = false;
                }
                None => {
                    params.0.insert(key.name, value);
                }
            }
        }
        whole.then_some(params)
    }

    // ── the kinds of value: see `strict` ──

    fn fields(&mut self, of: &'static str, node: Node) -> Option<Fields> {
        self.problems.fields(of, node)
    }
    fn list(&mut self, key: &Key, node: Node, example: &str) -> Option<Vec<Node>> {
        self.problems.list(key, node, example)
    }
    fn required_text(&mut self, fields: &mut Fields, name: &str, max: usize) -> Option<(Pos, String)> {
        self.problems.required_text(fields, name, max)
    }
    fn text(&mut self, key: &Key, node: Node, max: usize) -> Option<String> {
        self.problems.text(key, node, max)
    }
    fn reason(&mut self, key: &Key, node: Node, what: &str) -> Option<String> {
        self.problems.reason(key, node, what)
    }

    fn nothing_left(&mut self, mut fields: Fields, known: &[&str]) {
        for later in LATER_FIELDS {
            if fields.of == "a step"
                && let Some((key, _)) = fields.take(later)
            {
                self.problems.help(key.at, format!("`{}` comes in a later version of freezeframe", key.name), "remove it from this step");
            }
        }
        self.problems.nothing_left(fields, known);
    }
}

/// What one entry of `steps` said.
enum Said {
    Step(Step),
    /// `use: all`
    All,
}

fn value(kind: Kind) -> Value {
    match kind {
        Kind::Bool(b) => Value::Bool(b),
        Kind::Number(n) => Value::Number(n),
        Kind::Text(t) => Value::String(t),
        // No parameter takes these, so whatever the parameter is, it objects.
        Kind::Null | Kind::List(_) | Kind::Map(_) => Value::Null,
    }
}
