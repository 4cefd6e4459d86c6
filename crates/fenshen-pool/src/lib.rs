//! Supervised worker processes: how they come to be, live and die.
//!
//! | what | file | after |
//! |---|---|---|
