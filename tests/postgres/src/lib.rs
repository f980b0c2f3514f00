//! A real PostgreSQL server of a test's own: in a temporary directory, on a free port, under a user other than root.
#![forbid(unsafe_code)]
