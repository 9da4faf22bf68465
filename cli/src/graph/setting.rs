//! Columns, rows, ports and edges in pixels: an arrangement becomes a picture.

use super::columns::{Apart, Together, leftmost, positions};
use super::lanes::{Lane, lanes};
use super::layout::{Edge, EdgeOf, Label, Picture, Placed, Rough, RoughEdge, Run, Vertex, What};
use super::rows::Arrangement;
use super::straight::merged;

const PORT_MARGIN: f64 = 14.0;
const LEAST_GAP: f64 = 8.0;
const MOST_GAP: f64 = 30.0;
const BETWEEN_PORTS: f64 = 16.0;
const BETWEEN_LANES: f64 = 8.0;
const ARROW_ROOM: f64 = 9.0;
/// How much wider than its widest row a level may become, so that more of its lines are straight.
const LEEWAY: i64 = 80;

/// An arrangement on its way to a picture.
pub(super) struct Setting<'a> {
    rough: Rough<'a>,
    at: Arrangement,
    /// The centre of each thing.
    xs: Vec<f64>,
    /// Where each edge leaves its upper vertex and comes to its lower one.
    ports: Vec<(f64, f64)>,
}

impl<'a> Setting<'a> {
    pub fn new(rough: Rough<'a>, at: Arrangement) -> Self {
        let (xs, ports) = (vec![0.0; at.count], vec![(0.0, 0.0); rough.edges.len()]);
        Self {
            rough,
            at,
            xs,
            ports,
        }
    }

    fn size_of(&self, thing: usize) -> (f64, Thing) {
        match self.rough.vertices.get(thing) {
            Some(Vertex {
                width,
                what: Some(_),
                ..
            }) => (*width, Thing::Box),
            Some(Vertex {
                width, what: None, ..
            }) => (*width, Thing::Label),
            None => (0.0, Thing::Line),
        }
    }

    /// The order in each row and the distances in it, and how wide all may be. Of two things more than there are the
    /// first stands for the left side of the picture and the second for the right.
    fn distances(&self) -> Vec<Apart> {
        let (left_side, right_side) = (self.at.count, self.at.count + 1);
        let mut apart = vec![];
        let mut add = |left, right, by: f64| {
            let by = by.ceil() as i64;
            apart.push(Apart { left, right, by });
        };
        for pair in self.at.order.iter().flat_map(|row| row.windows(2)) {
            let ((left_width, left), (right_width, right)) =
                (self.size_of(pair[0]), self.size_of(pair[1]));
            let by = (left_width + right_width) / 2.0 + Thing::gap(left, right);
            add(pair[0], pair[1], by);
        }
        for thing in 0..self.at.count {
            let half = self.size_of(thing).0 / 2.0;
            add(left_side, thing, half);
            add(thing, right_side, half);
        }
        let least = leftmost(self.at.count + 2, &apart).map(|places| places[right_side]);
        if let Some(least) = least {
            apart.push(Apart {
                left: right_side,
                right: left_side,
                by: -(least + LEEWAY),
            });
        }
        apart
    }

    /// What stands for each edge between its two states; the edges that lead on come first, to be straight before those
    /// that lead back.
    fn lines(&self) -> Vec<Vec<usize>> {
        let is_box = |thing: usize| self.size_of(thing).1 == Thing::Box;
        let ways = self.rough.edges.iter().zip(&self.at.ways);
        let (back, on): (Vec<_>, Vec<_>) = ways.partition(|(edge, _)| edge.turned);
        let things = |way: &[(usize, usize)]| {
            let things = way.iter().map(|(_, thing)| *thing);
            things.filter(|thing| !is_box(*thing)).collect()
        };
        on.into_iter()
            .chain(back)
            .map(|(_, way)| things(way))
            .collect()
    }

    /// Keeps the order in each row, and makes the edges as short and as straight as that allows.
    fn set_columns(&mut self) {
        let is_box = |thing: usize| self.size_of(thing).1 == Thing::Box;
        let meeting = |thing: usize, at: fn(&[(usize, usize)]) -> usize| {
            self.at.ways.iter().filter(|way| at(way) == thing).count()
        };
        let mut together = vec![];
        for (edge, way) in self.rough.edges.iter().zip(&self.at.ways) {
            for pair in way.windows(2) {
                let (one, other) = (pair[0].1, pair[1].1);
                // Where several edges meet at one side of a box, each finds a place that makes it straight.
                let fixed = [
                    meeting(one, |way| way[0].1),
                    meeting(other, |way| way[way.len() - 1].1),
                ];
                let weight = match fixed.into_iter().filter(|edges| *edges > 1).count() {
                    // A line that is not straight here bends once, be it near or far.
                    _ if !is_box(one) && !is_box(other) => 2,
                    0 => 6,
                    1 => 3,
                    _ => 2,
                };
                // A plain next step matters more than a choice, and a choice more than what happens after an error.
                let weight = match (edge.of.caught, edge.lines.is_empty()) {
                    (true, _) => weight,
                    (false, false) => weight * 2,
                    (false, true) => weight * 4,
                };
                together.push(Together { one, other, weight });
            }
        }
        let apart = self.distances();
        let count = self.at.count + 2;
        let column_of = merged(count, &apart, &self.lines());
        let apart: Vec<_> = apart.iter().map(|pair| pair.of(&column_of)).collect();
        for pair in &mut together {
            (pair.one, pair.other) = (column_of[pair.one], column_of[pair.other]);
        }
        let columns = positions(count, &apart, &together);
        let things = &column_of[..self.at.count];
        self.xs = things.iter().map(|column| columns[*column]).collect();
    }

