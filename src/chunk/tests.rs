use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::hash::FileId;

/// The format's text, byte by byte.
fn reference(file: &[u8]) -> Vec<usize> {
    if file.len() <= MAX {
        return vec![file.len()];
    }
    let mut lengths = Vec::new();
    let (mut h, mut n) = (0_u64, 0);
    for &b in file {
        h = (h << 1).wrapping_add(GEAR[usize::from(b)]);
        n += 1;
        let mask = if n < 65_536 { STRICT } else { LOOSE };
        if n >= 16_384 && h & mask == 0 || n == 262_144 {
            lengths.push(n);
            (h, n) = (0, 0);
        }
    }
    if n > 0 {
        lengths.push(n);
    }
    lengths
}

/// Content of the golden vectors; each kind is described in the fixture.
fn content(kind: &str, seed: &str, len: usize) -> Vec<u8> {
    let random = |len| expand(seed.as_bytes(), len);
    match kind {
        "random" => random(len),
        "zeros" => vec![0; len],
        "bits" => random(len).iter().map(|b| b & 1).collect(),
        "text" => {
            const WORDS: [&str; 8] = [
                "alpha ", "beta,", "3.14 ", "gamma\n", "42;", "delta ", "-1e-5 ", "omega ",
            ];
            let text: String = random(len).iter().map(|b| WORDS[usize::from(b & 7)]).collect();
            text.into_bytes()[..len].to_vec()
        }
        "period" => random(40).into_iter().cycle().take(len).collect(),
        _ => panic!("unknown kind {kind}"),
    }
}

/// A content with many loose and strict positions: a short piece behind which the hash matches, repeated.
fn dense(len: usize) -> Vec<u8> {
    let random = expand(b"dense", 1 << 22);
    let mut at = 0;
    let end = loop {
        at = scan(&random, at.max(REACH)..random.len(), STRICT).unwrap();
        if at > REACH {
            break at;
        }
    };
    random[end - REACH..end].iter().copied().cycle().take(len).collect()
}

#[test]
fn golden_vectors_hold() {
    let cases = [
        ("random", "empty", 0),
        ("random", "small", 262_144),
        ("random", "one byte more", 262_145),
        ("random", "a", 3_000_000),
        ("random", "b", 1_500_001),
        ("zeros", "", 1_000_000),
        ("bits", "c", 1_500_000),
        ("text", "d", 2_000_000),
        ("period", "e", 700_000),
    ];
    let gear: Vec<u8> = GEAR.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut text = String::from(
        "# Cut points of the chunker, frozen. See docs/formats.md, Chunks.\n\
         # Content by kind, from r = BLAKE3's extendable output for the seed: random: r; zeros: bytes of 0; bits: r & 1;\n\
         # text: the word number r & 7 for each byte of r, cut at `size`; period: the first 40 bytes of r, repeated.\n\
         # words: 'alpha ' 'beta,' '3.14 ' 'gamma\\n' '42;' 'delta ' '-1e-5 ' 'omega '\n",
    );
    writeln!(
        text,
        "algorithm = \"{ALGORITHM}\"\ngear_blake3 = \"{}\"",
        FileId::of(&gear)
    )
    .unwrap();
    for (kind, seed, size) in cases {
        let content = content(kind, seed, size);
        let lengths = reference(&content);
        assert_eq!(cut(&content, true, true), lengths, "{kind} {seed}");
        writeln!(
            text,
            "\n[[file]]\nkind = \"{kind}\"\nseed = \"{seed}\"\nsize = {size}\nblake3 = \"{}\"\nchunks = {lengths:?}",
            FileId::of(&content)
        )
        .unwrap();
    }
    let frozen = include_str!("../../fixtures/formats/chunks.toml");
    assert!(text == frozen, "the cuts are not the frozen ones; they are now\n{text}");
    frozen.parse::<toml::Table>().unwrap();
}

#[test]
fn average_is_near_the_target() {
    let lengths = cut(&expand(b"average", 64 << 20), true, true);
    let average = (64 << 20) / lengths.len();
    assert!((TARGET..5 * TARGET / 4).contains(&average), "{average}");
}

#[test]
fn repetitive_content_is_cut_alike_in_parallel() {
    for file in [dense(4 << 20), vec![7; 3 << 20], content("period", "p", 3 << 20)] {
        let lengths = reference(&file);
        assert_eq!(cut(&file, true, true), lengths);
        assert_eq!(cut_parallel(&file, true, true), lengths);
    }
    assert!(cut(&dense(4 << 20), true, true).len() > 200);
}

#[test]
fn a_short_first_window_waits() {
    let file = expand(b"wait", MAX + 1);
    assert_eq!(cut(&file[..MAX], true, false), []);
    assert_eq!(cut(&file[..MAX], true, true), [MAX]);
    assert_ne!(cut(&file, true, false), []);
    assert_eq!(cut(&[], true, true), [0]);
    assert_eq!(cut(&[], false, true), []);
    assert_eq!(cut(&file[..100], false, true), [100]);
    assert_eq!(cut(&file[..100], false, false), []);
}

/// Files that mix random, constant and repeated parts, so that all rules come into play.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let part = (0..4_usize, 0..900_000_usize, any::<u64>());
    prop::collection::vec(part, 0..4).prop_map(|parts| {
        let mut file = Vec::new();
        for (kind, len, seed) in parts {
            file.extend(match kind {
                0 | 1 => content("random", &seed.to_string(), len),
                2 => content("bits", &seed.to_string(), len),
                _ => dense(len),
            });
        }
        file
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cuts_are_those_of_the_reference(file in file()) {
        let lengths = reference(&file);
        prop_assert_eq!(lengths.iter().sum::<usize>(), file.len());
        if let Some((_, body)) = lengths.split_last() {
            prop_assert!(body.iter().all(|len| (MIN..=MAX).contains(len)));
        }
        prop_assert_eq!(&cut(&file, true, true), &lengths);
        prop_assert_eq!(&cut_parallel(&file, true, true), &lengths);
    }

    #[test]
    fn windows_do_not_matter(file in file(), sizes in prop::collection::vec(1..700_000_usize, 1..8), parallel: bool) {
        let cut = if parallel { cut_parallel } else { cut };
        let mut sizes = sizes.into_iter().cycle();
        let mut lengths = Vec::new();
        let (mut start, mut filled) = (0, 0);
        loop {
            filled = (filled + sizes.next().unwrap()).min(file.len());
            let ends = filled == file.len();
            let found = cut(&file[start..filled], start == 0, ends);
            start += found.iter().sum::<usize>();
            lengths.extend(found);
            if ends {
                break;
            }
        }
        prop_assert_eq!(lengths, reference(&file));
    }

    #[test]
    fn an_insertion_moves_few_cuts(at in 0..2_000_000_usize, piece in prop::collection::vec(any::<u8>(), 1..100)) {
        let file = content("random", "insert", 2_000_000);
        let mut edited = file.clone();
        edited.splice(at..at, piece);
        let chunks = |file: &[u8]| {
            let mut rest = file;
            cut(file, true, true).into_iter().map(|len| FileId::of(rest.split_off(..len).unwrap())).collect::<Vec<_>>()
        };
        let before = chunks(&file);
        let new = chunks(&edited).iter().filter(|chunk| !before.contains(chunk)).count();
        prop_assert!(new <= 8, "{} new chunks", new);
    }
}
