//! What is known of apt without asking it: the inventory of a master image, dpkg's record of what is there, apt's own
//! marks, and the files that say what apt would choose.
//!
//! ```text
//! inventory   the document that a master carries
//! state       dpkg's status file and apt's extended states
//! choice      the files that decide which version apt chooses
//! ```

mod choice;
mod inventory;
mod state;

pub use choice::{Changed, compare};
pub use inventory::{Date, INVENTORY_PROGRAM, Inventory, InventoryError, Listed, Recommends};
pub use state::{Condition, Package, State, StateError};
