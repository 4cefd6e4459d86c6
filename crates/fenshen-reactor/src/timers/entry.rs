use super::key::Key;

/// A deadline and what is due then.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    pub(super) key: Key,
    pub(super) value: T,
}
