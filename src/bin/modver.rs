//! The long name: `modver`.

fn main() {}
