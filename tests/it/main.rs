//! The one integration binary.

/// The actions and the saga, against a small AWS in memory and a saga of fakes.
mod contain;
mod support;
