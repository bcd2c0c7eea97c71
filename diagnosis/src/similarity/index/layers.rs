//! What stands, and what stood before.

/// Whether an entry stands or was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// It is the latest of its incident, which keeps its place.
    Standing,
    /// Another one has its place. The entries of this layer are in the order in which they ended.
    Ended,
}

impl Layer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Standing, Self::Ended];
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Whether it stands.
    pub layer: Layer,
    /// Its place there.
    pub place: u32,
}

impl Entry {
    /// At a place of a layer.
    pub fn new(layer: Layer, place: usize) -> Self {
        Self { layer, place: u32::try_from(place).expect("fewer entries than memory holds") }
    }
}

/// Something of each entry.
#[derive(Debug)]
pub struct Layers<T>([Vec<T>; 2]);

impl<T> Default for Layers<T> {
    fn default() -> Self {
        Self([Vec::new(), Vec::new()])
    }
}

impl<T> Layers<T> {
    /// An entry stands at `place` from now on, which is the next one or that of an entry that ends.
    pub fn put(&mut self, place: usize, new: T) {
        let [standing, ended] = &mut self.0;
        match standing.get_mut(place) {
            Some(standing) => ended.push(std::mem::replace(standing, new)),
            None => standing.push(new),
        }
    }

    /// All of a layer, by place.
    pub fn all(&self, layer: Layer) -> &[T] {
        &self.0[layer as usize]
    }

    /// What an entry has.
    pub fn get(&self, entry: Entry) -> &T {
        &self.all(entry.layer)[entry.place as usize]
    }

    /// What the entry has that stands at a place.
    pub fn standing_mut(&mut self, place: usize) -> Option<&mut T> {
        self.0[Layer::Standing as usize].get_mut(place)
    }
}
