//! A client that keeps sending requests notices nothing of what an administrator does all day.

use e2e::load::Load;
use e2e::workload::{self, settled, web};
use e2e::{Host, Product};

#[test]
fn no_request_fails_while_pods_are_scaled_replaced_and_the_control_plane_restarts() {
    let host = Host::new();
    let product = Product::new(&host, "data");
    // No node is taken for lost on a machine that is busy with other tests.
    product.up(&["--nodes", "2", "--node-monitor-grace-period", "60s"]);
    product.apply(&web(1, "1", ""));
    settled(&product, 1);
    let address = workload::address(&product);
    product.answer("client", address, 80);

    let load = Load::start(
        &product.member("client"),
        (address, 80).into(),
        50,
        "scale from 1 to 5",
    );
    product.apply(&web(5, "1", ""));
    settled(&product, 5);
    load.phase("scale from 5 to 2");
    product.apply(&web(2, "1", ""));
    settled(&product, 2);
    load.phase("rolling update");
    product.apply(&web(2, "2", ""));
    settled(&product, 2);
    load.phase("the API server is killed, and pods are replaced as soon as it is back");
    let server = product.role("server").unwrap();
    kernel::Pidfd::open(server)
        .unwrap()
        .signal(nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    product.until("it is back", || {
        product.role("server").is_some_and(|pid| pid != server)
            && product.says(&["get", "services"]).ok()
    });
    product.apply(&web(2, "3", ""));
    settled(&product, 2);
    let phases = load.finish();
    let text: Vec<String> = phases.iter().map(ToString::to_string).collect();
    assert!(
        phases
            .iter()
            .all(|phase| phase.sent > 0 && phase.failures() == 0),
        "{}{}",
        text.join("\n"),
        product.logs()
    );
    product.run(&["down"]);
}
