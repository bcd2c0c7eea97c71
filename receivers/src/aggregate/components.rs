//! Who is who: components by name, and the resources that telemetry comes from.

mod identity;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use ahash::AHashMap;
use events::ComponentName;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::dropped::Reason;
use super::settings::{Limits, Settings};
use super::window::Number;
use crate::otlp::attributes;
use identity::Identity;
pub use identity::printable;
pub use versions::Versions;

/// A component's number in this process.
pub type ComponentNo = u32;
/// A resource's number in this process, until it is forgotten: then another may have it.
pub type ResourceNo = u32;

/// How a component came to be known, from what it is told by later to what it is told by first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It sends telemetry.
    Service,
    /// A database that its clients name.
    Database,
    /// A queue or topic that its producers and consumers name.
    Queue,
    /// A callee that its callers name, without telemetry of its own.
    External,
}

impl Kind {
    /// As a description tells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Database => "database",
            Self::Queue => "queue",
            Self::External => "external",
        }
    }
}

/// One component.
#[derive(Debug)]
pub struct Component {
    pub name: ComponentName,
    pub kind: Kind,
    /// The first window that it was seen in.
    pub first: Number,
    /// Where it runs, by attribute: at most a few values each.
    pub placement: BTreeMap<&'static str, BTreeSet<String>>,
    /// Whether it was told, and with which placement.
    pub told: Option<(Kind, usize)>,
    pub versions: Versions,
    /// The last window with requests.
    pub last_traffic: Option<Number>,
    /// The last window with requests that spans tell of.
    pub last_spans: Option<Number>,
}

/// A place that telemetry comes from: one process, or one container.
#[derive(Debug)]
pub struct Place {
    pub component: ComponentNo,
    /// What the resource says of itself, as a hash: the same when it comes back.
    pub hash: u64,
    pub version: Option<Box<str>>,
    placement: Vec<(&'static str, String)>,
    last: Number,
}

/// All components and resources that are known.
#[derive(Debug)]
pub struct Components {
    qualify: bool,
    limits: Limits,
    list: Vec<Component>,
    inferred: usize,
    by_name: AHashMap<ComponentName, ComponentNo>,
    /// Those that send telemetry, by `service.name` alone; `None` where several have it.
    by_service: AHashMap<String, Option<ComponentNo>>,
    places: AHashMap<u64, ResourceNo>,
    place_list: Vec<Option<Place>>,
    free: Vec<ResourceNo>,
}

/// Most values of one attribute that a description lists: a component of a thousand pods is on
/// many nodes.
const MOST_VALUES: usize = 20;
/// Windows for which a resource that is silent is remembered when there is no room.
const REMEMBERED: i64 = 60;

impl Components {
    pub fn new(settings: &Settings) -> Self {
        Self {
            qualify: settings.qualify_names,
            limits: settings.limits.clone(),
            list: Vec::new(),
            inferred: 0,
            by_name: AHashMap::new(),
            by_service: AHashMap::new(),
            places: AHashMap::new(),
            place_list: Vec::new(),
            free: Vec::new(),
        }
    }

    pub fn get(&self, number: ComponentNo) -> &Component {
        &self.list[number as usize]
    }

    pub fn get_mut(&mut self, number: ComponentNo) -> &mut Component {
        &mut self.list[number as usize]
    }

    pub fn numbers(&self) -> std::ops::Range<ComponentNo> {
        0..u32::try_from(self.list.len()).expect("far fewer components are accepted")
    }

    pub fn place(&self, number: ResourceNo) -> Option<&Place> {
        self.place_list.get(number as usize)?.as_ref()
    }

