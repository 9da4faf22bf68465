//! Which row everything stands in, and in which order from left to right: dagre's answer, with fewer crossings.

use std::collections::{BTreeMap, HashMap};

use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel};

use super::layout::Rough;

/// The rows, and the order in each row.
pub(super) struct Arrangement {
    /// The row of each vertex.
    pub rows: Vec<usize>,
    pub heights: Vec<f64>,
    /// How many things stand in rows: the vertices, then the places where edges pass rows.
    pub count: usize,
    /// What stands in each row, from left to right.
    pub order: Vec<Vec<usize>>,
    /// For each edge, downwards, the rows that it touches and what stands for it there.
    pub ways: Vec<Vec<(usize, usize)>>,
}

impl Arrangement {
    /// What dagre makes of it. Its search for few crossings depends on where it begins, hence the two choices.
    pub fn of(rough: &Rough, keep_first: bool, mirrored: bool) -> Self {
        let mut graph = Graph::with_options(GraphOptions {
            directed: true,
            multigraph: true,
            compound: false,
        });
        let mut vertices: Vec<_> = rough.vertices.iter().enumerate().collect();
        let mut edges: Vec<_> = rough.edges.iter().enumerate().collect();
        if mirrored {
            vertices.reverse();
            edges.reverse();
        }
        for (index, vertex) in vertices {
            let label = NodeLabel {
                width: vertex.width,
                height: vertex.height,
                ..NodeLabel::default()
            };
            graph.set_node(index.to_string(), Some(label));
        }
        for (index, edge) in edges {
            for (piece, ends) in edge.down.windows(2).enumerate() {
                // A label holds on to the state that its edge leaves.
                let at_source = edge.lines.is_empty() || (piece == 0) != edge.turned;
                let label = EdgeLabel {
                    weight: if at_source { 8 } else { 1 },
                    ..EdgeLabel::default()
                };
                let name = format!("{index}/{piece}");
                graph.set_edge(
                    ends[0].to_string(),
                    ends[1].to_string(),
                    Some(label),
                    Some(&name),
                );
            }
        }
        dagre::layout(
            &mut graph,
            Some(LayoutOptions {
                tie_keep_first: keep_first,
                ..LayoutOptions::default()
            }),
        );
        Self::read(rough, &graph)
    }

    fn read(rough: &Rough, graph: &Graph<NodeLabel, EdgeLabel>) -> Self {
        // All that stands in a row has the same y.
        let row_key = |y: f64| (y * 16.0).round() as i64;
        let centres: Vec<_> = (0..rough.vertices.len())
            .map(|index| {
                let node = graph.node(&index.to_string());
                node.map_or((0.0, 0), |node| {
                    (
                        node.x.unwrap_or_default(),
                        row_key(node.y.unwrap_or_default()),
                    )
                })
            })
            .collect();
        let mut heights_by_y: BTreeMap<i64, f64> = BTreeMap::new();
        for ((_, y), vertex) in centres.iter().zip(&rough.vertices) {
            let height = heights_by_y.entry(*y).or_default();
            *height = height.max(vertex.height);
        }
        let row_of: HashMap<i64, usize> = heights_by_y
            .keys()
            .enumerate()
            .map(|(row, y)| (*y, row))
            .collect();

        let mut xs: Vec<_> = centres.iter().map(|(x, _)| *x).collect();
        let rows: Vec<_> = centres.iter().map(|(_, y)| row_of[y]).collect();
        let mut order = vec![vec![]; row_of.len()];
        for (vertex, row) in rows.iter().enumerate() {
            order[*row].push(vertex);
        }
        let mut ways = vec![];
        for (index, edge) in rough.edges.iter().enumerate() {
            let mut way = vec![(rows[edge.down[0]], edge.down[0])];
            for (piece, ends) in edge.down.windows(2).enumerate() {
                let name = format!("{index}/{piece}");
                let label = graph.edge(&ends[0].to_string(), &ends[1].to_string(), Some(&name));
                let points = label.map_or(&[][..], |label| &label.points);
                // The first and the last point only say where the edge meets its vertices, and dagre has rows between
                // where nothing stands.
                for point in points
                    .get(1..points.len().saturating_sub(1))
                    .unwrap_or_default()
                {
                    if let Some(row) = row_of.get(&row_key(point.y)) {
                        order[*row].push(xs.len());
                        way.push((*row, xs.len()));
                        xs.push(point.x);
                    }
                }
                way.push((rows[ends[1]], ends[1]));
            }
            ways.push(way);
        }
        for row in &mut order {
            row.sort_by(|one, other| xs[*one].total_cmp(&xs[*other]));
        }
        let mut arrangement = Self {
            rows,
            heights: heights_by_y.into_values().collect(),
            count: xs.len(),
            order,
            ways,
        };
        arrangement.untangle();
        arrangement
    }

    /// Changes places with the neighbour as long as that takes away a crossing; dagre moves only whole rows.
    fn untangle(&mut self) {
        let mut fewest = self.crossings();
        let mut better = true;
        while better {
            better = false;
            for row in 0..self.order.len() {
                for place in 1..self.order[row].len() {
                    self.order[row].swap(place - 1, place);
                    let crossings = self.crossings();
                    if crossings < fewest {
                        (fewest, better) = (crossings, true);
                    } else {
                        self.order[row].swap(place - 1, place);
                    }
                }
            }
        }
    }

    /// How often two edges cross between two rows.
    pub fn crossings(&self) -> usize {
        let mut places = vec![0; self.count];
        for row in &self.order {
            for (place, thing) in row.iter().enumerate() {
                places[*thing] = place;
            }
        }
        let mut pieces: Vec<Vec<(usize, usize)>> = vec![vec![]; self.heights.len()];
        for pair in self.ways.iter().flat_map(|way| way.windows(2)) {
            pieces[pair[0].0].push((places[pair[0].1], places[pair[1].1]));
        }
        let crosses = |one: (usize, usize), other: (usize, usize)| {
            (one.0 < other.0 && one.1 > other.1) || (one.0 > other.0 && one.1 < other.1)
        };
        let in_row = |row: &Vec<(usize, usize)>| -> usize {
            row.iter()
                .enumerate()
                .map(|(index, one)| {
                    row[index + 1..]
                        .iter()
                        .filter(|other| crosses(*one, **other))
                        .count()
                })
                .sum()
        };
        pieces.iter().map(in_row).sum()
    }
}
