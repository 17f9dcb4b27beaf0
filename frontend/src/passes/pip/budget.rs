//! Which wheels get a layer of their own.
//!
//! Layers cost round trips, and Docker's classic store ends at 127 of them. Most bytes sit in few wheels, so big
//! wheels stand alone and the rest of a step shares one tail layer. A tail belongs to its step: it isn't shared.

/// No image gets more layers than this, base and application layers counted in.
pub const IMAGE_LAYERS: usize = 110;

/// No step gets more layers of its own than this: those that a lock may name, the tail and the records.
const STEP_LAYERS: usize = plinth_layers::lock::LAYERS + 2;

/// Payloads below this many bytes go into the tail: what sharing them would save isn't worth a layer.
pub(super) const ALONE_FROM: u64 = 32 << 10;

/// Splits the layers that a step could have, given the bytes of each, into those that it gets and the tail;
/// both in the order of `bytes`. `room` is how many layers the step may have, the record layer counted in.
#[must_use]
pub(super) fn split(bytes: &[u64], room: usize) -> (Vec<usize>, Vec<usize>) {
    // The record layer and the tail always have a place.
    let room = room.min(STEP_LAYERS).saturating_sub(2);
    let mut by_size: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] >= ALONE_FROM).collect();
    // Ties by position: the same step always gives the same layers.
    by_size.sort_by_key(|i| (std::cmp::Reverse(bytes[*i]), *i));
    by_size.truncate(room);
    let mut tail: Vec<usize> = (0..bytes.len()).filter(|i| !by_size.contains(i)).collect();
    // A tail of one costs the same layer as that wheel alone, and alone it is shared.
    if tail.len() == 1 {
        by_size.append(&mut tail);
    }
    by_size.sort_unstable();
    (by_size, tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn big_ones_alone_small_ones_in_the_tail() {
        assert_eq!(split(&[10, 1 << 20, ALONE_FROM, 5, 1 << 30], 40), (vec![1, 2, 4], vec![0, 3]));
    }

    #[test]
    fn the_biggest_win_when_room_is_short() {
        let bytes = [1 << 20, 1 << 25, 1 << 22, 1 << 22];
        assert_eq!(split(&bytes, 4), (vec![1, 2], vec![0, 3]));
        assert_eq!(split(&bytes, 2), (vec![], vec![0, 1, 2, 3]));
        assert_eq!(split(&bytes, 0), (vec![], vec![0, 1, 2, 3]));
    }

    #[test]
    fn a_tail_of_one_is_no_tail() {
        assert_eq!(split(&[1 << 20, 7], 40), (vec![0, 1], vec![]));
    }

    #[test]
    fn two_hundred_wheels_stay_inside_the_budget() {
        let bytes = vec![1 << 20; 214];
        let (alone, tail) = split(&bytes, IMAGE_LAYERS);
        assert_eq!((alone.len(), tail.len()), (STEP_LAYERS - 2, 214 - STEP_LAYERS + 2));
    }
}
