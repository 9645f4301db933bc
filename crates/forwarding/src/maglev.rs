//! The ring by which the balancer spreads clients over nodes: equal shares, and little moves when
//! a member comes or goes (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load
//! Balancer", NSDI 2016, section 3.4).
//!
//! Each member walks the slots in an order of its own, given by its name alone, and takes turns
//! with the others to occupy the next free one. So two balancers that know the same members have
//! the same ring, and when one member goes, its slots are what mostly changes hands.
//!
//! Worked example, 7 slots: `a` walks 3 0 4 1 5 2 6 and `b` walks 0 2 4 6 1 3 5. `a` takes 3, `b`
//! 0, `a` (0 is taken) 4, `b` 2, `a` 1, `b` (4 is taken) 6, `a` 5: the ring is b a b a a a b.

/// The usual number of slots: prime, and hundreds of times the members that are expected.
pub const RING_SIZE: usize = 16381;

/// Someone who takes a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Who it is; its place in the ring follows from this alone.
    pub name: &'a str,
    /// Its share relative to the others'; 0 takes none.
    pub weight: u32,
}

impl<'a> Member<'a> {
    /// A member with the same share as every other.
    pub fn new(name: &'a str) -> Self {
        Self { name, weight: 1 }
    }
}

/// A ring: for each slot, the position of its member in the list that the ring was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maglev {
    slots: Vec<u32>,
}

impl Maglev {
    /// The ring of these members with `size` slots. The order of the members does not matter for
    /// who gets what.
    ///
    /// # Panics
    ///
    /// When `size` is not prime: the walks would not reach every slot.
    pub fn new(members: &[Member<'_>], size: usize) -> Self {
        assert!(
            is_prime(size),
            "the number of slots of a ring must be prime, {size} is not"
        );
        let mut walks = walks(members, size as u64);
        let mut slots = vec![u32::MAX; if walks.is_empty() { 0 } else { size }];
        let mut free = slots.len();
        while free > 0 {
            for walk in &mut walks {
                for _ in 0..walk.turns.next() {
                    if free > 0 {
                        walk.occupy(&mut slots);
                        free -= 1;
                    }
                }
            }
        }
        Self { slots }
    }

    /// The position of the member that a hash falls to; `None` when there is no member.
    pub fn lookup(&self, hash: u64) -> Option<usize> {
        let size = u64::try_from(self.slots.len())
            .ok()
            .filter(|size| *size > 0)?;
        let slot = usize::try_from(hash % size).expect("a slot number is less than the ring");
        Some(self.slots[slot] as usize)
    }

    /// Every slot in order, with the position of its member.
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }
}

/// A member's way through the slots.
struct Walk {
    member: u32,
    next: u64,
    skip: u64,
    size: u64,
    turns: Turns,
}

impl Walk {
    /// Takes the next slot on the way that is still free; there is one.
    fn occupy(&mut self, slots: &mut [u32]) {
        loop {
            let slot = usize::try_from(self.next).expect("a slot number is less than the ring");
            self.next = (self.next + self.skip) % self.size;
            if slots[slot] == u32::MAX {
                slots[slot] = self.member;
                return;
            }
        }
    }
}

/// How many slots a member takes in each round: `weight` in `heaviest` rounds, evenly.
struct Turns {
    weight: u64,
    heaviest: u64,
    saved: u64,
}

impl Turns {
    fn next(&mut self) -> u64 {
        self.saved += self.weight;
        let turns = self.saved / self.heaviest;
        self.saved %= self.heaviest;
        turns
    }
}

fn walks(members: &[Member<'_>], size: u64) -> Vec<Walk> {
    let mut order: Vec<u32> = (0..).take(members.len()).collect();
    order.retain(|member| members[*member as usize].weight > 0);
    order.sort_by_key(|member| members[*member as usize].name);
    let heaviest = u64::from(
        members
            .iter()
            .map(|member| member.weight)
            .max()
            .unwrap_or(1),
    );
    let walk = |member: u32| {
        let Member { name, weight } = members[member as usize];
        Walk {
            member,
            next: hash(name, 0) % size,
            skip: hash(name, 1) % (size - 1) + 1,
            size,
            turns: Turns {
                weight: weight.into(),
                heaviest,
                saved: 0,
            },
        }
    };
    order.into_iter().map(walk).collect()
}

/// FNV-1a, then the finisher of SplitMix64: FNV alone leaves names that differ in their last
/// letter close to each other.
fn hash(name: &str, seed: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

fn is_prime(number: usize) -> bool {
    number > 2
        && (2..)
            .take_while(|d| d * d <= number)
            .all(|d| !number.is_multiple_of(d))
}

#[cfg(test)]
mod tests;
