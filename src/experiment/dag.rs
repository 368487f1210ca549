//! The graph of stages, or of what they make, to be drawn.

use std::collections::{BTreeMap, BTreeSet};

use super::Result;
use crate::path::RepoPath;
use crate::pipeline::{Graph, Pipelines, Reach, SelectOptions, Stage, StageId, WorkTreeFiles};
use crate::repo::Repository;

/// What to draw.
#[derive(Debug, Clone, Default)]
pub struct DagRequest {
    /// Stages and the like, see [`Pipelines::select`]; with all they depend on. None: all stages of the repository.
    pub targets: Vec<String>,
    /// Outputs rather than stages.
    pub outs: bool,
    /// Each stage of a matrix or list by itself.
    pub full: bool,
}

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DagKind {
    /// Tracked data that no stage makes.
    Data,
    /// A stage.
    Stage,
    /// Several stages of one matrix or list.
    Group,
    /// An output of a stage.
    Out,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DagNode {
    /// What it is called.
    pub name: String,
    /// What it stands for.
    pub kind: DagKind,
    /// How many stages it stands for; 0 for data.
    pub stages: usize,
}

/// From what to what data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct DagEdge {
    /// A place in the list of nodes.
    pub from: usize,
    /// Another, which always comes later.
    pub to: usize,
}

/// A graph without circles.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Dag {
    /// Each behind those it depends on.
    pub nodes: Vec<DagNode>,
    /// Sorted, each once.
    pub edges: Vec<DagEdge>,
}

/// Nodes by their keys, in the order in which they were first named.
struct Nodes<K> {
    nodes: Vec<DagNode>,
    places: BTreeMap<K, usize>,
}

impl<K: Ord> Nodes<K> {
    fn new() -> Self {
        Self {
            nodes: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    fn add(&mut self, key: K, node: impl FnOnce() -> DagNode) -> usize {
        let nodes = &mut self.nodes;
        *self.places.entry(key).or_insert_with(|| {
            nodes.push(node());
            nodes.len() - 1
        })
    }
}

/// Reads the stages and connects them.
///
/// # Errors
/// When stages cannot be read, or a target is none.
pub fn dag(repository: &Repository, request: &DagRequest) -> Result<Dag> {
    let pipelines = Pipelines::load(&WorkTreeFiles::new(repository))?;
    let graph = Graph::new(pipelines.stages())?;
    let cwd = repository.path_of(repository.cwd())?;
    let options = SelectOptions {
        all: request.targets.is_empty(),
        reach: Reach::Upstream,
        glob: false,
    };
    let chosen = if pipelines.stages().is_empty() {
        Vec::new()
    } else {
        pipelines.select(&graph, &request.targets, &cwd, options)?
    };
    let stages = pipelines.stages();
    let data = tracked(repository, stages)?;
    if request.outs {
        return Ok(of_outs(stages, &chosen, &data));
    }
    let folded = |full| of_stages(stages, &graph, &chosen, &data, full);
    // Stages of two lists that depend on each other in turns are no line when folded.
    Ok(folded(request.full).or_else(|| folded(true)).unwrap_or_default())
}

/// The outputs that no stage makes.
fn tracked(repository: &Repository, stages: &[Stage]) -> Result<BTreeMap<RepoPath, ()>> {
    let made: BTreeSet<&RepoPath> = stages
        .iter()
        .flat_map(|stage| &stage.outs)
        .map(|out| &out.path)
        .collect();
    let outputs = repository.outputs()?.outputs.into_iter().map(|output| output.path);
    Ok(outputs
        .filter(|path| !made.contains(path))
        .map(|path| (path, ()))
        .collect())
}

/// What is at, around or inside a path.
fn touching<'a, T>(known: &'a BTreeMap<RepoPath, T>, path: &RepoPath) -> Vec<(&'a RepoPath, &'a T)> {
    let above = std::iter::successors(path.parent(), RepoPath::parent);
    let mut found: Vec<_> = above.filter_map(|above| known.get_key_value(&above)).collect();
    found.extend(
        known
            .range(path.clone()..)
            .take_while(|(other, _)| other.starts_with(path)),
    );
    found
}

fn read_by(stage: &Stage) -> impl Iterator<Item = &RepoPath> {
    stage.deps.iter().chain(stage.params.iter().map(|params| &params.file))
}

fn data_node(path: &RepoPath) -> DagNode {
    DagNode {
        name: path.to_string(),
        kind: DagKind::Data,
        stages: 0,
    }
}

/// What one node of stages is made of.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Data(RepoPath),
    Stage(StageId),
    Group(RepoPath, String),
}

