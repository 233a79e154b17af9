//! Floor 0: words. Plain data without I/O, clock or SDK type; every other floor speaks in these.
//!
//! # Glossary: one word per thing
//!
//! | word | meaning |
//! |---|---|
//! | **case** | the investigation, named by the responder (`IR-2026-0042`); holds bundles and one case journal |
//! | **run** | one execution of one plan in one case |
//! | **target** | the function under suspicion: partition, account, Region, name, qualifier |
//! | **trigger** | the reason to act: a finding, or a person's word |
//! | **item** | the recorded outcome of one question put to AWS; has exactly one status |
//! | **exchange** | one HTTP attempt as it crossed the wire; the evidence itself |
//! | **gap** | something that we meant to learn and could not; names the question left open |
//! | **bundle** | a BagIt bag of items, exchanges and the journal about one target |
//! | **journal** | hash-chained lines: what was done, when, by whom |
//! | **cell** | one independently writable piece of remote state |
//! | **intent** | the journalled before-state and after-state of a cell, durable ahead of the write |
//! | **contain** / **restore** | set a cell to its contained state / set it to the recorded state again |
//! | **seal** | close a bundle: manifests, root digest, statement |
//! | **guard** / **refusal** | the rules that stand before containment (a *guard policy* adds to them) / one rule's no: where it stands, what lifts it |
//! | **halt** / **breaker** | somebody's word that nothing more is contained / the same, said by the program when a containment went wrong |
//! | **archive** | keep a sealed bundle where it cannot be overwritten |
//! | **carry** / **salvage** | put a bundle there file by file while it is made / seal, from there, one whose run died |
//! | **examine** / **finding** | read a bundle offline / what a check or an examiner says about it |

pub mod call;
pub mod canon;
pub mod causes;
pub mod digest;
pub mod exchange;
pub mod gap;
pub mod id;
pub mod invocation;
pub mod item;
pub mod journal_event;
pub mod kms_key;
pub mod lock;
pub mod log_line;
pub mod outcome;
pub mod params;
pub mod path;
pub mod redaction;
pub mod refusal;
pub mod regions;
pub mod restorable;
pub mod s3_place;
pub mod target;
pub mod trigger;
pub mod web_address;
