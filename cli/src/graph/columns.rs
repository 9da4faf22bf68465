//! The x positions: as close together and as straight as they can be, exactly.
//!
//! Asked for are positions with the least sum of weight × distance over all pairs that should be together, while other
//! pairs keep their distance. That is a linear program whose dual is a flow: push flow round cycles that still gain,
//! and when none is left, the longest paths in what remains are the best positions (the x coordinate problem of
//! Gansner, Koutsofios, North and Vo, "A Technique for Drawing Directed Graphs", section 4). A level has some hundred
//! positions, so the plainest method is quick enough.

/// `right` stands at least `by` right of `left`. The pairs must not contradict each other.
#[derive(Clone, Copy)]
pub(super) struct Apart {
    pub left: usize,
    pub right: usize,
    pub by: i64,
}

impl Apart {
    /// The same for the columns that they are in.
    pub fn of(self, column_of: &[usize]) -> Self {
        Self {
            left: column_of[self.left],
            right: column_of[self.right],
            by: self.by,
        }
    }
}

/// Two that should stand in one line, and how much that is worth.
#[derive(Clone, Copy)]
pub(super) struct Together {
    pub one: usize,
    pub other: usize,
    pub weight: i64,
}

/// The best positions of `count` things; the first one from the left is at 0.
///
/// Where several are equally good, the answer is the middle between the leftmost and the rightmost of them.
pub(super) fn positions(count: usize, apart: &[Apart], together: &[Together]) -> Vec<f64> {
    let mut arcs = arcs(apart);
    for Together { one, other, weight } in together {
        Arc::pair(&mut arcs, *one, *other, 0, *weight, *weight);
    }
    let leftmost = loop {
        match longest_paths(count, &arcs) {
            Ok(lengths) => break lengths,
            Err(cycle) => push(&mut arcs, &cycle),
        }
    };
    for arc in &mut arcs {
        std::mem::swap(&mut arc.from, &mut arc.to);
    }
    let widest = leftmost.iter().max().copied().unwrap_or_default();
    let Ok(from_right) = longest_paths(count, &arcs) else {
        return leftmost.into_iter().map(|x| x as f64).collect();
    };
    leftmost
        .iter()
        .zip(from_right)
        .map(|(left, right)| (left + widest - right) as f64 / 2.0)
        .collect()
}

/// How far left each thing can stand, from the first one at 0; none if the pairs contradict each other.
pub(super) fn leftmost(count: usize, apart: &[Apart]) -> Option<Vec<i64>> {
    longest_paths(count, &arcs(apart)).ok()
}

fn arcs(apart: &[Apart]) -> Vec<Arc> {
    let mut arcs = vec![];
    for Apart { left, right, by } in apart {
        Arc::pair(&mut arcs, *left, *right, *by, i64::MAX / 4, 0);
    }
    arcs
}

/// What more can flow from one to another, and what a unit of it gains. An arc and its opposite stand side by side.
struct Arc {
    from: usize,
    to: usize,
    gain: i64,
    room: i64,
}

impl Arc {
    fn pair(arcs: &mut Vec<Self>, from: usize, to: usize, gain: i64, room: i64, room_back: i64) {
        arcs.push(Self {
            from,
            to,
            gain,
            room,
        });
        arcs.push(Self {
            from: to,
            to: from,
            gain: -gain,
            room: room_back,
        });
    }
}

/// The longest path to each from anywhere, or the arcs of a cycle that gains.
fn longest_paths(count: usize, arcs: &[Arc]) -> Result<Vec<i64>, Vec<usize>> {
    let mut lengths = vec![0; count];
    let mut last_arcs: Vec<Option<usize>> = vec![None; count];
    loop {
        let mut changed = false;
        for (index, arc) in arcs.iter().enumerate().filter(|(_, arc)| arc.room > 0) {
            let length = lengths[arc.from] + arc.gain;
            if length > lengths[arc.to] {
                lengths[arc.to] = length;
                last_arcs[arc.to] = Some(index);
                changed = true;
            }
        }
        if !changed {
            return Ok(lengths);
        }
        if let Some(cycle) = cycle(arcs, &last_arcs) {
            return Err(cycle);
        }
    }
}

/// Follows the arcs back; a cycle among them gains, or a path round it would not have become longer.
fn cycle(arcs: &[Arc], last_arcs: &[Option<usize>]) -> Option<Vec<usize>> {
    let mut met_from = vec![usize::MAX; last_arcs.len()];
    for first in 0..last_arcs.len() {
        let mut place = first;
        while met_from[place] == usize::MAX {
            met_from[place] = first;
            match last_arcs[place] {
                Some(arc) => place = arcs[arc].from,
                None => break,
            }
        }
        if met_from[place] == first && last_arcs[place].is_some() {
            let mut round = vec![];
            let mut at = place;
            while let Some(arc) = last_arcs[at] {
                round.push(arc);
                at = arcs[arc].from;
                if at == place {
                    return Some(round);
                }
            }
        }
    }
    None
}

fn push(arcs: &mut [Arc], cycle: &[usize]) {
    let amount = cycle
        .iter()
        .map(|arc| arcs[*arc].room)
        .min()
        .unwrap_or_default();
    for arc in cycle {
        arcs[*arc].room -= amount;
        arcs[*arc ^ 1].room += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::{Apart, Together, positions};

    #[test]
    fn a_parent_stands_in_the_middle_above_two_children() {
        let apart = [Apart {
            left: 1,
            right: 2,
            by: 100,
        }];
        let together = [
            Together {
                one: 0,
                other: 1,
                weight: 1,
            },
            Together {
                one: 0,
                other: 2,
                weight: 1,
            },
        ];
        assert_eq!(positions(3, &apart, &together), [50.0, 0.0, 100.0]);
    }

    #[test]
    fn the_heavier_line_stays_straight() {
        let apart = [Apart {
            left: 1,
            right: 2,
            by: 100,
        }];
        let together = [
            Together {
                one: 0,
                other: 1,
                weight: 1,
            },
            Together {
                one: 0,
                other: 2,
                weight: 3,
            },
        ];
        assert_eq!(positions(3, &apart, &together), [100.0, 0.0, 100.0]);
    }
}
