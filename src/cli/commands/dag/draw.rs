//! A graph as boxes and lines; data goes down. Lines of different boxes never join: each has its own place at the box it
//! leads to, and where two cross, the one across is broken.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{Item, Layers, layout};
use crate::experiment::Dag;

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

/// The boxes, among those whom lines belong to.
const BOXES: usize = usize::MAX;
/// How far layers are moved against each other, in columns.
const SHIFTS: usize = 4;
/// More boxes than anybody follows lines between.
const MAX_NODES: usize = 300;

/// Draws a graph; `None` if it is too large, or wider than `width`.
pub(super) fn draw(dag: &Dag, width: usize) -> Option<String> {
    if dag.nodes.len() > MAX_NODES {
        return None;
    }
    let mut needs = vec![0; dag.nodes.len()];
    for edge in &dag.edges {
        needs[edge.to] += 1;
    }
    // Room for the name, and for a line from each that is needed.
    let layers = layout(dag, |at| {
        (dag.nodes[at].name.chars().count() + 4).max(2 * needs[at] + 3)
    });
    // Where lines would have to share a column, the layers are moved against each other.
    (0..SHIFTS).find_map(|shift| drawn(dag, &layers, shift, width))
}

fn drawn(dag: &Dag, layers: &Layers, shift: usize, width: usize) -> Option<String> {
    let mut layers = layers.clone();
    for item in layers.iter_mut().skip(1).step_by(2).flatten() {
        item.left += shift;
    }
    let columns = layers.iter().flatten().map(|item| item.left + item.width).max()?;
    if columns > width {
        return None;
    }
    let mut canvas = Canvas::new(columns);
    let mut row = 0;
    for (at, layer) in layers.iter().enumerate() {
        for item in layer {
            boxed(&mut canvas, dag, item, row);
        }
        row += 3;
        if let Some(next) = layers.get(at + 1) {
            row += lines(&mut canvas, layer, next, row)?;
        }
    }
    Some(canvas.text())
}

fn boxed(canvas: &mut Canvas, dag: &Dag, item: &Item, row: usize) {
    let Some(node) = item.node else {
        canvas.vertical(item.port(), row, row + 3, BOXES);
        return;
    };
    let (left, right) = (item.left, item.left + item.width - 1);
    for (row, sides) in [(row, DOWN), (row + 2, UP)] {
        canvas.horizontal(row, left, right, BOXES);
        canvas.add(row, left, sides, BOXES);
        canvas.add(row, right, sides, BOXES);
    }
    canvas.add(row + 1, left, UP | DOWN, BOXES);
    canvas.add(row + 1, right, UP | DOWN, BOXES);
    if !item.below.is_empty() {
        canvas.add(row + 2, item.port(), DOWN, BOXES);
    }
    let name = &dag.nodes[node].name;
    let indent = (item.width - name.chars().count()) / 2;
    for (at, c) in name.chars().enumerate() {
        canvas.letter(row + 1, left + indent + at, c);
    }
}

/// The lines that go out of one item.
struct Net {
    from: usize,
    to: BTreeSet<usize>,
}

impl Net {
    fn span(&self) -> (usize, usize) {
        let columns = || self.to.iter().copied().chain([self.from]);
        (columns().min().unwrap_or_default(), columns().max().unwrap_or_default())
    }

    fn is_straight(&self) -> bool {
        let (first, last) = self.span();
        first == last
    }
}

