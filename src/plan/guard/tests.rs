//! One test per rule: refused, and lifted. And the one thing that must hold whatever the facts: what could not be read is no permission.

use super::*;
use crate::playbook::Invalid;
use proptest::prelude::*;

const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/ir-responder/alice";

fn target() -> Target {
    "arn:aws:lambda:eu-west-1:123456789012:function:payments-export"
        .parse::<crate::model::target::TargetSpec>()
        .unwrap()
        .resolve("aws", "123456789012", "eu-west-1")
        .unwrap()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    Tags::Read(pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
}

fn known() -> Known {
    Known {
        role_arn: Some("arn:aws:iam::123456789012:role/service-role/payments-export-role".into()),
        log_group: Some("/payments/export".into()),
        kms_key: None,
        tags: tags(&[]),
    }
}

struct Case {
    policy: Policy,
    known: Known,
    ourselves: Ourselves,
    face: Face,
    approval: Option<Approval>,
    caller: &'static str,
    wants_approval: bool,
    in_earnest: bool,
}

impl Case {
    fn new() -> Case {
        Case {
            policy: Policy::default(),
            known: known(),
            ourselves: Ourselves::default(),
            face: Face::Person,
            approval: None,
            caller: CALLER,
            wants_approval: false,
            in_earnest: false,
        }
    }
    fn with(text: &str) -> Case {
        Case { policy: policy(text), ..Case::new() }
    }
    fn tagged(mut self, pairs: &[(&str, &str)]) -> Case {
        self.known.tags = tags(pairs);
        self
    }
    fn automatic(mut self) -> Case {
        self.face = Face::Automatic;
        self
    }
    fn approved(mut self, by: &str) -> Case {
        self.approval = Some(Approval { by: by.into() });
        self
    }
    fn subject<'s>(&'s self, target: &'s Target) -> Subject<'s> {
        Subject {
            target,
            known: &self.known,
            caller: self.caller,
            ourselves: &self.ourselves,
            face: self.face,
            wants_approval: self.wants_approval,
            approval: self.approval.as_ref(),
            in_earnest: self.in_earnest,
        }
    }
    fn judged(&self) -> Judgement {
        judge(&self.policy, &self.subject(&target()))
    }
    /// Of a role that another version runs under.
    fn of_another(&self, role: &str) -> Vec<String> {
        let arn = format!("arn:aws:iam::123456789012:role/{role}");
        one_role(&self.policy, &self.subject(&target()), &arn).into_iter().map(|r| r.rule).collect()
    }
    fn rules(&self) -> Vec<String> {
        self.judged().refusals.into_iter().map(|r| r.rule).collect()
    }
    #[track_caller]
    fn refused(&self, rule: Rule) -> Refusal {
        let found = self.judged().refusals.into_iter().find(|r| r.rule == rule.as_str());
        let refusal = found.unwrap_or_else(|| panic!("{rule} does not object: {:?}", self.judged()));
        assert!(!refusal.why.is_empty() && !refusal.stands.is_empty() && !refusal.lift.is_empty(), "{refusal:?}");
        refusal
    }
    #[track_caller]
    fn free(&self) {
        assert_eq!(self.judged(), Judgement::default());
    }
}

fn policy(text: &str) -> Policy {
    read("guard.yaml", text).unwrap_or_else(|e| panic!("{:?}", lines(&e)))
}

fn lines(invalid: &Invalid) -> Vec<String> {
    invalid.problems().iter().flat_map(|p| p.lines()).collect()
}

const ANOTHER: &str = "arn:aws:sts::123456789012:assumed-role/ir-lead/bob";

#[test]
fn a_person_may_contain_what_nobody_speaks_of_and_the_automatic_face_may_not() {
    Case::new().free();
    let refusal = Case::new().automatic().refused(Rule::Otherwise);
    assert!(refusal.lift.contains("ir:contain=auto") && refusal.stands == "built in", "{refusal}");
    Case::new().automatic().tagged(&[("ir:contain", "auto")]).free();
    Case::new().automatic().approved(ANOTHER).free();
    let mut auto = Case::with("guard: g\nfunctions:\n  auto:\n    - name: payments-*\n      why: x\n").automatic();
    auto.free();
    // A line that permits means what it says, letter by letter.
    auto.policy = policy("guard: g\nfunctions:\n  auto:\n    - name: Payments-*\n      why: x\n");
    auto.refused(Rule::Otherwise);
}

#[test]
fn the_owners_tag_is_obeyed() {
    let never = Case::new().tagged(&[("ir:contain", "never")]);
    assert_eq!(never.refused(Rule::ContainTag).stands, "the function's tag ir:contain=never");
    assert_eq!(never.approved(ANOTHER).rules(), ["contain-tag"], "no approval lifts never");
    let approve = || Case::new().tagged(&[("ir:contain", "approve")]);
    approve().refused(Rule::ContainTag);
    approve().approved(ANOTHER).free();
    approve().approved(CALLER).refused(Rule::ContainTag);
    approve().approved("").refused(Rule::ContainTag);
    Case::new().tagged(&[("ir:contain", "auto")]).free();
    // Odd spellings protect; what is none of the words protects most.
    for (key, value) in [("IR:Contain", "Never"), ("ir:contain", " NEVER "), ("ir:contain", "nver"), ("ir:contain", "")] {
        Case::new().tagged(&[(key, value)]).approved(ANOTHER).refused(Rule::ContainTag);
    }
    // Two spellings at once: the stricter holds.
    Case::new().automatic().tagged(&[("ir:contain", "auto"), ("IR:CONTAIN", "never")]).refused(Rule::ContainTag);
    Case::with("guard: g\ncontain-tag: ignored\n").tagged(&[("ir:contain", "never")]).free();
}

#[test]
fn a_line_refuses_by_name_or_tag_and_says_where_it_stands() {
    let text = "guard: g\nfunctions:\n  never:\n    - name: \"PAY*-export\"\n      why: Salaries are paid by it.\n    - tag: data-class=pci-*\n      why: The auditor first.\n  auto:\n    - name: \"*\"\n      why: All.\n";
    let refusal = Case::with(text).refused(Rule::Function);
    assert_eq!((refusal.stands.as_str(), refusal.why.contains("Salaries are paid by it.")), ("guard.yaml:4", true), "{refusal}");
    assert_eq!(
        Case::with(text).automatic().approved(ANOTHER).rules(),
        ["function"],
        "what is denied by one line is not allowed by another"
    );
    let by_tag = Case::with(&text.replace("PAY*-export", "other")).tagged(&[("Data-Class", "PCI-1")]);
    assert_eq!(by_tag.refused(Rule::Function).stands, "guard.yaml:6");
    Case::with(&text.replace("PAY*-export", "other")).automatic().tagged(&[("data-class", "public")]).free();
    let approve = text.replace("never:", "approve:");
    Case::with(&approve).refused(Rule::Function);
    Case::with(&approve).approved(ANOTHER).free();
}

#[test]
fn what_holds_otherwise_is_the_policys() {
    let never = "guard: g\notherwise: never\n";
    assert_eq!(Case::with(never).approved(ANOTHER).refused(Rule::Otherwise).stands, "guard.yaml:2");
    Case::with(never).tagged(&[("ir:contain", "auto")]).free();
    Case::with("guard: g\notherwise: approve\n").refused(Rule::Otherwise);
    Case::with("guard: g\notherwise: auto\n").automatic().free();
}

#[test]
fn accounts() {
    assert_eq!(Case::with("guard: g\naccounts:\n  never: [\"123456789012\"]\n").refused(Rule::Account).stands, "guard.yaml:3");
    Case::with("guard: g\naccounts:\n  never: [\"123456789013\"]\n").free();
    Case::with("guard: g\naccounts:\n  only: [\"123456789013\"]\n").refused(Rule::Account);
    Case::with("guard: g\naccounts:\n  only: [\"123456789013\", \"123456789012\"]\n").free();
}

#[test]
fn we_do_not_contain_ourselves() {
    let own = |caller| Case { caller, ..Case::new() };
    // The role of our own session, whatever its path.
    own("arn:aws:sts::123456789012:assumed-role/payments-export-role/payments-export").refused(Rule::Ourselves);
    own("arn:aws:sts::999999999999:assumed-role/payments-export-role/x").free();
    own("arn:aws:iam::123456789012:user/payments-export-role").free();
    // The function that we run as.
    let mut case = Case::new();
    case.ourselves = Ourselves::from_vars(|name| (name == "AWS_LAMBDA_FUNCTION_NAME").then(|| "payments-export".into()));
    case.refused(Rule::Ourselves);
    case.ourselves.function = Some("freezeframe-responder".into());
    case.free();
    // The group that we log to.
    case.ourselves.log_group = Some("/payments/export".into());
    case.refused(Rule::Ourselves);
    // What the policy says is ours.
    for (line, stands) in [
        ("functions: [\"PAYMENTS-*\"]", "guard.yaml:3"),
        ("roles: [\"payments-*-role\"]", "guard.yaml:3"),
        ("roles: [\"/service-role/*\"]", "guard.yaml:3"),
        ("log-groups: [\"/payments/*\"]", "guard.yaml:3"),
    ] {
        let case = Case::with(&format!("guard: g\nours:\n  {line}\n"));
        assert_eq!(case.approved(ANOTHER).refused(Rule::Ourselves).stands, stands, "{line}");
    }
    let mut keyed = Case::with("guard: g\nours:\n  keys: [1111-2222]\n");
    keyed.free();
    keyed.known.kms_key = Some("arn:aws:kms:eu-west-1:123456789012:key/1111-2222".into());
    keyed.refused(Rule::Ourselves);
    Case::with("guard: g\nours:\n  functions: [ir-*]\n  roles: [ir-*]\n").free();
}

#[test]
fn a_cell_of_ours_is_not_touched() {
    let policy = policy("guard: g\nours:\n  others: [ir-quarantine, ir-findings]\n  buckets: [evidence-vault]\n");
    let ourselves = Ourselves { function: Some("freezeframe-responder".into()), buckets: vec!["vault-2".into()], ..Ourselves::default() };
    let refused = |id: &str, facts: Value| policy.objects_to_cell(&ourselves, &Cell { id: CellId(id.into()), label: id.into(), facts });
    use crate::model::id::CellId;
    use serde_json::{Value, json};
    for (id, facts) in [
        ("quarantine-role/r/freezeframe-quarantine-x", json!({"users": ["a", "freezeframe-responder"]})),
        ("pause-event-source-mappings/uuid", json!({"source": "arn:aws:sqs:eu-west-1:123456789012:ir-quarantine"})),
        ("disable-schedules/default/ir-findings", json!({})),
        ("x/x", json!([{"deep": "arn:aws:s3:::evidence-vault"}])),
        ("x/x", json!("arn:aws:s3:::vault-2/prefix")),
        ("repoint-alias/payments/$LATEST", json!({"on": "arn:aws:lambda:eu-west-1:123456789012:function:Freezeframe-Responder:live"})),
    ] {
        let refusal = refused(id, facts.clone()).unwrap_or_else(|| panic!("{id} {facts}"));
        assert_eq!(refusal.rule, "ourselves");
    }
    for (id, facts) in [
        ("freeze-concurrency/payments-export", json!({})),
        ("pause-event-source-mappings/uuid", json!({"source": "arn:aws:sqs:eu-west-1:123456789012:ir-quarantined"})),
        // Led there, and not changed there.
        ("capture-async-events/payments-export", json!({"queue": "arn:aws:sqs:eu-west-1:123456789012:ir-quarantine"})),
    ] {
        assert_eq!(refused(id, facts.clone()), None, "{id} {facts}");
    }
}

#[test]
fn roles_by_path_and_name_are_left_alone_and_the_function_is_not() {
    let mut case = Case::new();
    case.known.role_arn = Some("arn:aws:iam::123456789012:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX".into());
    let judged = case.judged();
    assert_eq!((judged.refusals.len(), judged.of_role[0].rule.as_str()), (0, "service-linked-role"));
    let text = "guard: g\nroles:\n  never:\n    - path: /service-role/*\n      why: Shared.\n    - { name: x, why: x }\n";
    let judged = Case::with(text).judged();
    assert_eq!((judged.of_role.len(), judged.of_role[0].stands.as_str()), (1, "guard.yaml:4"));
    // Both given, both must fit.
    assert!(Case::with(&text.replace("why: Shared.", "why: x\n      name: other")).judged().of_role.is_empty());
    Case::with(&text.replace("/service-role/*", "/platform/")).free();
}

#[test]
fn the_role_of_another_version_is_judged_by_itself() {
    let case = Case::with("guard: g\nours:\n  roles: [ir-*]\nroles:\n  never:\n    - path: /platform/*\n      why: Shared.\n");
    case.free();
    assert_eq!(case.of_another("former"), [""; 0]);
    assert_eq!(case.of_another("platform/pay/former"), ["role"]);
    assert_eq!(case.of_another("aws-service-role/x.amazonaws.com/X"), ["service-linked-role"]);
    assert_eq!(case.of_another("ir-vault"), ["ourselves"]);
    assert_eq!(case.of_another("IR-responder"), ["ourselves", "ourselves"], "it is the caller's too");
    // What `$LATEST` runs under is nothing to the role of another version.
    let mut barred = case;
    barred.known.role_arn = Some("arn:aws:iam::123456789012:role/platform/pay/now".into());
    assert_eq!((barred.judged().of_role.len(), barred.of_another("former").len()), (1, 0));
}

#[test]
fn a_handlers_rung_may_want_an_approval_of_everything() {
    let mut case = Case::with("guard: g\notherwise: auto\n").automatic();
    case.wants_approval = true;
    case.refused(Rule::Mode);
    case.approved(ANOTHER).free();
}

#[test]
fn a_dry_run_is_lifted_by_a_word() {
    let mut case = Case::with("guard: g\ndry-run: true\n");
    let refusal = case.judged().dry_run.unwrap();
    assert_eq!((refusal.rule.as_str(), refusal.stands.as_str()), ("dry-run", "guard.yaml:2"));
    assert!(refusal.lift.contains("--in-earnest"));
    case.in_earnest = true;
    case.free();
    Case::with("guard: g\ndry-run: false\n").free();
}

#[test]
fn a_function_that_could_not_be_read_is_not_contained() {
    let mut case = Case::new().approved(ANOTHER);
    case.known = Known { tags: tags(&[]), ..Known::default() };
    case.refused(Rule::FunctionUnreadable);
    case.known.role_arn = Some("payments".into());
    case.refused(Rule::FunctionUnreadable);
    case.known = known();
    case.free();
}

#[test]
fn tags_that_were_not_told_are_no_permission() {
    for unread in [Tags::NotAsked, Tags::Silent, Tags::Unreadable("AccessDeniedException".into())] {
        for text in [
            "guard: g\n",
            "guard: g\notherwise: auto\n",
            "guard: g\nfunctions:\n  auto: [ { name: \"*\", why: x } ]\n",
            "guard: g\ncontain-tag: ignored\nfunctions:\n  never: [ { tag: \"a=b\", why: x } ]\n",
        ] {
            let mut case = Case::with(text);
            case.known.tags = unread.clone();
            let refusal = case.refused(Rule::TagsUnreadable);
            assert!(refusal.lift.contains("lambda:ListTags"), "{refusal}");
            assert_eq!(case.judged().wants_tags, !matches!(unread, Tags::Unreadable(_)));
            // What asking may lift is lifted for the look ahead, and nothing else is.
            assert_eq!(case.judged().before_tags().refusals.is_empty(), case.judged().wants_tags);
            case.approved(ANOTHER).free();
        }
        let mut case = Case::with("guard: g\ncontain-tag: ignored\n");
        case.known.tags = unread;
        case.free();
    }
}

#[test]
fn strangers_texts_are_tamed() {
    let refusal = Case::new().tagged(&[("ir:contain", "never\u{1b}[31m\u{202e}")]).refused(Rule::ContainTag);
    assert!(!refusal.to_string().chars().any(|c| c.is_control() || c == '\u{202e}'), "{refusal:?}");
    let long = "x".repeat(100_000);
    assert!(Case::new().tagged(&[("ir:contain", &long)]).refused(Rule::ContainTag).to_string().len() < 2_000);
}

#[test]
fn what_is_wrong_with_a_policy_is_told_with_line_and_help() {
    let text = "guard: Acme Prod\nfuncions: {}\nfunctions:\n  never:\n    - name: a\n    - why: x\n    - { name: a, tag: b=c, why: x }\n    - { tag: nope, why: x }\n  later: []\naccounts:\n  only: [123456789012, \"1\"]\nroles:\n  never: [ { path: platform, why: x }, { why: y } ]\nours:\n  queues: [a]\ndry-run: yes please\ncontain-tag: obeyed\nrate-limit:\n  per-account: -1\n  applies-to: all\nbreaker: everyon\notherwise: maybe\n";
    let invalid = read("guard.yaml", text).unwrap_err();
    let places: Vec<usize> = invalid.problems().iter().map(|p| p.at.line).collect();
    assert_eq!(places, [1, 2, 5, 6, 7, 8, 9, 11, 11, 13, 13, 15, 16, 17, 19, 20, 21, 22], "{:#?}", lines(&invalid));
    let said = lines(&invalid).join("\n");
    for words in ["did you mean `functions`?", "did you mean `everyone`?", "twelve digits", "`dry-run` is true or false", "without `why`"] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert!(!said.contains("playbook"), "{said}");
    for (text, words) in
        [("", "is empty"), ("guard: g\n---\nguard: h\n", "one document"), ("x: &a [*a]", "anchors"), ("- a", "a guard policy is a block")]
    {
        let said = lines(&read("guard.yaml", text).unwrap_err()).join("\n");
        assert!(said.contains(words) && !said.contains("playbook"), "{text}: {said}");
    }
    assert!(read("guard.yaml", "description: no name\n").is_err());
}

/// What `guard show` prints is a policy, and says what holds without it.
#[test]
fn the_example_can_be_read() {
    let policy = policy(EXAMPLE);
    assert_eq!((policy.functions.len(), policy.roles.len(), policy.ours.keys.len()), (4, 1, 1));
    assert_eq!(policy.rate, RateLimit { at: policy.rate.at, ..RateLimit::default() });
    assert_eq!((policy.breaker.0, policy.tag_ignored), (Applies::default(), false));
    assert!(policy.dry_run.is_some() && policy.accounts_only.is_some());
    assert_eq!(policy.text.as_deref(), Some(EXAMPLE));
}

/// What another try may change, and what it would only repeat.
#[test]
fn refusals_end_as_the_most_stubborn_of_them() {
    let of = |rules: &[Rule]| Ends::of(&rules.iter().map(|r| r.refuses("w", "s", "l")).collect::<Vec<_>>());
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[Rule::FunctionUnreadable, Rule::ControlUnreadable]), Some(Ends::Asked));
    assert_eq!(of(&[Rule::ControlUnreadable, Rule::RateLimit]), Some(Ends::Waited));
    assert_eq!(of(&[Rule::RateLimit, Rule::Otherwise]), Some(Ends::Decided));
    let unknown = Refusal { rule: "two-person".into(), ..Rule::RateLimit.refuses("w", "s", "l") };
    assert_eq!(Ends::of(&[unknown]), Some(Ends::Decided));
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let mut names: Vec<&str> = Rule::ALL.iter().map(|r| r.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Rule::ALL.len());
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![Just("never".into()), Just("approve".into()), Just("auto".into()), "[a-zA-Z]{0,8}"]
}

