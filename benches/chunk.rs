//! Speed of the chunker and the codec, and what the codec saves.
//!
//! `cargo bench --bench chunk [FILE...]`: prints GB/s, stored bytes per byte, and how the chunks were stored. Without
//! files it makes random, text, float32 and bf16 content of 64 MiB each. Speeds are those of one thread, except
//! `cut_parallel`; decode is of the bodies that encode made.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program for people who measure"
)]

use std::time::Instant;

use modver::chunk;
use modver::hash::expand;
use modver::store::codec::{Codec, Decoder, Encoder, Predictor};

const LEN: usize = 64 << 20;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    println!(
        "{:24} {:>7} {:>7} {:>7} {:>7} {:>7}  stored as",
        "", "cut", "cut_par", "encode", "decode", "ratio"
    );
    for file in &files {
        measure(file, &std::fs::read(file).unwrap());
    }
    if files.is_empty() {
        let random = expand(b"bench", LEN);
        measure("random", &random);
        let text: String = random
            .as_chunks::<4>()
            .0
            .iter()
            .map(|n| format!("{},{}.{},red\n", n[0], n[1], n[2]))
            .collect();
        measure("text", &text.as_bytes()[..LEN]);
        measure(
            "float32",
            &normal(&random).flat_map(f32::to_le_bytes).collect::<Vec<u8>>(),
        );
        measure(
            "bf16",
            &normal(&random)
                .flat_map(|x| (x.to_bits() >> 16).to_le_bytes()[..2].to_vec())
                .collect::<Vec<u8>>(),
        );
    }
}

/// Numbers that are nearly normal around 0, as weights are.
fn normal(random: &[u8]) -> impl Iterator<Item = f32> {
    let sums = random.as_chunks::<4>().0.iter();
    sums.scan(0_u32, |state, bytes| {
        let uniform = |n: u32| n as f32 / u32::MAX as f32 - 0.5;
        let next = u32::from_le_bytes(*bytes);
        let sum = uniform(next) + uniform(*state) + uniform(next.wrapping_mul(0x9e37_79b9) ^ *state);
        *state = next.rotate_left(13);
        Some(sum * 0.04)
    })
}

fn measure(name: &str, bytes: &[u8]) {
    let (cut, lengths) = time(bytes.len(), || chunk::cut(bytes, true, true));
    let (parallel, same) = time(bytes.len(), || chunk::cut_parallel(bytes, true, true));
    assert!(lengths == same);
    let (mut encoder, mut predictor) = (Encoder::new(), Predictor::default());
    let mut bodies = Vec::new();
    let mut used = [0_usize; 4];
    let start = Instant::now();
    let mut copying = 0.0;
    let mut rest = bytes;
    for len in lengths {
        let raw = rest.split_off(..len).unwrap();
        let encoded = encoder.encode(&mut predictor, raw).unwrap();
        used[encoded.codec as usize] += 1;
        let copy = Instant::now();
        bodies.push((encoded.codec, encoded.body.to_vec(), len as u32));
        copying += copy.elapsed().as_secs_f64();
    }
    let encode = bytes.len() as f64 / (start.elapsed().as_secs_f64() - copying) / 1e9;
    let stored: usize = bodies.iter().map(|(_, body, _)| body.len()).sum();
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    let (decode, ()) = time(bytes.len(), || {
        for (codec, body, len) in &bodies {
            decoder.decode(*codec, body, *len, &mut out).unwrap();
        }
    });
    let codecs = [Codec::Raw, Codec::Zstd, Codec::Shuffle2, Codec::Shuffle4];
    let used: Vec<String> = codecs
        .iter()
        .map(|&codec| format!("{codec:?} {}", used[codec as usize]))
        .collect();
    let name = name.rsplit('/').next().unwrap_or(name);
    let ratio = stored as f64 / bytes.len() as f64;
    println!(
        "{name:24} {cut:7.2} {parallel:7.2} {encode:7.2} {decode:7.2} {ratio:7.3}  {}",
        used.join(", ")
    );
}

/// GB/s of the better of two runs, and the result.
fn time<T>(len: usize, mut work: impl FnMut() -> T) -> (f64, T) {
    work();
    let start = Instant::now();
    let result = work();
    (len as f64 / start.elapsed().as_secs_f64() / 1e9, result)
}
