//! A port of loopback for a program that has to be told where to listen, before it listens there.
//!
//! A port that the kernel gave and that was closed again is the next one that it may give to anybody: to a
//! server of the same test that asks for any port, or to the near end of a connection. So ports come from
//! below the range from which the kernel gives any, and each is reserved while the process that asked for it
//! lives. The reservation is a name in the abstract namespace of Unix sockets, which every process of this
//! network sees and which leaves nothing behind.

use std::{
    io,
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::Mutex,
};

/// The lowest port that is given: below it live the services that everybody knows.
const LOWEST: u16 = 10_000;
/// Where the kernel's own range begins if it does not say so.
const KERNELS: u16 = 32_768;
/// Processes that ask at the same time begin to look far from each other.
const STRIDE: u32 = 7_919;

/// Kept as long as the process lives.
static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that nobody listens on, and that nobody else gets from here while this process lives.
///
/// # Errors
/// When all are taken.
pub fn free_port() -> io::Result<u16> {
    let end = kernels_lowest().unwrap_or(KERNELS).max(LOWEST + 1_000);
    let span = u32::from(end - LOWEST);
    let first = std::process::id().wrapping_mul(STRIDE) % span;
    let ports = (0..span).filter_map(|step| u16::try_from((first + step) % span).ok());
    for port in ports.map(|offset| LOWEST + offset) {
        if let Some(reservation) = reserve(port)? {
            RESERVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(reservation);
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "every port for tests is taken"))
}

/// The same as an address to listen on.
///
/// # Errors
/// When all are taken.
pub fn free_address() -> io::Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}

/// `None` when the port is taken.
fn reserve(port: u16) -> io::Result<Option<UnixListener>> {
    let name = SocketAddr::from_abstract_name(format!("sandpit-port-{port}"))?;
    let reservation = match UnixListener::bind_addr(&name) {
        Ok(reservation) => reservation,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
        Err(error) => return Err(error),
    };
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(Some(reservation)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lowest port that the kernel gives to whoever asks for any.
fn kernels_lowest() -> Option<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_is_given_once_and_never_one_of_the_kernels() {
        let ports: BTreeSet<u16> = (0..200).map(|_| free_port().expect("a port")).collect();
        assert_eq!(ports.len(), 200);
        let lowest = kernels_lowest().unwrap_or(KERNELS);
        assert!(ports.iter().all(|port| (LOWEST..lowest).contains(port)), "{ports:?}");
        let any = TcpListener::bind("127.0.0.1:0").and_then(|any| any.local_addr()).expect("any port");
        assert!(any.port() >= lowest, "{any}");
    }

    #[test]
    fn what_somebody_listens_on_or_has_reserved_is_not_given() {
        let port = free_port().expect("a port");
        assert!(reserve(port).expect("answers").is_none(), "it is reserved");
        let taken = TcpListener::bind("127.0.0.1:0").expect("any port");
        let port = taken.local_addr().expect("an address").port();
        assert!(reserve(port).expect("answers").is_none(), "somebody listens");
        drop(taken);
        assert!(reserve(port).expect("answers").is_some(), "nobody does any more");
    }
}
