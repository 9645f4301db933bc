//! Elements of maps and sets against the real nf_tables, in a namespace of the test's own (root).
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot set up its case fails"
)]

use std::time::{Duration, Instant};

use kernel::NetNs;
use kernel::nft::{self, Data, Element, Elements, Operation, WriteLock};

const TABLE: &str = "table inet try {
    map to { type ipv4_addr . inet_service : verdict; }
    map slots { type mark : ipv4_addr; }
    set ranges { type inet_service . ipv4_addr; flags interval; }
    chain n1 { }
    chain n2 { }
}";

/// Runs a test inside a namespace that nothing leads out of and that ends with it.
fn in_namespace<T: Send>(work: impl FnOnce(Elements) -> T + Send) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nft");
    let namespace = NetNs::create(&path).unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        namespace
            .run(|| {
                nft::load(TABLE).unwrap();
                work(Elements::open(nft::INET, "try").unwrap())
            })
            .unwrap()
    }));
    NetNs::delete(&path).unwrap();
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn element(number: u32, data: Data) -> Element {
    let mut key = number.to_be_bytes().to_vec();
    key.extend([0, 80, 0, 0]);
    Element {
        key,
        key_end: None,
        data,
    }
}

fn add(set: &'static str, element: Element) -> Operation {
    Operation::Add {
        set: set.into(),
        element,
    }
}

fn delete(set: &'static str, element: Element) -> Operation {
    Operation::Delete {
        set: set.into(),
        element,
    }
}

#[test]
fn what_is_added_is_read_back() {
    in_namespace(|mut elements| {
        let one = element(1, Data::Goto("n1".into()));
        let two = element(2, Data::Drop);
        let value = Element {
            key: vec![1, 0, 0, 0],
            key_end: None,
            data: Data::Value(vec![10; 4]),
        };
        let range = Element {
            key: vec![0, 80, 0, 0, 10, 0, 0, 0],
            key_end: Some(vec![0, 80, 0, 0, 10, 255, 255, 255]),
            data: Data::None,
        };
        let operations = [
            add("to", one.clone()),
            add("to", two.clone()),
            add("slots", value.clone()),
            add("ranges", range.clone()),
        ];
        assert_eq!(elements.commit(&operations).unwrap(), 1);
        let mut read = elements.dump("to").unwrap();
        read.sort();
        assert_eq!(read, [one, two]);
        assert_eq!(elements.dump("slots").unwrap(), [value]);
        assert_eq!(elements.dump("ranges").unwrap(), [range]);
    });
}

#[test]
fn an_element_is_replaced_within_one_transaction() {
    in_namespace(|mut elements| {
        let before = element(1, Data::Goto("n1".into()));
        let after = element(1, Data::Goto("n2".into()));
        elements.commit(&[add("to", before.clone())]).unwrap();
        elements
            .commit(&[delete("to", before), add("to", after.clone())])
            .unwrap();
        assert_eq!(elements.dump("to").unwrap(), [after]);
    });
}

#[test]
fn a_refused_transaction_names_the_map_and_does_nothing() {
    in_namespace(|mut elements| {
        let operations = [
            add(
                "slots",
                Element {
                    key: vec![1; 4],
                    key_end: None,
                    data: Data::Value(vec![1; 4]),
                },
            ),
            delete("to", element(9, Data::None)),
        ];
        let error = elements.commit(&operations).unwrap_err().to_string();
        assert!(
            error.contains("delete an element of to in nft table try"),
            "{error}"
        );
        assert_eq!(elements.dump("slots").unwrap(), []);
    });
}

#[test]
fn a_big_load_is_split_and_complete() {
    in_namespace(|mut elements| {
        let operations: Vec<Operation> = (0..400_000)
            .map(|number| add("to", element(number, Data::Goto("n1".into()))))
            .collect();
        assert!(elements.commit(&operations).unwrap() > 1);
        assert_eq!(elements.dump("to").unwrap().len(), 400_000);
    });
}

#[test]
fn tables_and_chains_are_found_by_name() {
    in_namespace(|mut elements| {
        assert!(elements.table_exists().unwrap());
        assert!(elements.chain_exists("n2").unwrap());
        assert!(!elements.chain_exists("n3").unwrap());
        assert!(
            !Elements::open(nft::INET, "other")
                .unwrap()
                .table_exists()
                .unwrap()
        );
    });
}

#[test]
fn a_table_has_one_writer_at_a_time() {
    in_namespace(|_| {
        let lock = WriteLock::take("try").unwrap();
        WriteLock::take("other").unwrap();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| {
                WriteLock::take("try").unwrap();
                begun.elapsed()
            });
            std::thread::sleep(Duration::from_millis(100));
            drop(lock);
            assert!(next.join().unwrap() >= Duration::from_millis(100));
        });
    });
}

#[test]
fn a_program_that_outlives_its_writer_keeps_the_lock() {
    in_namespace(|_| {
        let lock = WriteLock::take("try").unwrap();
        let mut program = std::process::Command::new("sleep");
        let mut program = lock.pass_to(program.arg("0.3")).unwrap().spawn().unwrap();
        drop(lock);
        let begun = Instant::now();
        WriteLock::take("try").unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(100));
        assert!(program.wait().unwrap().success());
    });
}