    /// Gives each edge its own place at the upper and at the lower side of a vertex, in the order in which the edges
    /// come and go, so that they do not cross on the last inch.
    fn set_ports(&mut self) {
        for (vertex, Vertex { width, what, .. }) in self.rough.vertices.iter().enumerate() {
            let (mut below, mut above) = (vec![], vec![]);
            for (edge, way) in self.at.ways.iter().enumerate() {
                if way[0].1 == vertex {
                    below.push((edge, self.xs[way[1].1]));
                }
                if way[way.len() - 1].1 == vertex {
                    above.push((edge, self.xs[way[way.len() - 2].1]));
                }
            }
            let wide = matches!(what, Some(What::State { inner: Some(_), .. }));
            let room = |edges: usize| match what {
                Some(_) if wide || edges > 1 => (width - 2.0 * PORT_MARGIN).max(0.0),
                _ => 0.0,
            };
            for (edge, x) in ports(self.xs[vertex], room(below.len()), below) {
                self.ports[edge].0 = x;
            }
            for (edge, x) in ports(self.xs[vertex], room(above.len()), above) {
                self.ports[edge].1 = x;
            }
        }
    }

    /// The x position at which an edge passes each row of its way.
    fn track(&self, edge: usize) -> Vec<(usize, f64)> {
        let mut track: Vec<_> = self.at.ways[edge]
            .iter()
            .map(|(row, thing)| (*row, self.xs[*thing]))
            .collect();
        if let Some(first) = track.first_mut() {
            first.1 = self.ports[edge].0;
        }
        if let Some(last) = track.last_mut() {
            last.1 = self.ports[edge].1;
        }
        track
    }

    /// For each edge the lane that it takes in each gap.
    fn lanes(&self) -> Vec<Vec<Lane>> {
        let mut moves: Vec<Vec<(f64, f64)>> = vec![vec![]; self.at.heights.len()];
        for edge in 0..self.rough.edges.len() {
            for pair in self.track(edge).windows(2) {
                moves[pair[0].0].push((pair[0].1, pair[1].1));
            }
        }
        let mut lanes: Vec<_> = moves.iter().map(|row| lanes(row).into_iter()).collect();
        let mut in_row = |row: usize| lanes[row].next().expect("a lane for each move");
        let mut gaps = |way: &[(usize, usize)]| {
            let above = &way[..way.len() - 1];
            above.iter().map(|(row, _)| in_row(*row)).collect()
        };
        self.at.ways.iter().map(|way| gaps(way)).collect()
    }

    /// The gap below each row: as high as the widest sideways move and the lanes in it need, and an arrow where one
    /// ends.
    fn gaps(&self, lanes: &[Vec<Lane>]) -> Vec<f64> {
        let mut gaps = vec![LEAST_GAP; self.at.heights.len()];
        for (index, edge) in self.rough.edges.iter().enumerate() {
            let track = self.track(index);
            for (place, pair) in track.windows(2).enumerate() {
                let sideways = (pair[0].1 - pair[1].1).abs();
                let arrow = if edge.turned {
                    place == 0
                } else {
                    place + 2 == track.len()
                };
                let curve = if sideways < 1.0 {
                    LEAST_GAP
                } else {
                    (12.0 + sideways * 0.06).min(MOST_GAP)
                };
                let gap = &mut gaps[pair[0].0];
                let curve = curve.max(lanes[index][place].of as f64 * BETWEEN_LANES);
                *gap = gap.max(curve + if arrow { ARROW_ROOM } else { 0.0 });
            }
        }
        gaps
    }

    /// All stand at the top of their rows, but the end right below a state is drawn up to it: a Map beside the state
    /// would tear them apart.
    fn vertex_tops(&self, tops: &[f64]) -> Vec<f64> {
        let mut ys: Vec<_> = self.at.rows.iter().map(|row| tops[*row]).collect();
        for (edge, way) in self.rough.edges.iter().zip(&self.at.ways) {
            let (state, end) = (edge.down[0], edge.down[edge.down.len() - 1]);
            let is_end = matches!(self.rough.vertices[end].what, Some(What::End));
            let y = ys[state] + self.rough.vertices[state].height + LEAST_GAP + ARROW_ROOM;
            let row = self.at.rows[state];
            let fits = y + self.rough.vertices[end].height <= tops[row] + self.at.heights[row];
            if is_end
                && fits
                && way
                    .iter()
                    .all(|(_, thing)| self.xs[*thing] == self.xs[state])
            {
                ys[end] = y;
            }
        }
        ys
    }