    /// The component of that name, made known if need be.
    pub fn named(
        &mut self,
        name: &ComponentName,
        kind: Kind,
        seen: Number,
    ) -> Result<ComponentNo, Reason> {
        if let Some(number) = self.by_name.get(name) {
            let known = &mut self.list[*number as usize];
            known.kind = known.kind.min(kind);
            known.first = known.first.min(seen);
            return Ok(*number);
        }
        if self.list.len() >= self.limits.components {
            return Err(Reason::TooManyComponents);
        }
        let number = u32::try_from(self.list.len()).map_err(|_| Reason::TooManyComponents)?;
        self.by_name.insert(name.clone(), number);
        self.list.push(Component {
            name: name.clone(),
            kind,
            first: seen,
            placement: BTreeMap::new(),
            told: None,
            versions: Versions::default(),
            last_traffic: None,
            last_spans: None,
        });
        Ok(number)
    }

    /// As [`Self::named`], for a component that only its callers tell of. Such names may be made
    /// up without end, so they have half of the room, and never that of who sends telemetry.
    pub fn inferred(
        &mut self,
        name: &ComponentName,
        kind: Kind,
        seen: Number,
    ) -> Result<ComponentNo, Reason> {
        if !self.by_name.contains_key(name) {
            if self.inferred >= self.limits.components / 2 {
                return Err(Reason::TooManyComponents);
            }
            self.inferred += 1;
        }
        self.named(name, kind, seen)
    }

    /// The component that sends telemetry under that `service.name`, if it is one only, and was
    /// seen by then.
    pub fn service(&self, name: &str, by: Number) -> Option<ComponentNo> {
        let number = self.by_service.get(name).copied().flatten()?;
        (self.get(number).first <= by).then_some(number)
    }

    /// The place that a resource is, and its component.
    pub fn resource(
        &mut self,
        resource: Option<&Resource>,
        seen: Number,
    ) -> Result<(ResourceNo, ComponentNo), Reason> {
        let attributes = resource.map(|it| it.attributes.as_slice()).unwrap_or_default();
        if attributes.len() > self.limits.attributes {
            return Err(Reason::TooManyAttributes);
        }
        let hash = attributes::hash_all(attributes);
        if let Some(number) = self.places.get(&hash)
            && let Some(Some(place)) = self.place_list.get_mut(*number as usize)
        {
            place.last = place.last.max(seen);
            return Ok((*number, place.component));
        }
        let identity = Identity::read(attributes, self.qualify)?;
        if self.places.len() >= self.limits.resources {
            self.forget(seen);
        }
        if self.places.len() >= self.limits.resources {
            return Err(Reason::TooManyResources);
        }
        // That it is a service is said when its window is closed, so that a window does not depend
        // on what later ones brought.
        let component = self.named(&identity.name, Kind::External, seen)?;
        if let Some(service) = identity.service {
            let one = self.by_service.entry(service).or_insert(Some(component));
            if *one != Some(component) {
                *one = None;
            }
        }
        let place = Place {
            component,
            hash,
            version: identity.version,
            placement: identity.placement,
            last: seen,
        };
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.place_list.push(None);
                u32::try_from(self.place_list.len() - 1).map_err(|_| Reason::TooManyResources)?
            }
        };
        self.place_list[number as usize] = Some(place);
        self.places.insert(hash, number);
        Ok((number, component))
    }

    /// A window has telemetry from a place: where its component runs, and in which version.
    pub fn seen_at(&mut self, number: ResourceNo) {
        let Some(Some(place)) = self.place_list.get(number as usize) else {
            return;
        };
        let component = &mut self.list[place.component as usize];
        component.kind = Kind::Service;
        let placement = &mut component.placement;
        for (name, value) in &place.placement {
            let values = placement.entry(name).or_default();
            if values.len() < MOST_VALUES && !values.contains(value) {
                values.insert(value.clone());
            }
        }
    }

    /// Makes room by forgetting places that are long silent.
    fn forget(&mut self, now: Number) {
        let (list, free) = (&mut self.place_list, &mut self.free);
        self.places.retain(|_, number| {
            let slot = &mut list[*number as usize];
            let stays = slot.as_ref().is_some_and(|place| place.last + REMEMBERED >= now);
            if !stays {
                *slot = None;
                free.push(*number);
            }
            stays
        });
    }
}