proptest! {
    /// Whatever else is allowed: where the policy protects by tag and the tags are not known, nothing is contained without an approval; and
    /// with them known, more is never allowed than a stricter word would.
    #[test]
    fn unknown_tags_permit_nothing(
        otherwise in prop::option::of(0..3usize),
        lines in prop::collection::vec((0..3usize, "[a-z*?-]{1,6}"), 0..6),
        ignored: bool,
        by_tag: bool,
        automatic: bool,
        unread in prop_oneof![Just(Tags::NotAsked), Just(Tags::Silent), Just(Tags::Unreadable("denied".into()))],
    ) {
        let mut case = Case::new();
        case.face = if automatic { Face::Automatic } else { Face::Person };
        case.policy.tag_ignored = ignored;
        case.policy.otherwise = otherwise.map(|n| (Ruling::ALL[n], Pos::START));
        case.policy.functions = lines
            .into_iter()
            .map(|(n, glob)| Line { ruling: Ruling::ALL[n], matches: Matcher::Name(Glob::new(glob)), why: "x".into(), at: Pos::START })
            .collect();
        if by_tag {
            let matches = Matcher::Tag { name: "a".into(), value: Glob::new("*") };
            case.policy.functions.push(Line { ruling: Ruling::Never, matches, why: "x".into(), at: Pos::START });
        }
        case.known.tags = unread;
        prop_assert_eq!(case.rules().contains(&"tags-unreadable".to_string()), !ignored || by_tag);
        prop_assert!(ignored && !by_tag || !case.judged().refusals.is_empty());
    }

    #[test]
    fn a_tag_permits_only_by_its_word(value in words(), automatic: bool) {
        let mut case = Case::new().tagged(&[("ir:contain", &value)]);
        case.face = if automatic { Face::Automatic } else { Face::Person };
        prop_assert_eq!(case.judged().refusals.is_empty(), value.eq_ignore_ascii_case("auto"));
    }

    /// Any bytes are a policy or a list of problems, and never a panic.
    #[test]
    fn no_text_is_too_odd_to_read(text in "[ -~\n\t&*é]{0,200}") {
        if let Err(invalid) = read("guard.yaml", &text) {
            prop_assert!(!invalid.problems().is_empty());
        }
    }
}
