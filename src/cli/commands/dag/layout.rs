//! Where the boxes of a drawing go: in layers, each behind all it depends on, with few crossings and short lines.

use crate::experiment::Dag;

/// Columns between two boxes.
const GAP: usize = 3;
/// How often layers are ordered by their neighbours.
const SWEEPS: usize = 8;

/// A box, or a place where a long line passes a layer.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The node of the graph; `None` for a line that passes.
    pub(super) node: Option<usize>,
    /// Columns it takes.
    pub(super) width: usize,
    /// Its first column.
    pub(super) left: usize,
    /// Items of the next layer, by their places in it, that lines lead to.
    pub(super) below: Vec<usize>,
}

impl Item {
    /// The column where lines come in and go out.
    pub(super) const fn port(&self) -> usize {
        self.left + self.width / 2
    }
}

/// Layers of items, in order.
pub(super) type Layers = Vec<Vec<Item>>;

/// Arranges a graph.
pub(super) fn layout(dag: &Dag, width: impl Fn(usize) -> usize) -> Layers {
    let mut layers = in_layers(dag, width);
    for sweep in 0..SWEEPS {
        order(&mut layers, sweep % 2 == 0);
    }
    place(&mut layers);
    layers
}

/// Puts each node one layer behind the last one it depends on; lines over several layers get an item in each.
fn in_layers(dag: &Dag, width: impl Fn(usize) -> usize) -> Layers {
    let mut layer = vec![0_usize; dag.nodes.len()];
    let mut is_first = vec![true; dag.nodes.len()];
    // Nodes are in order, so a layer is final when it is looked at.
    for edge in &dag.edges {
        is_first[edge.to] = false;
    }
    for at in 0..dag.nodes.len() {
        for edge in dag.edges.iter().filter(|edge| edge.from == at) {
            layer[edge.to] = layer[edge.to].max(layer[at] + 1);
        }
    }
    // What depends on nothing stands right before the first that reads it.
    for at in (0..dag.nodes.len()).filter(|&at| is_first[at]) {
        let readers = dag.edges.iter().filter(|edge| edge.from == at);
        if let Some(first) = readers.map(|edge| layer[edge.to]).min() {
            layer[at] = first - 1;
        }
    }
    let count = layer.iter().max().map_or(0, |last| last + 1);
    let mut layers: Layers = vec![Vec::new(); count];
    let mut place = vec![0; dag.nodes.len()];
    for (at, &layer) in layer.iter().enumerate() {
        place[at] = layers[layer].len();
        layers[layer].push(Item {
            node: Some(at),
            width: width(at),
            left: 0,
            below: Vec::new(),
        });
    }
    for edge in &dag.edges {
        let mut from = place[edge.from];
        for between in layer[edge.from]..layer[edge.to] {
            let to = if between + 1 == layer[edge.to] {
                place[edge.to]
            } else {
                layers[between + 1].push(Item {
                    node: None,
                    width: 1,
                    left: 0,
                    below: Vec::new(),
                });
                layers[between + 1].len() - 1
            };
            layers[between][from].below.push(to);
            from = to;
        }
    }
    layers
}

/// Orders each layer by the mean of its neighbours in the one before (`down`) or behind it.
fn order(layers: &mut Layers, down: bool) {
    for step in 1..layers.len() {
        let at = if down { step } else { layers.len() - 1 - step };
        let neighbours = if down {
            above(&layers[at - 1], layers[at].len())
        } else {
            layers[at].iter().map(|item| item.below.clone()).collect()
        };
        let mut sorted: Vec<(f64, usize)> = neighbours
            .iter()
            .enumerate()
            .map(|(at, others)| (mean(others.iter().map(|&other| other as f64)).unwrap_or(at as f64), at))
            .collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut places = vec![0; sorted.len()];
        for (new, &(_, old)) in sorted.iter().enumerate() {
            places[old] = new;
        }
        layers[at] = sorted.iter().map(|&(_, old)| layers[at][old].clone()).collect();
        if let Some(before) = at.checked_sub(1).and_then(|before| layers.get_mut(before)) {
            for to in before.iter_mut().flat_map(|item| &mut item.below) {
                *to = places[*to];
            }
        }
    }
}

