//! The crash suite: the real host dies at random and at named points, and nothing is lost or doubled.
#![forbid(unsafe_code)]
