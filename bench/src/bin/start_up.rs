//! From `fairway up` to the first answer over a load balancer's address, and the memory of all processes.

use std::time::{Duration, Instant};

use bench::memory;
use e2e::{Host, Product, workload};

/// How often it is measured.
const ROUNDS: usize = 5;
/// The limits, and where they are to go.
const TIME: (u128, u128) = (2_000, 1_000);
const MEMORY: (u64, u64) = (150, 100);

fn main() {
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let host = Host::new();
        let product = Product::new(&host, "data");
        let began = Instant::now();
        product.up(&["--nodes", "3"]);
        let up = began.elapsed();
        product.apply(&workload::web(1, "1", ""));
        let applied = began.elapsed();
        let address = workload::address(&product);
        let addressed = began.elapsed();
        let client = product.member("client");
        product.until("the first answer", || {
            let asked = client.run(|| e2e::load::ask((address, 80).into()));
            asked.is_ok_and(|answer| answer.is_ok())
        });
        let answered = began.elapsed();
        println!(
            "round {round}: up {} ms, applied {} ms, address seen {} ms, first answer {} ms",
            up.as_millis(),
            applied.as_millis(),
            addressed.as_millis(),
            answered.as_millis()
        );
        times.push(answered.as_millis());
        if round == ROUNDS {
            // What the start itself needed is given back by then.
            std::thread::sleep(Duration::from_secs(5));
            print_memory(&product);
        }
        product.run(&["down"]);
    }
    times.sort_unstable();
    println!(
        "first answer: best {} ms, median {} ms; limit {} ms, then {} ms",
        times[0],
        times[times.len() / 2],
        TIME.0,
        TIME.1
    );
}

fn print_memory(product: &Product<'_>) {
    println!(
        "\n{:<28} {:>9} {:>8} {:>10} {:>10}",
        "process", "number", "threads", "PSS KiB", "anonymous"
    );
    let mut all = memory::Memory::default();
    for (kind, (number, memory)) in memory::of(product) {
        println!(
            "{kind:<28} {number:>9} {:>8} {:>10} {:>10}",
            memory.threads, memory.total, memory.anonymous
        );
        all += memory;
    }
    println!(
        "{:<28} {:>9} {:>8} {:>10} {:>10}\ntogether {} MiB; limit {} MB, then {} MB\n",
        "together",
        "",
        all.threads,
        all.total,
        all.anonymous,
        all.total / 1024,
        MEMORY.0,
        MEMORY.1
    );
}