/// Draws the lines between two layers; returns the rows they take, or `None` if they cannot be told apart.
fn lines(canvas: &mut Canvas, layer: &[Item], next: &[Item], row: usize) -> Option<usize> {
    let mut above = vec![Vec::new(); next.len()];
    for (at, item) in layer.iter().enumerate() {
        for &to in &item.below {
            above[to].push(at);
        }
    }
    // The places of a box side by side, in the order of those they come from.
    let place = |from: usize, to: usize| {
        let at = above[to].iter().position(|other| *other == from).unwrap_or_default();
        next[to].port() + 2 * at + 1 - above[to].len()
    };
    let net = |(at, item): (usize, &Item)| Net {
        from: item.port(),
        to: item.below.iter().map(|&to| place(at, to)).collect(),
    };
    let nets: Vec<Net> = layer
        .iter()
        .enumerate()
        .map(net)
        .filter(|net| !net.to.is_empty())
        .collect();
    let tracks = tracks(&nets)?;
    let height = tracks.iter().flatten().max().map_or(1, |last| last + 1);
    let end = row + height;
    for (id, (net, track)) in nets.iter().zip(&tracks).enumerate() {
        for &to in &net.to {
            canvas.add(end, to, UP, BOXES);
        }
        let Some(track) = track else {
            canvas.vertical(net.from, row, end, id);
            continue;
        };
        let at = row + track;
        let (first, last) = net.span();
        canvas.horizontal(at, first, last, id);
        canvas.add(at, net.from, UP, id);
        canvas.vertical(net.from, row, at, id);
        for &to in &net.to {
            canvas.add(at, to, DOWN, id);
            canvas.vertical(to, at + 1, end, id);
        }
    }
    Some(height)
}

/// The row of each net's horizontal part; none where it goes straight down. No two share columns of one row, and what
/// comes down a column ends above what goes on in it.
fn tracks(nets: &[Net]) -> Option<Vec<Option<usize>>> {
    let bent: Vec<usize> = (0..nets.len()).filter(|&at| !nets[at].is_straight()).collect();
    let sources: BTreeMap<usize, usize> = bent.iter().map(|&at| (nets[at].from, at)).collect();
    // By net: those that must be in a row above.
    let mut above: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for &at in &bent {
        let others = nets[at].to.iter().filter_map(|column| sources.get(column).copied());
        above.insert(at, others.filter(|&other| other != at).collect());
    }
    let mut tracks = vec![None; nets.len()];
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut open = bent;
    while !open.is_empty() {
        let is_ready = |at: &usize| above[at].iter().all(|other| tracks[*other].is_some());
        let at = open.iter().copied().find(is_ready)?;
        open.retain(|other| *other != at);
        let (first, last) = nets[at].span();
        let lowest = above[&at]
            .iter()
            .filter_map(|other| tracks[*other])
            .map(|track: usize| track + 1)
            .max();
        let mut track = lowest.unwrap_or_default();
        let is_taken = |row: &Vec<(usize, usize)>| row.iter().any(|&(from, to)| from <= last + 1 && first <= to + 1);
        while taken.get(track).is_some_and(is_taken) {
            track += 1;
        }
        taken.resize(taken.len().max(track + 1), Vec::new());
        taken[track].push((first, last));
        tracks[at] = Some(track);
    }
    Some(tracks)
}

/// Characters and lines; grows downwards.
struct Canvas {
    columns: usize,
    rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Copy)]
enum Cell {
    Empty,
    /// To which sides lines go, and whose they are.
    Lines(u8, usize),
    /// One line goes down, that of another across.
    Crossing,
    Letter(char),
}

impl Canvas {
    const fn new(columns: usize) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    fn cell(&mut self, row: usize, column: usize) -> Option<&mut Cell> {
        if self.rows.len() <= row {
            self.rows.resize(row + 1, vec![Cell::Empty; self.columns]);
        }
        self.rows.get_mut(row)?.get_mut(column)
    }

    fn add(&mut self, row: usize, column: usize, lines: u8, owner: usize) {
        if let Some(cell) = self.cell(row, column) {
            *cell = match *cell {
                Cell::Empty => Cell::Lines(lines, owner),
                Cell::Lines(there, same) if same == owner => Cell::Lines(there | lines, owner),
                _ => Cell::Crossing,
            };
        }
    }

    fn letter(&mut self, row: usize, column: usize, c: char) {
        if let Some(cell) = self.cell(row, column) {
            *cell = Cell::Letter(c);
        }
    }

    fn horizontal(&mut self, row: usize, first: usize, last: usize, owner: usize) {
        for column in first..last {
            self.add(row, column, RIGHT, owner);
            self.add(row, column + 1, LEFT, owner);
        }
    }

