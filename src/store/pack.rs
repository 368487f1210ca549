//! Packs: immutable files of many compressed chunks.
