//! How edges that move sideways in the same gap between two rows share its height, so that they do not run into one
//! line.

/// Of `of` lanes, from above, the one that an edge takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub place: usize,
    pub of: usize,
}

impl Lane {
    /// Where it lies in the gap, from 0 at the top to 1 at the bottom.
    pub fn part(self) -> f64 {
        (self.place + 1) as f64 / (self.of + 1) as f64
    }
}

/// A lane for each move from one x position to another. Where moves in one direction overlap, the one that is ahead
/// takes the upper lane: so none of them crosses another that it need not cross.
pub(super) fn lanes(moves: &[(f64, f64)]) -> Vec<Lane> {
    let mut lanes = vec![Lane { place: 0, of: 1 }; moves.len()];
    for direction in [1.0, -1.0] {
        let ahead = |index: &usize| direction * moves[*index].0;
        let end = |index: &usize| direction * moves[*index].1;
        let mut indices: Vec<_> = (0..moves.len())
            .filter(|index| end(index) > ahead(index))
            .collect();
        indices.sort_by(|one, other| ahead(other).total_cmp(&ahead(one)));
        for group in indices.chunk_by(|one, other| end(other) > ahead(one)) {
            for (place, index) in group.iter().enumerate() {
                lanes[*index] = Lane {
                    place,
                    of: group.len(),
                };
            }
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::{Lane, lanes};

    #[test]
    fn of_moves_side_by_side_the_one_ahead_is_above() {
        let (above, below) = (Lane { place: 0, of: 2 }, Lane { place: 1, of: 2 });
        assert_eq!(lanes(&[(0.0, 100.0), (20.0, 120.0)]), [below, above]);
        assert_eq!(lanes(&[(100.0, 0.0), (120.0, 20.0)]), [above, below]);
    }

    #[test]
    fn moves_that_do_not_overlap_have_the_whole_gap() {
        let alone = Lane { place: 0, of: 1 };
        assert_eq!(
            lanes(&[(0.0, 100.0), (120.0, 200.0), (300.0, 300.0)]),
            [alone; 3]
        );
    }
}
