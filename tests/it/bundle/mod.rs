//! Bundles that are whole, and bundles that are broken in one way each. They are made by hand here, from the written format, and by none of
//! the product's own code: so the product's writer and its verifier cannot be wrong together without a test noticing.

pub mod bag;
mod broken;
pub mod checker;
mod findings;
mod fixtures;
mod hostile_zip;
mod hostility;
mod independent;
mod kept;
mod memory;
mod provoked;
mod raw_zip;
mod redacted;
pub mod signed;
mod stamped;
mod zip64;
