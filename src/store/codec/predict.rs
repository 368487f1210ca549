//! Which codec a chunk is likely to be worth, without compressing it.
//!
//! A sample of the chunk's bytes is counted in four histograms, one for each position modulo 4. How often two sampled
//! bytes are equal says how far they are from random, and where the histograms differ, the content is made of elements
//! such as floats. Chunks whose most and least predictable histograms are alike form a class. The first chunk of a class is compressed in every
//! way that may pay, and the winner is used for the next chunks of the class until it is due again or disappoints.
//! So content of another sort in the same stream is judged for itself, and random bytes are hardly ever compressed.

use super::Codec;

/// Chunks shorter than this are stored as they are.
const TINY: usize = 64;
/// Sampled pieces of a chunk, and bytes of each.
const PIECES: usize = 32;
const PIECE: usize = 64;
/// Chunks of one class that one trial decides for.
const TRUST: u8 = 64;
/// The histograms' excess over random, in standard deviations of the excess of random bytes (22.6 / sampled bytes).
const DEVIATIONS: f32 = 7.0;
const LEVELS: usize = 18;

/// Whether compression saves enough (3 %) to pay for decoding.
pub(super) const fn is_worth_it(stored_len: usize, raw_len: usize) -> bool {
    stored_len * 100 <= raw_len * 97
}

/// What was learnt about a stream of chunks, such as a file's, or those of many small files.
#[derive(Debug, Clone)]
pub struct Predictor {
    classes: [Lesson; LEVELS * LEVELS],
}

impl Default for Predictor {
    fn default() -> Self {
        Self {
            classes: [Lesson::default(); LEVELS * LEVELS],
        }
    }
}

/// What the last trial of a class gave.
#[derive(Debug, Clone, Copy)]
struct Lesson {
    codec: Codec,
    /// Chunks to go until the next trial.
    trust: u8,
    /// Stored bytes for 1000 bytes.
    permille: u16,
}

impl Default for Lesson {
    fn default() -> Self {
        Self {
            codec: Codec::Raw,
            trust: 0,
            permille: 1000,
        }
    }
}

/// The codecs to compress a chunk with; none means to store it as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    class: Option<usize>,
    candidates: &'static [Codec],
    is_trial: bool,
}

impl Plan {
    const STORE: Self = Self {
        class: None,
        candidates: &[],
        is_trial: false,
    };

    pub(super) const fn candidates(&self) -> &'static [Codec] {
        self.candidates
    }
}

impl Predictor {
    /// What to try for a chunk.
    pub(super) fn plan(&self, raw: &[u8]) -> Plan {
        if raw.len() < TINY {
            return Plan::STORE;
        }
        let look = Look::at(raw);
        let class = look.class();
        let lesson = self.classes[class];
        let is_trial = lesson.trust == 0;
        let candidates: &[Codec] = match lesson.codec {
            _ if is_trial && !look.is_random() => &[Codec::Zstd, Codec::Shuffle2, Codec::Shuffle4],
            _ if is_trial => &[Codec::Zstd],
            Codec::Raw => &[],
            Codec::Zstd => &[Codec::Zstd],
            Codec::Shuffle2 => &[Codec::Shuffle2],
            Codec::Shuffle4 => &[Codec::Shuffle4],
        };
        Plan {
            class: Some(class),
            candidates,
            is_trial,
        }
    }

    /// What came of the plan.
    pub(super) fn learn(&mut self, plan: Plan, codec: Codec, stored_len: usize, raw_len: usize) {
        let Some(class) = plan.class else { return };
        let lesson = &mut self.classes[class];
        let permille = (stored_len * 1000 / raw_len.max(1)) as u16;
        if plan.is_trial {
            *lesson = Lesson {
                codec,
                trust: TRUST,
                permille,
            };
        } else if permille > lesson.permille + lesson.permille / 10 + 10 {
            // Much worse than the trial promised: the content is another.
            lesson.trust = 0;
        } else {
            lesson.trust -= 1;
        }
    }
}

/// What a sample of a chunk looks like: how far its most and its least predictable histogram are from random, in
/// steps of half a bit. 0 stands for random bytes.
#[derive(Debug, Clone, Copy)]
struct Look {
    most: usize,
    least: usize,
}

impl Look {
    fn at(raw: &[u8]) -> Self {
        let mut planes = [[0_u16; 256]; 4];
        let mut count = |piece: &[u8]| {
            for element in piece.as_chunks::<4>().0 {
                for (plane, &byte) in planes.iter_mut().zip(element) {
                    plane[usize::from(byte)] += 1;
                }
            }
        };
        let sampled = if raw.len() <= PIECES * PIECE {
            count(raw);
            raw.len() / 4
        } else {
            let step = (raw.len() - PIECE) / (PIECES - 1) / 4 * 4;
            for i in 0..PIECES {
                count(&raw[i * step..i * step + PIECE]);
            }
            PIECES * PIECE / 4
        };
        let noise = DEVIATIONS * 22.6 / sampled as f32;
        let level = |excess: f32| {
            if excess < noise {
                0
            } else {
                (1 + (2.0 * (1.0 + excess).log2()) as usize).min(LEVELS - 1)
            }
        };
        let levels = planes.map(|plane| level(excess(&plane, sampled)));
        Self {
            most: levels.into_iter().fold(0, usize::max),
            least: levels.into_iter().fold(LEVELS, usize::min),
        }
    }

    const fn is_random(self) -> bool {
        self.most == 0
    }

    const fn class(self) -> usize {
        LEVELS * self.most + self.least
    }
}

/// How much more often two bytes are equal than they are in random bytes: 0 for those, 255 for constant ones.
fn excess(plane: &[u16; 256], sampled: usize) -> f32 {
    let pairs: u32 = plane.iter().map(|&n| u32::from(n) * u32::from(n)).sum::<u32>() - sampled as u32;
    let expected = (sampled * (sampled - 1)) as f32 / 256.0;
    pairs as f32 / expected - 1.0
}
