//! Which addresses a webhook may have. Only whoever has the hub's data folder adds one, and still: a receiver is outside, so what
//! answers inside (this machine, the provider's metadata, a router) is not for it unless an admin says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Why an address is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// It cannot be read.
    #[error("a webhook's address is such as https://hooks.example/services/…")]
    Form,
    /// It is not safe on the way.
    #[error(
        "a webhook's address begins with https://; http:// goes to this machine only (127.0.0.1, localhost)"
    )]
    Scheme,
    /// A name and a password in it would stand in logs of others.
    #[error("a webhook's address holds no user and no password")]
    User,
    /// It leads inside.
    #[error("this address is inside; say --internal where a receiver of your own network is meant")]
    Inside,
    /// Nobody receives there.
    #[error("this address is for no receiver")]
    Never,
}

/// The address, if it may be one.
pub(crate) fn checked(text: &str, internal: bool) -> Result<Url, AddressError> {
    let url = Url::parse(text.trim()).map_err(|_| AddressError::Form)?;
    let host = url.host_str().ok_or(AddressError::Form)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::User);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip: Option<IpAddr> = bare.parse().ok();
    let is_this_machine = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
    match url.scheme() {
        "http" if is_this_machine => return Ok(url),
        "https" => {}
        _ => return Err(AddressError::Scheme),
    }
    if is_this_machine && !internal {
        return Err(AddressError::Inside);
    }
    if let Some(ip) = ip {
        may_reach(ip, internal)?;
    }
    Ok(url)
}

/// Whether a receiver may be at an address that its name led to. Asked for each connection: a name may lead elsewhere tomorrow.
pub(crate) fn may_reach(ip: IpAddr, internal: bool) -> Result<(), AddressError> {
    let ip = match ip {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    };
    let (is_never, is_inside) = match ip {
        IpAddr::V4(four) => of_v4(four),
        IpAddr::V6(six) => of_v6(six),
    };
    if is_never {
        return Err(AddressError::Never);
    }
    if is_inside && !internal {
        return Err(AddressError::Inside);
    }
    Ok(())
}

/// Whether it is for nobody, and whether it is inside.
fn of_v4(ip: Ipv4Addr) -> (bool, bool) {
    let [a, b, ..] = ip.octets();
    // 169.254.169.254 gives a provider's machine its keys.
    let is_never = ip.is_unspecified()
        || ip.is_broadcast()
        || ip.is_multicast()
        || ip.is_link_local()
        || a == 0
        || a >= 240;
    // Shared by a provider's customers (100.64/10), for benches (198.18/15), for protocols (192.0.0/24).
    let is_shared = (a == 100 && (64..128).contains(&b)) || (a == 198 && (18..20).contains(&b));
    let is_protocol = ip.octets().starts_with(&[192, 0, 0]);
    (
        is_never,
        ip.is_loopback() || ip.is_private() || is_shared || is_protocol,
    )
}

fn of_v6(ip: Ipv6Addr) -> (bool, bool) {
    let [first, second, ..] = ip.segments();
    let is_link_local = first & 0xffc0 == 0xfe80;
    let is_unique_local = first & 0xfe00 == 0xfc00;
    // These carry an address of the old kind in them: 6to4, Teredo, NAT64, and the old mapped form.
    let is_carrier = first == 0x2002
        || (first == 0x2001 && second == 0)
        || (first == 0x64 && second == 0xff9b)
        || ip.segments().starts_with(&[0, 0, 0, 0, 0, 0])
            && !ip.is_loopback()
            && !ip.is_unspecified();
    (
        ip.is_unspecified() || ip.is_multicast() || is_link_local || is_carrier,
        ip.is_loopback() || is_unique_local,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Option<AddressError> {
        checked(text, false).err()
    }

    #[test]
    fn https_goes_outside_and_http_to_this_machine_only() {
        for good in [
            "https://hooks.slack.com/services/T0/B0/x",
            "https://203.0.113.7:8443/hook",
            "http://127.0.0.1:9000/",
            "http://localhost:9000/x",
            "http://[::1]:9000",
        ] {
            assert_eq!(refused(good), None, "{good}");
        }
        for bad in [
            "http://hooks.example/",
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "http://10.0.0.1/",
        ] {
            assert_eq!(
                refused(bad),
                Some(if bad.starts_with("file") {
                    AddressError::Form
                } else {
                    AddressError::Scheme
                }),
                "{bad}"
            );
        }
        assert_eq!(refused("hooks.example"), Some(AddressError::Form));
        assert_eq!(
            refused("https://me:pass@hooks.example/"),
            Some(AddressError::User)
        );
    }

    #[test]
    fn what_is_inside_is_reached_by_name_only_and_some_of_it_never() {
        for inside in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://172.16.0.1/",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://[::ffff:10.0.0.1]/",
            // Other ways to write 127.0.0.1.
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            assert_eq!(refused(inside), Some(AddressError::Inside), "{inside}");
            assert!(checked(inside, true).is_ok(), "{inside}");
        }
        for never in [
            "https://169.254.169.254/latest/meta-data",
            "https://0.0.0.0/",
            "https://255.255.255.255/",
            "https://224.0.0.1/",
            "https://[fe80::1]/",
            "https://[ff02::1]/",
            "https://[::]/",
            "https://[64:ff9b::a00:1]/",
            "https://[::ffff:169.254.169.254]/",
        ] {
            assert!(checked(never, true).is_err(), "{never}");
        }
    }
}
