//! freezeframe: incident-response forensics for AWS Lambda. One engine, two faces.
//!
//! The floors, from the ground up; a file may use its own module and lower floors, and a test (`tests/it/floors.rs`) keeps it so:
//!
//! | floor | modules | what they are |
//! |---|---|---|
//! | 0 words | [`model`] | plain data, and the glossary |
//! | 1 doors | [`aws`], [`store`], [`clock`], [`intake`] | the only ways to the outside |
//! | 2 format | [`bundle`] | Draft → Sealed → Verified |
//! | 3 units | [`collect`], [`contain`], [`examine`], [`archive`] | what is read, what is changed, what can be said of it offline, where it is kept |
//! | 4 language | [`playbook`] | YAML in, playbook out |
//! | 5 intention | [`plan`] | every step resolved, every call named; nothing has happened |
//! | 6 action | [`engine`] | it happens |
//! | 7 faces | [`cli`], [`handler`], [`drill`] | the on-call one, the automatic one; practise |
//!
//! Start reading at [`engine::run`]; to add something, at the module's own words.

#![cfg_attr(
    test,
    expect(
        clippy::disallowed_methods,
        clippy::disallowed_macros,
        reason = "tests make files and print as they like; clippy.toml is about the program"
    )
)]

pub mod archive;
pub mod aws;
pub mod bundle;
pub mod cli;
pub mod clock;
pub mod collect;
pub mod contain;
#[cfg(feature = "drill")]
pub mod drill;
pub mod engine;
pub mod examine;
pub mod handler;
pub mod intake;
pub mod model;
pub mod plan;
pub mod playbook;
pub mod store;
