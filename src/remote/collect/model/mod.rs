//! A model test: writers, collectors and readers of several repositories run the real code against one simulated remote.
//!
//! Only one of them runs at a time, and which one is drawn by a generator with a seed, so each world can be run again. Time passes by
//! leaps; processes fall asleep for weeks between any two requests, and die between any two. Listings are no snapshots. At the
//! end everything must be readable that a writer was told is stored and that its repository's history names ever since.
//!
//! `MODVER_MODEL_WORLDS` is how many worlds to try, `MODVER_MODEL_FIRST` the first; `MODVER_MODEL_WATCH` prints what happens.

mod actors;
mod world;

use super::guards;

/// Worlds that a run of the tests tries.
const WORLDS: u64 = 12;
/// Worlds that showed it the last time anybody looked: they are tried first.
const TELLING: [u64; 3] = [9, 35, 86];
/// Worlds that are tried until one shows that a guard is needed.
const PATIENCE: u64 = 600;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn nothing_that_is_needed_is_lost() {
    let first = number("MODVER_MODEL_FIRST", 0);
    let (mut pushed, mut swept) = (0, 0);
    for seed in first..first + number("MODVER_MODEL_WORLDS", WORLDS) {
        let told = actors::live(seed, None);
        assert!(told.lost.is_empty(), "world {seed}: {}", told.lost.join("; "));
        pushed += told.pushed;
        swept += told.swept;
    }
    // A world in which nothing is collected shows nothing.
    assert!(pushed > 0 && swept > 0, "{pushed} pushed, {swept} swept");
}

#[test]
fn a_push_within_a_sweep_keeps_what_it_pushed() {
    assert!(lost_within_sweep(None).is_empty());
}

/// What is lost of a push at any point of a sweep.
fn lost_within_sweep(without: Option<&'static str>) -> Vec<String> {
    let told = (0..).map_while(|after| actors::return_within_sweep(after, without));
    let (mut lost, mut swept, mut points) = (Vec::new(), 0, 0);
    for told in told {
        lost.extend(told.lost);
        swept += told.swept;
        points += 1;
    }
    // A sweep does more requests than this, and where it is not disturbed something goes.
    assert!(points > 10 && swept > points, "{swept} swept in {points}");
    lost
}

#[test]
fn a_world_can_be_run_again() {
    let trace = |seed| actors::live(seed, None).trace;
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn without_any_one_guard_something_is_lost() {
    let only = std::env::var("MODVER_MODEL_GUARD").ok();
    for guard in guards::ALL
        .iter()
        .copied()
        .filter(|guard| only.as_deref().is_none_or(|only| only == *guard))
    {
        if !lost_within_sweep(Some(guard)).is_empty() {
            continue;
        }
        let lost = TELLING
            .into_iter()
            .chain(0..number("MODVER_MODEL_PATIENCE", PATIENCE))
            .find(|seed| !actors::live(*seed, Some(guard)).lost.is_empty());
        assert!(lost.is_some(), "nothing is lost without `{guard}`");
        if std::env::var_os("MODVER_MODEL_WATCH").is_some() {
            eprintln!("without {guard}: world {lost:?}");
        }
    }
}