fn of_stages(
    stages: &[Stage],
    graph: &Graph,
    chosen: &[usize],
    data: &BTreeMap<RepoPath, ()>,
    full: bool,
) -> Option<Dag> {
    let mut members: BTreeMap<(&RepoPath, &str), usize> = BTreeMap::new();
    for stage in chosen.iter().filter_map(|&at| stages.get(at)) {
        if let Some(group) = &stage.group {
            *members.entry((&stage.id.file, group)).or_default() += 1;
        }
    }
    let mut nodes = Nodes::new();
    let mut edges = BTreeSet::new();
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for &at in chosen {
        let stage = stages.get(at)?;
        let above: Vec<usize> = graph
            .upstream(at)
            .iter()
            .filter_map(|above| places.get(above).copied())
            .collect();
        let from_data = read_by(stage)
            .flat_map(|dep| touching(data, dep))
            .map(|(path, ())| path);
        let from_data: BTreeSet<&RepoPath> = from_data.collect();
        let from_data = from_data.into_iter().map(|path| {
            let key = Key::Data(path.clone());
            nodes.add(key, || data_node(path))
        });
        let above: Vec<usize> = from_data.collect::<Vec<_>>().into_iter().chain(above).collect();
        let many = stage
            .group
            .as_ref()
            .filter(|_| !full)
            .map(|group| (group, members[&(&stage.id.file, group.as_str())]));
        let place = match many {
            Some((group, count)) => nodes.add(Key::Group(stage.id.file.clone(), group.clone()), || DagNode {
                name: group_name(&stage.id, group, count),
                kind: DagKind::Group,
                stages: count,
            }),
            None => nodes.add(Key::Stage(stage.id.clone()), || DagNode {
                name: stage.id.to_string(),
                kind: DagKind::Stage,
                stages: 1,
            }),
        };
        places.insert(at, place);
        edges.extend(
            above
                .into_iter()
                .map(|from| (from, place))
                .filter(|(from, to)| from != to),
        );
    }
    sorted(nodes.nodes, edges)
}

fn group_name(id: &StageId, group: &str, count: usize) -> String {
    let id = StageId {
        file: id.file.clone(),
        name: group.to_owned(),
    };
    format!("{id}@… ({count})")
}

fn of_outs(stages: &[Stage], chosen: &[usize], data: &BTreeMap<RepoPath, ()>) -> Dag {
    let mut made = BTreeMap::new();
    for stage in chosen.iter().filter_map(|&at| stages.get(at)) {
        made.extend(stage.outs.iter().map(|out| (out.path.clone(), ())));
    }
    let mut nodes = Nodes::new();
    let mut edges = BTreeSet::new();
    for stage in chosen.iter().filter_map(|&at| stages.get(at)) {
        let mut above = BTreeSet::new();
        for dep in read_by(stage) {
            for (path, ()) in touching(data, dep) {
                above.insert(nodes.add(path.clone(), || data_node(path)));
            }
            let outs = touching(&made, dep);
            above.extend(
                outs.into_iter()
                    .filter_map(|(path, ())| nodes.places.get(path).copied()),
            );
        }
        for out in &stage.outs {
            let to = nodes.add(out.path.clone(), || DagNode {
                name: out.path.to_string(),
                kind: DagKind::Out,
                stages: 1,
            });
            edges.extend(above.iter().map(|&from| (from, to)));
        }
    }
    // Outputs come behind what their stages read, as the stages are in order.
    sorted(nodes.nodes, edges).unwrap_or_default()
}

/// Puts the nodes in order; `None` if they depend on each other in a circle.
fn sorted(nodes: Vec<DagNode>, edges: BTreeSet<(usize, usize)>) -> Option<Dag> {
    let mut open = vec![0_usize; nodes.len()];
    let mut below = vec![Vec::new(); nodes.len()];
    for &(from, to) in &edges {
        open[to] += 1;
        below[from].push(to);
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&at| open[at] == 0).collect();
    let mut places = vec![0; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(at) = ready.pop_first() {
        places[at] = order.len();
        order.push(at);
        for &to in &below[at] {
            open[to] -= 1;
            if open[to] == 0 {
                ready.insert(to);
            }
        }
    }
    if order.len() < nodes.len() {
        return None;
    }
    let mut edges: Vec<DagEdge> = edges
        .into_iter()
        .map(|(from, to)| DagEdge {
            from: places[from],
            to: places[to],
        })
        .collect();
    edges.sort_unstable();
    Some(Dag {
        nodes: order.into_iter().map(|at| nodes[at].clone()).collect(),
        edges,
    })
}
