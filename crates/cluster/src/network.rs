//! Carrying out the plan: namespaces, the bridge, a pair of links for each member and the host.
//! Whatever is there already stays, so the same steps complete what a killed launcher left.

use std::path::Path;

use futures::future::try_join_all;
use kernel::netlink::{Route, VethEnd};
use kernel::{NetNs, Netlink, sysctl};

use crate::error::Error;
use crate::journal::{Journal, Thing};
use crate::layout::{BRIDGE, Host, LINK, Lan, Layout, Member};
use crate::sysctls::Sysctl;

/// The loopback link's number in every namespace.
const LOOPBACK: u32 = 1;
/// The port of the host's link on the bridge.
const HOST_PORT: &str = "host";

/// A namespace that is there, and whether it was made just now.
struct Found {
    namespace: NetNs,
    fresh: bool,
}

/// The LAN, ready for members.
pub(crate) struct LanReady {
    netlink: Netlink,
    bridge: u32,
    /// Whether it was made just now: then nothing that runs can belong to it.
    pub(crate) fresh: bool,
}

/// Notes in the journal all that [`lan`], [`members`] and [`host`] make.
pub(crate) fn note(layout: &Layout, journal: &mut Journal) -> Result<(), Error> {
    journal.note(Thing::Cgroup(layout.cgroup.clone()))?;
    let members = layout.members.iter().map(|member| &member.namespace);
    for namespace in std::iter::once(&layout.lan.namespace).chain(members) {
        journal.note(Thing::Namespace(namespace.clone()))?;
    }
    journal.note(Thing::Link(layout.host.link.clone()))
}

/// Makes the namespace of the LAN and the bridge in it.
pub(crate) async fn lan(lan: &Lan) -> Result<LanReady, Error> {
    let found = namespace(&lan.namespace, &lan.sysctls).await?;
    let netlink = Netlink::in_namespace(&found.namespace)?;
    loopback_up(&netlink).await?;
    if netlink.find_link(BRIDGE).await?.is_none() {
        netlink.add_bridge(BRIDGE).await?;
    }
    let bridge = netlink.link(BRIDGE).await?.index;
    for address in &lan.addresses {
        netlink.set_address(bridge, *address).await?;
        let everything = kernel::netlink::everything(address.addr().is_ipv4());
        netlink.set_route(&Route::unreachable(everything)).await?;
    }
    Ok(LanReady {
        netlink,
        bridge,
        fresh: found.fresh,
    })
}

/// Makes every member, all at once. Returns the names of those whose namespace was made just now.
pub(crate) async fn members(ready: &LanReady, members: &[Member]) -> Result<Vec<String>, Error> {
    let made = members.iter().map(|one| async move {
        let fresh = member(ready, one).await?;
        Ok::<_, Error>(fresh.then(|| one.name.clone()))
    });
    Ok(try_join_all(made).await?.into_iter().flatten().collect())
}

/// Makes one member. Says whether its namespace was made just now.
pub(crate) async fn member(ready: &LanReady, member: &Member) -> Result<bool, Error> {
    let found = namespace(&member.namespace, &member.sysctls).await?;
    let netlink = Netlink::in_namespace(&found.namespace)?;
    loopback_up(&netlink).await?;
    if found.fresh || netlink.find_link(LINK).await?.is_none() {
        let far = VethEnd {
            mac: Some(member.mac),
            ..VethEnd::named(LINK)
        };
        join(ready, &member.port, &far, &found.namespace).await?;
    }
    let link = netlink.link(LINK).await?.index;
    netlink.set_up(link, true).await?;
    for address in &member.addresses {
        netlink.set_address(link, *address).await?;
    }
    for range in &member.on_link {
        netlink.set_route(&Route::on_link(*range, link)).await?;
    }
    for router in &member.routers {
        netlink
            .set_route(&Route::default_via(*router, link))
            .await?;
    }
    Ok(found.fresh)
}

/// Makes the host's link to the LAN, in the namespace that the launcher runs in.
pub(crate) async fn host(ready: &LanReady, here: &Netlink, host: &Host) -> Result<(), Error> {
    if ready.fresh || here.find_link(&host.link).await?.is_none() {
        // One from before leads to a LAN that is gone.
        here.delete_link(&host.link).await?;
        let far = VethEnd {
            mac: Some(host.mac),
            ..VethEnd::named(&host.link)
        };
        join(ready, HOST_PORT, &far, &NetNs::current()?).await?;
    }
    // A host may have IPv6 switched off for new links; this one is ours.
    for setting in ["disable_ipv6", "accept_ra", "accept_dad"] {
        sysctl::set(&format!("net/ipv6/conf/{}/{setting}", host.link), "0").ok();
    }
    let link = here.link(&host.link).await?.index;
    here.set_up(link, true).await?;
    for address in &host.addresses {
        here.set_address(link, *address).await?;
    }
    for range in &host.on_link {
        here.set_route(&Route::on_link(*range, link)).await?;
    }
    Ok(())
}

/// Takes the loopback up, which a host that is itself a namespace may not have done.
pub(crate) async fn loopback_up(netlink: &Netlink) -> Result<(), Error> {
    Ok(netlink.set_up(LOOPBACK, true).await?)
}

/// Puts a port on the bridge whose other end is `far` inside `namespace`.
async fn join(ready: &LanReady, port: &str, far: &VethEnd, namespace: &NetNs) -> Result<(), Error> {
    // A port from before leads to a namespace that is gone.
    ready.netlink.delete_link(port).await?;
    let near = VethEnd {
        bridge: Some(ready.bridge),
        ..VethEnd::named(port)
    };
    Ok(ready.netlink.add_veth(&near, far, namespace).await?)
}

/// Opens the namespace at `path`, or makes it with its settings. Making one takes milliseconds in
/// the kernel, so it does not hold up the runtime.
async fn namespace(path: &Path, sysctls: &[Sysctl]) -> Result<Found, Error> {
    let (path, sysctls) = (path.to_owned(), sysctls.to_owned());
    let made = tokio::task::spawn_blocking(move || {
        if is_mounted(&path) {
            return Ok(Found {
                namespace: NetNs::open(&path)?,
                fresh: false,
            });
        }
        // A file without its mount is left of a reboot or of a launcher killed in between.
        NetNs::delete(&path)?;
        let namespace = NetNs::create(&path)?;
        sysctl::set_in(&namespace, &sysctls)?;
        Ok(Found {
            namespace,
            fresh: true,
        })
    });
    made.await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Whether something is mounted right at `path`.
pub(crate) fn is_mounted(path: &Path) -> bool {
    kernel::mount::below(path).is_ok_and(|points| points.iter().any(|point| point == path))
}
