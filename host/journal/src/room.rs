//! Leaves room on the disk to those who need it more: the database stands there as well, and a commit that
//! finds no room is an order that is not sent.
//!
//! ```text
//!            less than the reserve is free
//!   Enough -------------------------------> Short
//!          <-------------------------------
//!            the reserve and a segment more
//! ```

use crate::{disk::Space, segments::SEGMENT_BYTES};

/// One in so many bytes of a disk is left to others,
const RESERVE_PART: u64 = 20;
/// but never less than this,
const RESERVE_BYTES_MIN: u64 = 1 << 30;
/// and never more: on a large disk a part of it is far more than a database grows by in a session.
const RESERVE_BYTES_MAX: u64 = 4 << 30;

/// Whether there is room for the journal.
#[derive(Debug, Default)]
pub(crate) struct Room {
    is_short: bool,
}

impl Room {
    /// Takes a look at the disk; how many bytes have to become free before anything is written, zero when
    /// there is room.
    pub(crate) fn on(&mut self, space: Space) -> u64 {
        let reserve = reserve(space);
        if self.is_short || space.free < reserve {
            let wanting = (reserve + SEGMENT_BYTES).saturating_sub(space.free);
            self.is_short = wanting > 0;
            wanting
        } else {
            0
        }
    }
}

/// What is left to others on such a disk, bytes.
pub(crate) fn reserve(space: Space) -> u64 {
    (space.total / RESERVE_PART).clamp(RESERVE_BYTES_MIN, RESERVE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_reserve_is_a_part_of_the_disk_within_bounds() {
        for (total, expected) in [(0, GIB), (8 * GIB, GIB), (40 * GIB, 2 * GIB), (4_000 * GIB, 4 * GIB)] {
            assert_eq!(reserve(Space { free: 0, total }), expected, "{total}");
        }
    }

    #[test]
    fn it_is_short_below_the_reserve_until_there_is_room_for_a_segment_more() {
        let mut room = Room::default();
        let enough = GIB + SEGMENT_BYTES;
        for (free, wanting) in [
            (GIB, 0),
            (GIB - 1, SEGMENT_BYTES + 1),
            (0, enough),
            (GIB, SEGMENT_BYTES),
            (enough - 1, 1),
            (enough, 0),
            (GIB, 0),
        ] {
            assert_eq!(room.on(Space { free, total: 8 * GIB }), wanting, "{free} free");
        }
    }
}
