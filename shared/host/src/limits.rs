//! `[limits]` of both programs: what a server says to its callers' patience, memory and number.

/// Declares a program's `Limits`: what every server of ours limits, with its own size of three of them, and what it alone
/// does, with its usual value.
///
/// A macro, because a flattened field would take the line and the known keys out of what is said of a wrong file.
#[macro_export]
macro_rules! limits {
    (
        $(#[$about:meta])*
        connections = $connections:expr,
        connections_per_address = $per_address:expr,
        bodies_mib = $bodies_mib:expr,
        $($(#[$more_about:meta])* $more:ident: $type:ty = $usual:expr,)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct Limits {
            /// How long the head of a request may take to come.
            pub(crate) head: $crate::config::Period,
            /// How long a body may take to come; of an import, a piece of it.
            pub(crate) body: $crate::config::Period,
            /// How long an answer may lie untaken.
            pub(crate) write: $crate::config::Period,
            /// How long a connection may be idle between two requests.
            pub(crate) idle: $crate::config::Period,
            /// Connections at once; further ones wait in the system's queue.
            pub(crate) connections: usize,
            /// Connections at once of one address that have not shown who they are.
            pub(crate) connections_per_address: usize,
            /// Calls that an address may make in a minute without showing who it is; then it is told to wait.
            pub(crate) failures_per_minute: u32,
            /// Memory for bodies that are on their way, in MiB; the first 16 KiB of each are free, more waits for room.
            pub(crate) bodies_mib: u32,
            $($(#[$more_about])* pub(crate) $more: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self {
                    head: $crate::config::Period::from_secs(10),
                    body: $crate::config::Period::from_secs(30),
                    write: $crate::config::Period::from_secs(30),
                    // One second more than browsers and pools keep.
                    idle: $crate::config::Period::from_secs(76),
                    connections: $connections,
                    connections_per_address: $per_address,
                    failures_per_minute: 20,
                    bodies_mib: $bodies_mib,
                    $($more: $usual,)*
                }
            }
        }

        impl Limits {
            /// How long a connection is waited for.
            pub(crate) fn patience(&self) -> $crate::pulse::Patience {
                $crate::pulse::Patience {
                    head: self.head.duration(),
                    quiet: self.idle.duration(),
                    write: self.write.duration(),
                }
            }
        }
    };
}
