//! The queue's promises, in virtual time.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::Error;

async fn run_for(
    queue: &Queue<String>,
    time: Duration,
    sync: impl AsyncFn(String) -> Result<Again>,
) {
    let work = queue.work("test", 4, |key| sync(key));
    let _ = tokio::time::timeout(time, work).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_added_many_times_is_worked_on_once() {
    let queue = Queue::new(Duration::from_millis(5));
    for _ in 0..10 {
        queue.add("a".to_owned());
    }
    let runs = AtomicUsize::new(0);
    run_for(&queue, Duration::from_secs(1), async |_| {
        runs.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    })
    .await;
    assert_eq!(runs.into_inner(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_added_while_it_runs_is_worked_on_again_but_not_at_the_same_time() {
    let queue = Queue::new(Duration::from_millis(5));
    queue.add("a".to_owned());
    let (runs, at_once) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let again = queue.clone();
    run_for(&queue, Duration::from_secs(1), async |key| {
        assert_eq!(at_once.fetch_add(1, Ordering::Relaxed), 0);
        if runs.fetch_add(1, Ordering::Relaxed) == 0 {
            again.add(key);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        at_once.fetch_sub(1, Ordering::Relaxed);
        Ok(None)
    })
    .await;
    assert_eq!(runs.into_inner(), 2);
}

#[tokio::test(start_paused = true)]
async fn failures_wait_twice_as_long_each_time() {
    let queue = Queue::new(Duration::from_secs(1));
    queue.add("a".to_owned());
    let (start, times) = (Instant::now(), Mutex::new(Vec::new()));
    run_for(&queue, Duration::from_secs(10), async |_| {
        times
            .lock()
            .unwrap()
            .push((Instant::now() - start).as_secs());
        Err(Error::Retry("no".to_owned()))
    })
    .await;
    assert_eq!(times.into_inner().unwrap(), [0, 1, 3, 7]);
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_two_later_times_counts() {
    let queue = Queue::new(Duration::from_secs(1));
    queue.add_after("a".to_owned(), Duration::from_secs(5));
    queue.add_after("a".to_owned(), Duration::from_secs(2));
    queue.add_after("a".to_owned(), Duration::from_secs(3));
    let (start, times) = (Instant::now(), Mutex::new(Vec::new()));
    run_for(&queue, Duration::from_secs(10), async |_| {
        times
            .lock()
            .unwrap()
            .push((Instant::now() - start).as_secs());
        Ok(None)
    })
    .await;
    assert_eq!(times.into_inner().unwrap(), [2]);
}
