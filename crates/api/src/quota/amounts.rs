//! Amounts of resources by name, and the arithmetic that quotas need (`apiserver/pkg/quota/v1`).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::schema::quantity::Quantity;

/// Amounts by the resource's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts(BTreeMap<String, Quantity>);

impl Amounts {
    /// Those of an object such as `{"pods": "3", "requests.cpu": "500m"}`; what is no quantity is left out.
    pub fn of(amounts: &Value) -> Self {
        let members = amounts.as_object().into_iter().flatten();
        let parsed = members.filter_map(|(name, amount)| {
            let amount = Quantity::parse(amount.as_str()?).ok()?;
            Some((name.clone(), amount))
        });
        Self(parsed.collect())
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        let members = self.0.iter();
        let members = members.map(|(name, amount)| (name.clone(), amount.canonical().into()));
        Value::Object(members.collect::<Map<_, _>>())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// One amount.
    pub fn get(&self, name: &str) -> Option<&Quantity> {
        self.0.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds to one amount.
    pub fn add(&mut self, name: &str, amount: Quantity) {
        let sum = self.0.get(name).map_or(amount, |had| had.plus(&amount));
        self.0.insert(name.to_owned(), sum);
    }

    /// The sums.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sums = self.clone();
        other
            .0
            .iter()
            .for_each(|(name, amount)| sums.add(name, *amount));
        sums
    }

    /// What is more here than there; never below zero.
    #[must_use]
    pub(super) fn less(&self, other: &Self) -> Self {
        let zero = Quantity::whole(0);
        let differences = self.0.iter().map(|(name, amount)| {
            let left = amount.minus(other.get(name).unwrap_or(&zero));
            let left = if left.nano() < 0 { zero } else { left };
            (name.clone(), left)
        });
        Self(differences.collect())
    }

    /// Those that the other has, too.
    #[must_use]
    pub fn masked(&self, other: &Self) -> Self {
        self.filtered(|name, _| other.get(name).is_some())
    }

    /// Those that are not zero.
    #[must_use]
    pub(super) fn nonzero(&self) -> Self {
        self.filtered(|_, amount| amount.nano() != 0)
    }

    /// Those that are more than the other's.
    #[must_use]
    pub(super) fn exceeding(&self, other: &Self) -> Self {
        self.filtered(|name, amount| {
            other
                .get(name)
                .is_some_and(|limit| amount.nano() > limit.nano())
        })
    }

    /// The names of those below zero.
    pub(super) fn negative(&self) -> Vec<&str> {
        let below = self.0.iter().filter(|(_, amount)| amount.nano() < 0);
        below.map(|(name, _)| name.as_str()).collect()
    }

    /// The larger of both, name by name.
    #[must_use]
    pub(super) fn maximum(&self, other: &Self) -> Self {
        let mut largest = self.clone();
        for (name, amount) in &other.0 {
            let had = largest.get(name).map_or(i128::MIN, Quantity::nano);
            if amount.nano() > had {
                largest.0.insert(name.clone(), *amount);
            }
        }
        largest
    }

    /// Replaces amounts by the other's.
    pub(super) fn replace(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn filtered(&self, keep: impl Fn(&str, &Quantity) -> bool) -> Self {
        let kept = self.0.iter().filter(|(name, amount)| keep(name, amount));
        Self(kept.map(|(name, amount)| (name.clone(), *amount)).collect())
    }
}

impl fmt::Display for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, amount)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{name}={}", amount.canonical())?;
        }
        Ok(())
    }
}
