//! The nearest right spelling of a misspelled word.

/// Words longer than this are not compared: the work grows with the square.
const LONGEST: usize = 128;

/// The candidate that needs the fewest edits, if those are few enough to be a slip of the hand.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LONGEST + 1).collect();
    if word.len() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.chars().take(LONGEST).collect();
            let edits = distance(&word, &letters);
            let allowed = 1 + word.len().max(letters.len()) / 4;
            (edits <= allowed && edits < letters.len()).then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, remove, replace or swap with their neighbour, to make `a` of `b`; case costs nothing.
fn distance(a: &[char], b: &[char]) -> usize {
    let same = |x: char, y: char| x.eq_ignore_ascii_case(&y);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(!same(x, y));
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && same(x, b[j - 1]) && same(a[i - 1], y) {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let words = ["remote", "autostage", "jobs", "url"];
        assert_eq!(nearest("remot", words), Some("remote"));
        assert_eq!(nearest("auto_stage", words), Some("autostage"));
        assert_eq!(nearest("jbos", words), Some("jobs"));
        assert_eq!(nearest("URL", words), Some("url"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("x", words), None);
        assert_eq!(nearest(&"r".repeat(100_000), words), None);
    }
}
