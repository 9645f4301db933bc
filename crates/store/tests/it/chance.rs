//! Random numbers whose seed is told, so that a failure can be looked at again.

/// A small generator (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    /// Seeded by the variable `SEED`, else by the clock.
    pub(crate) fn new() -> Self {
        let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let given = std::env::var("SEED").ok();
        let seed = given.map_or_else(clock, |seed| seed.parse().unwrap());
        eprintln!("SEED={seed}");
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