    /// From `first` to before `end`.
    fn vertical(&mut self, column: usize, first: usize, end: usize, owner: usize) {
        for row in first..end {
            self.add(row, column, UP | DOWN, owner);
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let line: String = row
                .iter()
                .map(|cell| match cell {
                    Cell::Empty => ' ',
                    Cell::Letter(c) => *c,
                    Cell::Lines(lines, _) => character(*lines),
                    Cell::Crossing => '│',
                })
                .collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

const fn character(lines: u8) -> char {
    const ACROSS: u8 = LEFT | RIGHT;
    const ALONG: u8 = UP | DOWN;
    const DOWN_RIGHT: u8 = DOWN | RIGHT;
    const DOWN_LEFT: u8 = DOWN | LEFT;
    const UP_RIGHT: u8 = UP | RIGHT;
    const UP_LEFT: u8 = UP | LEFT;
    const FROM_RIGHT: u8 = ALONG | RIGHT;
    const FROM_LEFT: u8 = ALONG | LEFT;
    const FORK: u8 = ACROSS | DOWN;
    const JOIN: u8 = ACROSS | UP;
    match lines {
        0 => ' ',
        ACROSS | LEFT | RIGHT => '─',
        ALONG | UP | DOWN => '│',
        DOWN_RIGHT => '┌',
        DOWN_LEFT => '┐',
        UP_RIGHT => '└',
        UP_LEFT => '┘',
        FROM_RIGHT => '├',
        FROM_LEFT => '┤',
        FORK => '┬',
        JOIN => '┴',
        _ => '┼',
    }
}

/// A graph as a list: each with what it needs, in the order of running.
pub(super) fn list(dag: &Dag) -> String {
    let mut needs = vec![Vec::new(); dag.nodes.len()];
    for edge in &dag.edges {
        needs[edge.to].push(dag.nodes[edge.from].name.as_str());
    }
    let mut text = String::new();
    for (node, needs) in dag.nodes.iter().zip(&needs) {
        text.push_str(&node.name);
        text.push('\n');
        for name in needs {
            text.push_str("  needs ");
            text.push_str(name);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{DagEdge, DagKind, DagNode};
    use proptest::prelude::*;

    fn graph(names: &[&str], edges: &[(usize, usize)]) -> Dag {
        let node = |name: &&str| DagNode {
            name: (*name).to_owned(),
            kind: DagKind::Stage,
            stages: 1,
        };
        Dag {
            nodes: names.iter().map(node).collect(),
            edges: edges.iter().map(|&(from, to)| DagEdge { from, to }).collect(),
        }
    }

    #[track_caller]
    fn is_drawn(dag: &Dag, expected: &str) {
        let drawn = draw(dag, 200).unwrap();
        let expected: String = expected.lines().skip(1).map(|line| format!("{line}\n")).collect();
        assert_eq!(drawn, expected, "\n{drawn}");
    }

    #[test]
    fn a_line() {
        is_drawn(
            &graph(&["prepare", "train", "evaluate"], &[(0, 1), (1, 2)]),
            "
 ┌─────────┐
 │ prepare │
 └────┬────┘
      │
  ┌───┴───┐
  │ train │
  └───┬───┘
      │
┌─────┴────┐
│ evaluate │
└──────────┘",
        );
    }

    #[test]
    fn a_fork_and_a_long_line() {
        is_drawn(
            &graph(&["a", "b", "c", "d"], &[(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]),
            "
       ┌───┐
       │ a │
       └─┬─┘
  ┌──────┼──────┐
┌─┴─┐  ┌─┴─┐    │
│ b │  │ c │    │
└─┬─┘  └─┬─┘    │
  └────┐ │ ┌────┘
     ┌─┴─┴─┴─┐
     │   d   │
     └───────┘",
        );
    }

    #[test]
    fn a_crossing() {
        is_drawn(
            &graph(&["a", "b", "c", "d"], &[(0, 2), (0, 3), (1, 2), (1, 3)]),
            "
  ┌───┐   ┌───┐
  │ a │   │ b │
  └─┬─┘   └─┬─┘
   ┌┴───────│┐
   │ ┌──────┴│─┐
 ┌─┴─┴─┐   ┌─┴─┴─┐
 │  c  │   │  d  │
 └─────┘   └─────┘",
        );
    }

    #[test]
    fn lists_are_right() {
        let dag = graph(&["a", "b", "c"], &[(0, 1), (0, 2), (1, 2)]);
        assert_eq!(list(&dag), "a\nb\n  needs a\nc\n  needs a\n  needs b\n");
        assert_eq!(draw(&dag, 4), None);
    }

    fn any_graph() -> impl Strategy<Value = Dag> {
        (1..12_usize).prop_flat_map(|count| {
            let edge = (0..count, 0..count);
            proptest::collection::btree_set(edge, 0..20).prop_map(move |edges| {
                let names: Vec<String> = (0..count).map(|at| format!("s{at}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from < to).collect();
                graph(&names, &edges)
            })
        })
    }

    /// Follows the lines of a drawing from the bottom of each box to the boxes they lead to, straight over crossings.
    fn read(drawing: &str, names: usize) -> BTreeSet<(usize, usize)> {
        let rows: Vec<Vec<char>> = drawing.lines().map(|line| line.chars().collect()).collect();
        let at = |row: usize, column: usize| rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or(' ');
        let mut boxes = BTreeMap::new();
        for (r, row) in rows.iter().enumerate() {
            let line: String = row.iter().collect();
            for name in 0..names {
                let label = format!(" s{name} ");
                if let Some(found) = line.find(&label) {
                    let middle = line[..found].chars().count() + 1;
                    let left = (0..middle).rfind(|&column| at(r, column) == '│').unwrap();
                    let right = (middle..row.len()).find(|&column| at(r, column) == '│').unwrap();
                    boxes.insert(name, (r, left, right));
                }
            }
        }
        let mut edges = BTreeSet::new();
        for (&from, &(row, left, right)) in &boxes {
            let Some(port) = (left..right).find(|&column| at(row + 1, column) == '┬') else {
                continue;
            };
            let mut seen = BTreeSet::new();
            let mut todo = vec![(row + 2, port, DOWN)];
            while let Some((row, column, moving)) = todo.pop() {
                if !seen.insert((row, column, moving)) {
                    continue;
                }
                let target = boxes
                    .iter()
                    .find(|(_, b)| b.0 == row + 1 && b.1 <= column && column <= b.2);
                if let Some((&to, _)) = target
                    && moving == DOWN
                {
                    edges.insert((from, to));
                    continue;
                }
                let exits = match (at(row, column), moving) {
                    ('│' | '─', _) => moving,
                    ('┌', LEFT) | ('┐', RIGHT) => DOWN,
                    ('└', DOWN) => RIGHT,
                    ('┘', DOWN) => LEFT,
                    ('├', DOWN) => DOWN | RIGHT,
                    ('┤', DOWN) => DOWN | LEFT,
                    ('┼', DOWN) => DOWN | LEFT | RIGHT,
                    ('┴', DOWN) => LEFT | RIGHT,
                    ('┬', LEFT | RIGHT) => moving | DOWN,
                    (c, _) => panic!("a line ends at {c:?}, {row}:{column} of\n{drawing}"),
                };
                for (exit, next) in [
                    (DOWN, Some((row + 1, column))),
                    (RIGHT, Some((row, column + 1))),
                    (LEFT, column.checked_sub(1).map(|column| (row, column))),
                ] {
                    if let (true, Some((row, column))) = (exits & exit != 0, next) {
                        todo.push((row, column, exit));
                    }
                }
            }
        }
        edges
    }

    proptest! {
        #[test]
        fn each_line_can_be_followed(dag in any_graph()) {
            if let Some(drawing) = draw(&dag, 10_000) {
                for node in &dag.nodes {
                    prop_assert_eq!(drawing.matches(&format!(" {} ", node.name)).count(), 1, "{}", drawing);
                }
                let expected: BTreeSet<_> = dag.edges.iter().map(|edge| (edge.from, edge.to)).collect();
                prop_assert_eq!(read(&drawing, dag.nodes.len()), expected, "{}", &drawing);
            }
        }
    }
}
