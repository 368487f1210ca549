//! How stages depend on each other: one reads what another makes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::definition::{DefinitionError, Result};
use super::{Out, Stage};
use crate::path::RepoPath;

/// The stages as a graph without circles; stages are named by their places in the slice it was made of.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    upstream: Vec<Vec<usize>>,
    downstream: Vec<Vec<usize>>,
    order: Vec<usize>,
}

impl Graph {
    /// Connects stages: each with those that make what it reads, be it the same path, in it or around it.
    ///
    /// # Errors
    /// When two outputs overlap, a stage reads its own output, or stages depend on each other in a circle.
    pub fn new(stages: &[Stage]) -> Result<Self> {
        let outs = distinct_outs(stages)?;
        let mut graph = Self {
            upstream: vec![Vec::new(); stages.len()],
            downstream: vec![Vec::new(); stages.len()],
            order: Vec::with_capacity(stages.len()),
        };
        for (at, stage) in stages.iter().enumerate() {
            let mut above = Vec::new();
            for dep in stage.deps.iter().chain(stage.params.iter().map(|params| &params.file)) {
                for &(out, maker) in touching(&outs, dep) {
                    if maker == at {
                        return Err(DefinitionError::OwnOutput {
                            stage: Box::new(stage.id.clone()),
                            place: stage.place(),
                            dep: dep.clone(),
                            out: out.path.clone(),
                        });
                    }
                    above.push(maker);
                }
            }
            above.sort_unstable();
            above.dedup();
            for &maker in &above {
                graph.downstream[maker].push(at);
            }
            graph.upstream[at] = above;
        }
        graph.sort(stages)?;
        Ok(graph)
    }

    /// The stages that make what stage `at` reads, sorted.
    #[must_use]
    pub fn upstream(&self, at: usize) -> &[usize] {
        self.upstream.get(at).map_or(&[], Vec::as_slice)
    }

    /// The stages that read what stage `at` makes, sorted.
    #[must_use]
    pub fn downstream(&self, at: usize) -> &[usize] {
        self.downstream.get(at).map_or(&[], Vec::as_slice)
    }

    /// All stages, each behind those it depends on; otherwise in their own order.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Adds to the chosen stages all that can be reached from them.
    pub fn spread<'a>(&'a self, chosen: &mut [bool], next: impl Fn(&'a Self, usize) -> &'a [usize]) {
        let mut pending: Vec<usize> = (0..chosen.len()).filter(|&at| chosen[at]).collect();
        while let Some(at) = pending.pop() {
            for &other in next(self, at) {
                if !chosen[other] {
                    chosen[other] = true;
                    pending.push(other);
                }
            }
        }
    }

    /// Adds to the chosen stages all that are connected with them, however.
    pub fn spread_both(&self, chosen: &mut [bool]) {
        let mut pending: Vec<usize> = (0..chosen.len()).filter(|&at| chosen[at]).collect();
        while let Some(at) = pending.pop() {
            for &other in self.upstream(at).iter().chain(self.downstream(at)) {
                if !chosen[other] {
                    chosen[other] = true;
                    pending.push(other);
                }
            }
        }
    }

    fn sort(&mut self, stages: &[Stage]) -> Result<()> {
        let mut missing: Vec<usize> = self.upstream.iter().map(Vec::len).collect();
        let mut ready: BinaryHeap<Reverse<usize>> =
            (0..stages.len()).filter(|&at| missing[at] == 0).map(Reverse).collect();
        while let Some(Reverse(at)) = ready.pop() {
            self.order.push(at);
            for &below in &self.downstream[at] {
                missing[below] -= 1;
                if missing[below] == 0 {
                    ready.push(Reverse(below));
                }
            }
        }
        match missing.iter().position(|&count| count > 0) {
            None => Ok(()),
            Some(start) => Err(self.circle(stages, &missing, start)),
        }
    }

    /// The circle that a stage with missing ones upstream leads into.
    fn circle(&self, stages: &[Stage], missing: &[usize], start: usize) -> DefinitionError {
        let mut seen_at = vec![usize::MAX; stages.len()];
        let mut path = Vec::new();
        let mut at = start;
        while seen_at[at] == usize::MAX {
            seen_at[at] = path.len();
            path.push(at);
            // Each stage that is left has one upstream that is left.
            match self.upstream[at].iter().find(|&&above| missing[above] > 0) {
                Some(&above) => at = above,
                None => break,
            }
        }
        let mut circle = path.split_off(seen_at[at].min(path.len()));
        // In the direction in which data flows, from the first by name.
        circle.reverse();
        let first = circle
            .iter()
            .enumerate()
            .min_by_key(|(_, at)| **at)
            .map_or(0, |(place, _)| place);
        circle.rotate_left(first);
        DefinitionError::Cycle {
            stages: circle
                .iter()
                .map(|&at| (stages[at].id.clone(), stages[at].place()))
                .collect(),
        }
    }
}

/// An output, and the place of its stage.
type MadeBy<'a> = (&'a Out, usize);

/// All outputs, sorted by path; none is in another.
fn distinct_outs(stages: &[Stage]) -> Result<Vec<MadeBy<'_>>> {
    let mut outs: Vec<MadeBy<'_>> = Vec::new();
    for (at, stage) in stages.iter().enumerate() {
        outs.extend(stage.outs.iter().map(|out| (out, at)));
    }
    outs.sort_by(|a, b| a.0.path.cmp(&b.0.path).then(a.1.cmp(&b.1)));
    for pair in outs.windows(2) {
        let [(first, owner), (second, at)] = *pair else {
            continue;
        };
        if second.path.starts_with(&first.path) {
            // The later definition is the mistake.
            let ((path, at), (other, owner)) = if at >= owner {
                ((&second.path, at), (&first.path, owner))
            } else {
                ((&first.path, owner), (&second.path, at))
            };
            return Err(DefinitionError::Overlap {
                stage: Box::new(stages[at].id.clone()),
                place: stages[at].place(),
                path: path.clone(),
                owner: Box::new(stages[owner].id.clone()),
                owner_place: Box::new(stages[owner].place()),
                other: other.clone(),
            });
        }
    }
    Ok(outs)
}

/// The outputs that are `path`, in it or around it.
fn touching<'a, 'b>(outs: &'b [MadeBy<'a>], path: &RepoPath) -> impl Iterator<Item = &'b MadeBy<'a>> {
    let start = outs.partition_point(|(out, _)| out.path < *path);
    let inside = outs[start..].iter().take_while({
        let path = path.clone();
        move |(out, _)| out.path.starts_with(&path)
    });
    // Nothing sorts between a directory and what is in it, and no output is in another: only the one before can be.
    let around = outs[..start].last().filter(|(out, _)| path.starts_with(&out.path));
    around.into_iter().chain(inside)
}