    /// The way of an edge, from the state that it leaves.
    fn runs(&self, edge: usize, lanes: &[Lane], tops: &[f64], ys: &[f64], left: f64) -> Vec<Run> {
        let RoughEdge { down, turned, .. } = &self.rough.edges[edge];
        let (first, last) = (down[0], down[down.len() - 1]);
        let mut runs = vec![];
        for (place, (row, x)) in self.track(edge).into_iter().enumerate() {
            let foot = tops[row] + self.at.heights[row];
            let level = |lane: &Lane| foot + (tops[row + 1] - foot) * lane.part();
            // An end that was drawn up ends the way above the foot of its row.
            let enter = tops[row].min(ys[last]);
            let leave = foot.min(ys[last]);
            runs.push(Run {
                x: x - left,
                enter,
                leave,
                turn: lanes.get(place).map_or(leave, level),
                up: false,
            });
        }
        if let Some(run) = runs.first_mut() {
            run.enter = ys[first] + self.rough.vertices[first].height;
        }
        if let Some(run) = runs.last_mut() {
            run.leave = ys[last];
        }
        if *turned {
            runs.reverse();
            for run in &mut runs {
                (run.enter, run.leave, run.up) = (run.leave, run.enter, true);
            }
        }
        runs
    }

    pub fn picture(mut self) -> Picture<'a> {
        self.set_columns();
        self.set_ports();
        let lanes = self.lanes();
        let gaps = self.gaps(&lanes);
        let mut tops = vec![0.0];
        for (row, height) in self.at.heights.iter().enumerate() {
            tops.push(tops[row] + height + gaps[row]);
        }
        let height = tops[gaps.len()] - gaps.last().copied().unwrap_or_default();
        let ys = self.vertex_tops(&tops);

        let sides = (0..self.at.count).map(|thing| (self.xs[thing], self.size_of(thing).0 / 2.0));
        let (mut left, mut right) = (f64::INFINITY, f64::NEG_INFINITY);
        for (x, half) in sides {
            (left, right) = (left.min(x - half), right.max(x + half));
        }

        let runs: Vec<_> = (0..self.at.ways.len())
            .map(|edge| self.runs(edge, &lanes[edge], &tops, &ys, left))
            .collect();
        let Self {
            rough: Rough { vertices, edges },
            xs,
            ..
        } = self;
        let corner = |vertex: usize| (xs[vertex] - vertices[vertex].width / 2.0 - left, ys[vertex]);
        let mut drawn = vec![];
        for (
            RoughEdge {
                of, down, lines, ..
            },
            runs,
        ) in edges.into_iter().zip(runs)
        {
            let label = (!lines.is_empty()).then(|| {
                let ((x, y), Vertex { width, height, .. }) = (corner(down[1]), &vertices[down[1]]);
                Label {
                    is_list: of.says.len() > 1,
                    lines,
                    x,
                    y,
                    width: *width,
                    height: *height,
                }
            });
            let EdgeOf {
                from,
                to,
                caught,
                says,
            } = of;
            drawn.push(Edge {
                from,
                to,
                caught,
                says,
                runs,
                label,
            });
        }
        let corners: Vec<_> = (0..vertices.len()).map(corner).collect();
        let boxes = vertices
            .into_iter()
            .zip(corners)
            .filter_map(|(vertex, (x, y))| {
                let Vertex {
                    width,
                    height,
                    what,
                } = vertex;
                what.map(|what| Placed {
                    what,
                    x,
                    y,
                    width,
                    height,
                })
            });
        Picture {
            width: right - left,
            height,
            boxes: boxes.collect(),
            edges: drawn,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thing {
    Box,
    Label,
    Line,
}

impl Thing {
    fn gap(left: Self, right: Self) -> f64 {
        match (left, right) {
            (Self::Box, Self::Box) => 24.0,
            (Self::Label, Self::Label) => 12.0,
            (Self::Line, Self::Line) => 18.0,
            _ => 16.0,
        }
    }
}

/// Each edge is where it comes from or goes to, as far as `room` reaches around the centre, and they keep their order.
fn ports(centre: f64, room: f64, mut aims: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    aims.sort_by(|one, other| one.1.total_cmp(&other.1));
    let half = room / 2.0;
    let step = BETWEEN_PORTS.min(2.0 * half / aims.len().max(1) as f64);
    let mut low = centre - half;
    for (_, x) in &mut aims {
        *x = x.clamp(low, centre + half.max(low - centre));
        low = *x + step;
    }
    let mut high = centre + half;
    for (_, x) in aims.iter_mut().rev() {
        *x = x.min(high);
        high = *x - step;
    }
    aims
}
