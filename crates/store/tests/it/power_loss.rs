//! The power goes out: of what was written but not synced, any part may have reached the disk.
//!
//! A killed process leaves its writes in the page cache; only this shows whether an acknowledgement
//! waits for the disk.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use store::{Embedded, Options, Store};

use crate::chance::Chance;
use crate::workload;

const ROUNDS: usize = 150;
const OPTIONS: Options = Options {
    keep_revisions: 200,
    cache_bytes: 1 << 20,
};
/// What a disk writes as one.
const SECTOR: usize = 512;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_loss_no_acknowledged_write_is_lost_and_none_is_half_there() {
    let mut chance = Chance::new();
    let mut platter = Vec::new();
    let mut total = 0;
    for _ in 0..ROUNDS {
        let disk = Drive::new(platter, chance.below(400));
        let acknowledged = Mutex::new(Vec::new());
        if let Ok(store) = Embedded::open_on(disk.clone(), OPTIONS) {
            workload::write(&store, |ack| acknowledged.lock().unwrap().push(ack)).await;
            let refused = store.compact(store.revision().await.unwrap()).await;
            assert!(refused.is_err(), "a store that cannot write goes on");
            store.close().await;
        }
        platter = disk.after_power_loss(&mut chance);
        let acknowledged = acknowledged.into_inner().unwrap();
        total += acknowledged.len();

        let disk = Drive::new(platter, usize::MAX);
        let store = Embedded::open_on(disk.clone(), OPTIONS).unwrap();
        workload::check(&store, &acknowledged).await;
        store.close().await;
        platter = disk.contents();
    }
    assert!(
        total > ROUNDS * 10,
        "only {total} writes in {ROUNDS} rounds"
    );
}

/// A disk with a cache. After so many calls the power is gone and every call fails.
#[derive(Clone, Debug)]
struct Drive(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    /// What every reader sees.
    cached: Vec<u8>,
    /// What a power loss leaves for sure.
    synced: Vec<u8>,
    /// What happened since, in order.
    unsynced: Vec<Change>,
    calls_left: usize,
}

#[derive(Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Drive {
    fn new(contents: Vec<u8>, calls: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            cached: contents.clone(),
            synced: contents,
            unsynced: Vec::new(),
            calls_left: calls,
        })))
    }

    fn contents(&self) -> Vec<u8> {
        self.0.lock().unwrap().cached.clone()
    }

    /// What was synced, and any of the sectors that were not.
    fn after_power_loss(&self, chance: &mut Chance) -> Vec<u8> {
        let inner = self.0.lock().unwrap();
        let mut left = inner.synced.clone();
        for change in &inner.unsynced {
            match change {
                Change::Length(length) => left.resize(left.len().max(*length), 0),
                Change::Write(offset, data) => {
                    for (n, sector) in data.chunks(SECTOR).enumerate() {
                        if chance.below(2) == 0 {
                            write(&mut left, offset + n * SECTOR, sector);
                        }
                    }
                }
            }
        }
        left
    }

    fn call<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> io::Result<T> {
        let mut inner = self.0.lock().unwrap();
        let powerless = || io::Error::other("the power is out");
        inner.calls_left = inner.calls_left.checked_sub(1).ok_or_else(powerless)?;
        Ok(work(&mut inner))
    }
}

fn write(contents: &mut Vec<u8>, offset: usize, data: &[u8]) {
    contents.resize(contents.len().max(offset + data.len()), 0);
    contents[offset..offset + data.len()].copy_from_slice(data);
}

impl StorageBackend for Drive {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let inner = self.0.lock().unwrap();
        out.copy_from_slice(&inner.cached[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap();
        self.call(|inner| {
            inner.cached.resize(length, 0);
            inner.unsynced.push(Change::Length(length));
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call(|inner| {
            inner.synced = inner.cached.clone();
            inner.unsynced.clear();
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.call(|inner| {
            write(&mut inner.cached, offset, data);
            inner.unsynced.push(Change::Write(offset, data.to_vec()));
        })
    }
}
