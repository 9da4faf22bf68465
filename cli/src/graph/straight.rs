//! Which lines are straight: a line that passes many rows takes one column if the picture is not too wide then, and
//! bends where it must if not.

use super::columns::{Apart, leftmost};

/// Makes one column of each line as a whole, then of each two of its places that follow each other, as long as no
/// pair in `apart` contradicts that. Says for each thing which one stands for its column.
pub(super) fn merged(count: usize, apart: &[Apart], lines: &[Vec<usize>]) -> Vec<usize> {
    let pieces = lines.iter().flat_map(|line| line.windows(2));
    let mut column_of: Vec<_> = (0..count).collect();
    for places in lines.iter().map(Vec::as_slice).chain(pieces) {
        let columns: Vec<_> = places.iter().map(|place| column_of[*place]).collect();
        if columns.windows(2).all(|pair| pair[0] == pair[1]) {
            continue;
        }
        let joined = |column: usize| {
            if columns.contains(&column) {
                columns[0]
            } else {
                column
            }
        };
        let attempt: Vec<_> = column_of.iter().map(|column| joined(*column)).collect();
        let apart: Vec<_> = apart.iter().map(|pair| pair.of(&attempt)).collect();
        if leftmost(count, &apart).is_some() {
            column_of = attempt;
        }
    }
    column_of
}

#[cfg(test)]
mod tests {
    use super::{Apart, merged};

    fn apart(pairs: &[(usize, usize, i64)]) -> Vec<Apart> {
        let apart = |(left, right, by): &(usize, usize, i64)| Apart {
            left: *left,
            right: *right,
            by: *by,
        };
        pairs.iter().map(apart).collect()
    }

    #[test]
    fn a_line_is_straight_from_end_to_end() {
        assert_eq!(merged(3, &[], &[vec![0, 1, 2]]), [0, 0, 0]);
    }

    #[test]
    fn of_two_lines_that_cross_one_bends() {
        let crossing = apart(&[(0, 2, 10), (3, 1, 10)]);
        assert_eq!(
            merged(4, &crossing, &[vec![0, 1], vec![2, 3]]),
            [0, 0, 2, 3]
        );
    }

    #[test]
    fn a_line_bends_once_rather_than_make_the_picture_too_wide() {
        // The line passes its first box on the right and its last on the left, and 3 and 6 bound the picture.
        let rows = [
            (3, 4, 0),
            (4, 0, 60),
            (0, 6, 0),
            (3, 1, 0),
            (1, 6, 0),
            (3, 2, 0),
            (2, 5, 60),
            (5, 6, 0),
        ];
        let wide = apart(&[&rows[..], &[(6, 3, -120)]].concat());
        assert_eq!(merged(7, &wide, &[vec![0, 1, 2]])[..3], [0, 0, 0]);
        let narrow = apart(&[&rows[..], &[(6, 3, -100)]].concat());
        assert_eq!(merged(7, &narrow, &[vec![0, 1, 2]])[..3], [0, 0, 2]);
    }
}
