//! Archiving: the program against the emulator's S3, against one that answers badly, and killed in the middle.

mod addenda;
mod emulator;
mod holds;
mod kill;
mod memory;
mod parts;
mod permits;
mod reading;
mod run;
mod straight;
mod straight_seal;
mod vault;
mod wire;
