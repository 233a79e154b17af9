//! The one integration binary.

mod bundle;
mod schemas;
mod support;