/// For each item of a layer the places of those before it.
fn above(before: &[Item], count: usize) -> Vec<Vec<usize>> {
    let mut above = vec![Vec::new(); count];
    for (at, item) in before.iter().enumerate() {
        for &to in &item.below {
            above[to].push(at);
        }
    }
    above
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then_some(sum / count)
}

/// Gives each item its columns: near the middle of its neighbours, in order and apart.
fn place(layers: &mut Layers) {
    let total = |layer: &Vec<Item>| layer.iter().map(|item| item.width + GAP).sum::<usize>();
    // Room on the left for what is pushed there; taken back at the end.
    let margin = layers.iter().map(total).max().unwrap_or_default();
    for layer in layers.iter_mut() {
        let mut left = margin;
        for item in layer {
            item.left = left;
            left += item.width + GAP;
        }
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        for step in 1..layers.len() {
            let at = if down { step } else { layers.len() - 1 - step };
            let wanted: Vec<Option<f64>> = if down {
                let before = &layers[at - 1];
                let above = above(before, layers[at].len());
                above
                    .iter()
                    .map(|above| mean(above.iter().map(|&at| before[at].port() as f64)))
                    .collect()
            } else {
                let behind = &layers[at + 1];
                let port = |below: &usize| behind[*below].port() as f64;
                layers[at]
                    .iter()
                    .map(|item| mean(item.below.iter().map(port)))
                    .collect()
            };
            settle(&mut layers[at], &wanted);
        }
    }
    straighten(layers);
    let leftmost = layers.iter().flatten().map(|item| item.left).min().unwrap_or_default();
    for item in layers.iter_mut().flatten() {
        item.left -= leftmost;
    }
}

/// Moves items by a column or two where a line then goes straight down.
fn straighten(layers: &mut Layers) {
    for at in 1..layers.len() {
        let (before, layer) = layers.split_at_mut(at);
        let (Some(before), Some(layer)) = (before.last(), layer.first_mut()) else {
            continue;
        };
        let above = above(before, layer.len());
        for index in 0..layer.len() {
            // With several lines in, the middle one has the middle if there is one.
            let Some(&from) = above[index]
                .get(above[index].len() / 2)
                .filter(|_| above[index].len() % 2 == 1)
            else {
                continue;
            };
            let (port, wanted) = (layer[index].port(), before[from].port());
            let left = (layer[index].left + wanted).saturating_sub(port);
            let free = index
                .checked_sub(1)
                .map_or(0, |before| layer[before].left + layer[before].width + 1);
            let end = layer.get(index + 1).map_or(usize::MAX, |next| next.left - 1);
            if port.abs_diff(wanted) <= 2 && left >= free && left + layer[index].width <= end {
                layer[index].left = left;
            }
        }
    }
}

/// Moves the items of a layer to where they are wanted as far as they have room: runs of items that touch share what is
/// wanted.
fn settle(layer: &mut [Item], wanted: &[Option<f64>]) {
    /// Items that stand together: the first, the sum and number of their wishes for its left edge, and their width.
    struct Run {
        first: usize,
        sum: f64,
        count: f64,
        width: f64,
    }
    impl Run {
        fn left(&self) -> f64 {
            self.sum / self.count
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for (at, item) in layer.iter().enumerate() {
        let half = (item.width / 2) as f64;
        let left = wanted[at].map_or(item.left as f64, |port| port - half);
        // What nobody pulls at hardly matters.
        let weight = if wanted[at].is_some() { 1.0 } else { 0.01 };
        let mut run = Run {
            first: at,
            sum: left * weight,
            count: weight,
            width: item.width as f64,
        };
        while let Some(before) = runs.last() {
            let end = before.left() + before.width + GAP as f64;
            if end <= run.left() {
                break;
            }
            let offset = before.width + GAP as f64;
            run = Run {
                first: before.first,
                sum: before.sum + run.sum - offset * run.count,
                count: before.count + run.count,
                width: offset + run.width,
            };
            runs.pop();
        }
        runs.push(run);
    }
    let mut ends = runs.iter().skip(1).map(|run| run.first).chain([layer.len()]);
    let mut free = 0;
    for run in &runs {
        let end = ends.next().unwrap_or(layer.len());
        let mut left = (run.left().round().max(0.0) as usize).max(free);
        for item in &mut layer[run.first..end] {
            item.left = left;
            left += item.width + GAP;
        }
        free = left;
    }
}
