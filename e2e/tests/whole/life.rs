//! A cluster's life: it starts, answers, loses every process and its run directory, comes back each time
//! with the same addresses, and ends without a trace.

use std::net::IpAddr;
use std::process::Command;

use e2e::load::Load;
use e2e::traces::Traces;
use e2e::{Host, Product};
use kernel::command::CommandSteps as _;

/// The addresses of `examples/litellm.yaml`.
const OPTIONS: [&str; 8] = [
    "--nodes",
    "2",
    "--service-cidr",
    "11.254.0.0/16",
    "--load-balancer-pool",
    "172.24.131.0/24",
    "--node-port-range",
    "30000-50000",
];
const EXTERNAL: (&str, u16) = ("172.24.131.55", 5000);
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/litellm.yaml");

#[test]
fn a_cluster_answers_after_every_loss_with_the_same_addresses_and_ends_without_a_trace() {
    let host = Host::new();
    // As hosts with Docker or a firewall have it.
    let drops = "add table inet firewall; add chain inet firewall forward { type filter hook forward priority 0; policy drop; }";
    let mut nft = Command::new("nft");
    assert!(
        nft.arg(drops)
            .in_namespace(host.namespace())
            .status()
            .unwrap()
            .success()
    );
    let product = Product::new(&host, "data");
    let before = Traces::of(&host, product.place());

    product.up(&OPTIONS);
    product.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: litellm}\n");
    product.run(&["apply", "-n", "litellm", "-f", EXAMPLE]);
    both_paths_answer(&product);
    the_table_is_as_kubectl_has_it(&product);
    status_says_that_all_is_ready(&product);
    let services = services(&product);

    traffic_goes_on_while_the_control_plane_is_away(&product);
    let launcher = product.launcher();
    kernel::Pidfd::open(launcher.unwrap())
        .unwrap()
        .signal(nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    let roles = ["server", "balancer", "node-1", "node-2"].map(|role| product.role(role));
    product.up(&OPTIONS);
    assert_ne!(product.launcher(), launcher);
    assert_eq!(
        ["server", "balancer", "node-1", "node-2"].map(|role| product.role(role)),
        roles
    );

    product.kill_everything();
    assert!(product.processes().is_empty());
    product.up(&OPTIONS);
    both_paths_answer(&product);

    product.kill_everything();
    lose_the_run_directory(&product);
    product.up(&OPTIONS);
    both_paths_answer(&product);
    assert_eq!(self::services(&product), services);

    product.run(&["down", "--keep-data"]);
    let kept = Traces::of(&host, product.place());
    assert!(product.place().data_dir().join("store.redb").exists());
    assert_eq!(kept.without_data(product.place()), before);
    product.up(&OPTIONS);
    both_paths_answer(&product);
    assert_eq!(self::services(&product), services);

    product.kill_everything();
    product.run(&["down"]);
    assert_eq!(Traces::of(&host, product.place()), before);
}

/// Path 1 by the load balancer, path 2 by every node, and the cluster address from a node.
fn both_paths_answer(product: &Product<'_>) {
    let dial = |member: &str, address: &str, port: u16| {
        let answer = product.answer(member, address.parse::<IpAddr>().unwrap(), port);
        assert!(answer.starts_with("pod=litellm-cu-deployment-"), "{answer}");
    };
    dial("client", EXTERNAL.0, EXTERNAL.1);
    for node in ["198.18.0.11", "198.18.0.12"] {
        dial("client", node, 36181);
        dial("client", node, 46194);
    }
    for node in ["node-1", "node-2"] {
        dial(node, "11.254.91.143", 80);
    }
    // The user's own shell, on the host itself.
    product.until("the host reaches the load balancer's address", || {
        let url = format!("http://{}:{}/", EXTERNAL.0, EXTERNAL.1);
        let curl =
            e2e::product::said(&mut product.command("curl", &["-sS", "--max-time", "5", &url]));
        curl.ok() && curl.out.starts_with("pod=")
    });
}

fn the_table_is_as_kubectl_has_it(product: &Product<'_>) {
    let wanted = [
        "NAME                                        READY   STATUS    RESTARTS   AGE",
        r"pod/litellm-cu-deployment-[a-z0-9]{8,10}-[a-z0-9]{5}   1/1     Running   0          \d+m?s",
        "",
        "NAME                                     TYPE           CLUSTER-IP       EXTERNAL-IP     PORT(S)          AGE",
        r"service/litellm-cu-deployment-opsagent   LoadBalancer   11\.254\.169\.175   172\.24\.131\.55   5000:36181/TCP   \d+s",
        r"service/litellm-cu-service               NodePort       11\.254\.91\.143    <none>          80:46194/TCP     \d+s",
        "",
        "NAME                                    READY   UP-TO-DATE   AVAILABLE   AGE",
        r"deployment\.apps/litellm-cu-deployment   1/1     1            1           \d+s",
        "",
        r"NAME                                               DESIRED   CURRENT   READY   AGE",
        r"replicaset\.apps/litellm-cu-deployment-[a-z0-9]{8,10}   1         1         1       \d+s",
    ];
    // The width of a column follows the length of the hash in a name, so blanks count by runs there.
    let squeezed = |text: &str| {
        text.split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let table = product.run(&["get", "all", "-n", "litellm"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), wanted.len(), "{table}");
    for (line, wanted) in lines.iter().zip(wanted) {
        let header = wanted.starts_with("NAME");
        let fits = if wanted.contains(r"\d+") {
            regex::Regex::new(&format!("^{}$", squeezed(wanted)))
                .unwrap()
                .is_match(&squeezed(line))
        } else {
            squeezed(line) == squeezed(wanted)
        };
        assert!(fits, "{line}\nis not\n{wanted}\nin\n{table}");
        assert!(!header || line.starts_with("NAME   "), "{line}");
    }
    // The Services' names are fixed, so their part is the same to the column.
    assert_eq!(lines[3], wanted[3]);
}

fn status_says_that_all_is_ready(product: &Product<'_>) {
    let status = product.run(&["status"]);
    for role in ["server", "balancer", "node-1", "node-2"] {
        let line = status.lines().find(|line| line.starts_with(role));
        assert!(line.is_some_and(|line| line.contains("ready")), "{status}");
    }
}

/// What must not change while Services live: all of their specs, and the load balancer's address.
fn services(product: &Product<'_>) -> Vec<String> {
    let said = product.run(&["get", "services", "-n", "litellm", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&said).unwrap();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    items
        .iter()
        .map(|item| format!("{} {}", item["spec"], item["status"]))
        .collect()
}

fn traffic_goes_on_while_the_control_plane_is_away(product: &Product<'_>) {
    let address = (EXTERNAL.0.parse::<IpAddr>().unwrap(), EXTERNAL.1);
    let load = Load::start(
        &product.member("client"),
        address.into(),
        50,
        "control plane killed",
    );
    let server = product.role("server").unwrap();
    kernel::Pidfd::open(server)
        .unwrap()
        .signal(nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    product.until("the API server is back by itself", || {
        product.role("server").is_some_and(|pid| pid != server)
            && product.says(&["get", "services"]).ok()
    });
    let phases = load.finish();
    assert!(
        phases[0].sent > 0 && phases[0].failures() == 0,
        "{}",
        phases[0]
    );
}

/// What a reboot does to `/run`.
fn lose_the_run_directory(product: &Product<'_>) {
    let run_dir = product.place().run_dir();
    for point in kernel::mount::below(&run_dir).unwrap() {
        kernel::mount::unmount(&point).unwrap();
    }
    std::fs::remove_dir_all(run_dir).unwrap();
}
