//! How fast the embedded store writes and reads here: `cargo run --release -p store --example measure [DIRECTORY]`.
//!
//! Objects of 2 KiB. "Alone" is one writer that waits for each write; "together" is many that share commits.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use store::{Embedded, Operation, RangeQuery, Revision, Store, StoreError, Transaction};

const OBJECT_BYTES: usize = 2048;
const OBJECTS: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), StoreError> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let path = Path::new(&directory).join(format!("measure-{}.redb", std::process::id()));
    let store = Embedded::open(&path)?;
    let result = measure(&store).await;
    reopen(&path)?;
    store.close().await;
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    println!("file: {} MiB", size >> 20);
    let _ = std::fs::remove_file(&path);
    result
}

async fn measure(store: &Embedded) -> Result<(), StoreError> {
    write(store, 1, 2000, 1).await?;
    write(store, 1, 200, 64).await?;
    for writers in [8, 64, 256] {
        write(store, writers, OBJECTS / writers, 1).await?;
    }
    read(store).await?;
    replay(store).await
}

/// So many writers at once, each with so many transactions of so many objects.
async fn write(
    store: &Embedded,
    writers: usize,
    transactions: usize,
    objects: usize,
) -> Result<(), StoreError> {
    let start = Instant::now();
    let writer = async |writer: usize| {
        let mut times = Vec::with_capacity(transactions);
        for n in 0..transactions {
            let start = Instant::now();
            store
                .transact(transaction(writer * transactions + n, objects))
                .await?;
            times.push(start.elapsed());
        }
        Ok::<_, StoreError>(times)
    };
    let all = futures::future::try_join_all((0..writers).map(writer)).await?;
    let seconds = start.elapsed().as_secs_f64();
    let mut times = all.concat();
    times.sort_unstable();
    let count = writers * transactions * objects;
    println!(
        "{writers} writers x {objects} objects: {:.0} objects/s, p50 {:.2} ms, p99 {:.2} ms",
        count as f64 / seconds,
        milliseconds(times[times.len() / 2]),
        milliseconds(times[times.len() * 99 / 100]),
    );
    Ok(())
}

fn transaction(n: usize, objects: usize) -> Transaction {
    let put = |i: usize| Operation::Put {
        key: format!("/objects/{:05}", (n * objects + i) % OBJECTS).into(),
        value: Bytes::from(vec![b'x'; OBJECT_BYTES]),
    };
    Transaction {
        compares: Vec::new(),
        operations: (0..objects).map(put).collect(),
    }
}

async fn read(store: &Embedded) -> Result<(), StoreError> {
    let start = Instant::now();
    let found = store.range(RangeQuery::prefix("/objects/")).await?;
    println!(
        "list of {}: {:.2} ms",
        found.items.len(),
        milliseconds(start.elapsed())
    );
    let start = Instant::now();
    for pair in &found.items {
        store.get(pair.key.clone()).await?;
    }
    let rate = found.items.len() as f64 / start.elapsed().as_secs_f64();
    println!("get: {rate:.0} objects/s");
    Ok(())
}

/// A watcher that starts at the oldest revision that is kept.
async fn replay(store: &Embedded) -> Result<(), StoreError> {
    let until = store.revision().await?;
    let after = match store.watch(Bytes::new(), Revision(0)).await {
        Err(StoreError::Compacted { oldest, .. }) => oldest,
        _ => Revision(0),
    };
    let mut stream = store.watch(Bytes::new(), after).await?;
    let start = Instant::now();
    let mut events = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        events += batch.events.len();
        if batch.revision >= until {
            break;
        }
    }
    let rate = f64::from(u32::try_from(events).unwrap_or(u32::MAX)) / start.elapsed().as_secs_f64();
    println!("replay of {events}: {rate:.0} events/s");
    Ok(())
}

/// Opens what a crash would leave, which is the file as it is while it is in use.
fn reopen(path: &Path) -> Result<(), StoreError> {
    let copy = path.with_extension("copy");
    let copied = std::fs::copy(path, &copy);
    copied.map_err(|error| StoreError::Io {
        path: copy.display().to_string(),
        reason: error.to_string(),
    })?;
    let start = Instant::now();
    let opened = Embedded::open(&copy);
    println!(
        "open after a crash: {:.0} ms",
        milliseconds(start.elapsed())
    );
    let _ = std::fs::remove_file(&copy);
    opened.map(drop)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
