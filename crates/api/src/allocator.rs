//! Which address or port comes next, as arithmetic: no state, no chance, no storage.
//!
//! Both ranges have a lower band, which is meant for numbers that people choose, and an upper one that picks
//! come from first (KEP-3070, KEP-3668). A pick starts anywhere in the upper band, walks on with
//! wrap-around, and falls back to the lower band when the upper is used up. Chance is the caller's argument,
//! and so is the question whether a number is taken.

mod addresses;
mod ports;

pub use addresses::AddressRange;
pub use ports::PortRange;

/// The size of the lower band: a share of the range within limits; small ranges have none.
fn lower_band(size: u64, share: u64, most: u64) -> u64 {
    const LEAST: u64 = 16;
    if size <= LEAST {
        0
    } else {
        (size / share).max(LEAST).min(most)
    }
}

/// The numbers `0..size` in the order in which they are tried.
fn order(size: u64, lower: u64, chance: u64) -> impl Iterator<Item = u64> {
    band(lower, size - lower, chance).chain(band(0, lower, chance))
}

/// A band from a random member on, once around.
fn band(first: u64, size: u64, chance: u64) -> impl Iterator<Item = u64> {
    let start = chance.checked_rem(size).unwrap_or(0);
    (start..size).chain(0..start).map(move |i| first + i)
}

#[cfg(test)]
mod tests;
