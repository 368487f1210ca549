//! A line of numbers as a line of characters.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Numbers as bars from the lowest to the highest, in at most `width` characters; of more numbers each character is the
/// mean of its share.
#[must_use]
pub fn sparkline(values: &[f64], width: usize) -> String {
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let count = values.len().min(width.max(1));
    let mean = |at: usize| {
        let (start, end) = (at * values.len() / count, (at + 1) * values.len() / count);
        let share = values.get(start..end).unwrap_or_default();
        // Divided before they are added: the sum of finite numbers need not be one.
        share.iter().map(|value| value / share.len() as f64).sum::<f64>()
    };
    let means: Vec<f64> = (0..count).map(mean).collect();
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &f64| {
        // Halved so that the span of the largest numbers is one, too.
        let share = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        // A flat line has no span.
        let index = if share.is_finite() {
            (share * 7.0).round() as usize
        } else {
            3
        };
        BARS[index.min(7)]
    };
    means.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shapes() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 10), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[0.0, 2.0, 6.0, 8.0], 2), "▁█");
        assert_eq!(sparkline(&[5.0, 5.0, f64::NAN], 10), "▄▄");
        assert_eq!(sparkline(&[f64::MIN, f64::MAX], 10), "▁█");
        assert_eq!(sparkline(&[], 10), "");
    }

    proptest! {
        #[test]
        fn never_wider(values in proptest::collection::vec(any::<f64>(), 0..200), width in 0..50_usize) {
            prop_assert!(sparkline(&values, width).chars().count() <= width.max(1));
        }
    }
}
