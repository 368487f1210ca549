use proptest::prelude::*;

use super::*;
use crate::hash::expand;

const CODECS: [Codec; 4] = [Codec::Raw, Codec::Zstd, Codec::Shuffle2, Codec::Shuffle4];

fn random(seed: u32, len: usize) -> Vec<u8> {
    expand(&seed.to_le_bytes(), len)
}

/// Numbers around 0 as models have them, in the upper `width` bytes of a float32 each.
fn floats(seed: u32, len: usize, width: usize) -> Vec<u8> {
    let uniform = random(seed, 4 * len);
    let (uniform, _) = uniform.as_chunks::<4>();
    let number = |bytes: &[u8; 4]| {
        bytes.iter().map(|&b| f32::from(b) - 127.5).sum::<f32>() * 0.0001
            + f32::from(bytes[0]) * f32::from(bytes[1]) * 1e-9
            + f32::from(bytes[2]) * 1e-8
    };
    let mut out: Vec<u8> = uniform
        .iter()
        .flat_map(|b| number(b).to_le_bytes()[4 - width..].to_vec())
        .collect();
    out.truncate(len);
    out
}

fn csv(seed: u32, len: usize) -> Vec<u8> {
    let numbers = random(seed, len + 4);
    let (numbers, _) = numbers.as_chunks::<4>();
    let text: String = numbers
        .iter()
        .map(|n| format!("{},{}.{},red\n", u16::from_le_bytes([n[0], n[1]]), n[2], n[3]))
        .collect();
    text.into_bytes()[..len].to_vec()
}

/// Encodes, decodes and compares; returns the codec and the stored length.
fn round(encoder: &mut Encoder, predictor: &mut Predictor, raw: &[u8]) -> (Codec, usize) {
    let encoded = encoder.encode(predictor, raw).unwrap();
    let mut out = vec![1, 2, 3];
    Decoder::new()
        .decode(encoded.codec, encoded.body, raw.len() as u32, &mut out)
        .unwrap();
    assert!(out == raw);
    (encoded.codec, encoded.body.len())
}

#[test]
fn each_sort_of_content_gets_its_codec_also_in_one_stream() {
    let (mut encoder, mut predictor) = (Encoder::new(), Predictor::default());
    let mut shuffled = 0;
    for i in 0..200 {
        let len = 60_000 + 7 * i as usize;
        assert_eq!(round(&mut encoder, &mut predictor, &random(i, len)), (Codec::Raw, len));
        let (codec, stored) = round(&mut encoder, &mut predictor, &csv(i, len));
        assert!(codec == Codec::Zstd && stored < len * 2 / 3, "csv {codec:?} {stored}");
        for (width, most) in [(2, len * 80 / 100), (4, len * 95 / 100)] {
            let (codec, stored) = round(&mut encoder, &mut predictor, &floats(i, len, width));
            assert!(stored < most, "floats of {width} {codec:?} {stored}");
            shuffled += usize::from(matches!(codec, Codec::Shuffle2 | Codec::Shuffle4));
        }
        let (codec, stored) = round(&mut encoder, &mut predictor, &vec![0; len]);
        assert!(codec != Codec::Raw && stored < 100, "zeros {codec:?} {stored}");
    }

    assert!(shuffled > 200, "{shuffled}");
}

#[test]
fn random_bytes_are_hardly_ever_tried() {
    let mut predictor = Predictor::default();
    let mut tried = 0;
    for i in 0..640 {
        let raw = random(i, 4096);
        let plan = predictor.plan(&raw);
        tried += plan.candidates().len();
        predictor.learn(plan, Codec::Raw, raw.len(), raw.len());
    }
    assert!(tried <= 10, "{tried}");
}

#[test]
fn repeated_random_bytes_are_found() {
    let (mut encoder, mut predictor) = (Encoder::new(), Predictor::default());
    let raw = random(1, 4096).repeat(16);
    for _ in 0..100 {
        assert!(round(&mut encoder, &mut predictor, &raw).1 < 5000);
    }
}

#[test]
fn tiny_and_greatest_chunks() {
    let (mut encoder, mut predictor) = (Encoder::new(), Predictor::default());
    assert_eq!(round(&mut encoder, &mut predictor, &[]), (Codec::Raw, 0));
    assert_eq!(round(&mut encoder, &mut predictor, &[0; 63]), (Codec::Raw, 63));
    assert!(round(&mut encoder, &mut predictor, &csv(1, 100)).1 <= 100);
    assert!(round(&mut encoder, &mut predictor, &vec![0; chunk::MAX]).1 < 100);
    assert!(encoder.encode(&mut predictor, &vec![0; chunk::MAX + 1]).is_err());
}

#[test]
fn a_body_is_one_frame_of_the_right_length() {
    let (mut decoder, mut out) = (Decoder::new(), Vec::new());
    let frame = zstd::bulk::compress(&[7; 100], LEVEL).unwrap();
    assert_eq!(decoder.decode(Codec::Zstd, &frame, 100, &mut out), Ok(()));
    for len in [0, 99, 101] {
        assert_eq!(
            decoder.decode(Codec::Zstd, &frame, len, &mut out),
            Err(DecodeError::BadFrame)
        );
    }
    assert_eq!(
        decoder.decode(Codec::Zstd, &frame.repeat(2), 200, &mut out),
        Err(DecodeError::BadFrame)
    );
    assert_eq!(
        decoder.decode(Codec::Zstd, &frame, 262_145, &mut out),
        Err(DecodeError::TooLong(262_145))
    );
    assert_eq!(
        decoder.decode(Codec::Raw, b"ab", 3, &mut out),
        Err(DecodeError::WrongLength)
    );
}

#[test]
fn shuffle_is_the_formats() {
    let mut out = Vec::new();
    shuffle::split::<2>(b"aAbBc", &mut out);
    assert_eq!(out, b"abABc");
    shuffle::split::<4>(b"abcdABCD012", &mut out);
    assert_eq!(out, b"aAbBcCdD012");
}

proptest! {
    #[test]
    fn shuffles_are_undone(raw in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut planes, mut out) = (Vec::new(), Vec::new());
        shuffle::split::<2>(&raw, &mut planes);
        shuffle::join::<2>(&planes, &mut out);
        prop_assert_eq!(&out, &raw);
        shuffle::split::<4>(&raw, &mut planes);
        shuffle::join::<4>(&planes, &mut out);
        prop_assert_eq!(&out, &raw);
    }

    #[test]
    fn any_chunks_come_back(chunks in prop::collection::vec((0..4_usize, 0..5000_usize, any::<u32>()), 1..20)) {
        let (mut encoder, mut predictor) = (Encoder::new(), Predictor::default());
        for (kind, len, seed) in chunks {
            let raw = match kind {
                0 => random(seed, len),
                1 => csv(seed, len),
                2 => floats(seed, len, 4),
                _ => vec![seed as u8; len],
            };
            round(&mut encoder, &mut predictor, &raw);
        }
    }

    #[test]
    fn arbitrary_bodies_never_panic(
        body in prop::collection::vec(any::<u8>(), 0..200), codec in 0..4_usize, raw_len in 0..300_000_u32, frame: bool,
    ) {
        let body = if frame { [&[0x28, 0xb5, 0x2f, 0xfd][..], &body].concat() } else { body };
        let mut out = Vec::new();
        if Decoder::new().decode(CODECS[codec], &body, raw_len, &mut out).is_ok() {
            prop_assert_eq!(out.len(), raw_len as usize);
        }
    }
}
