//! The short name: `mv`, ours or the system's.

fn main() {}
