//! Records, frames and headers are read back as they were written, and nothing else is.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::frame::{self, FrameBuilder, FrameView, Header, HeaderError};
use super::super::record::{self, Draft};
use super::*;
use crate::catalogue::EventData;
use crate::catalogue::change::ConfigurationChanged;
use crate::catalogue::diagnosis::AnomalyDetected;
use crate::catalogue::telemetry::Window;
use crate::value::{Finite, NonNegative};

fn line() -> impl Strategy<Value = Line> {
    "\\PC{1,40}".prop_map(|text| Line::new(text).unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.as_second()..Timestamp::MAX.as_second(), 0..1_000_000_000i32)
        .prop_map(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).unwrap())
}

fn id() -> impl Strategy<Value = EventId> {
    any::<u128>().prop_map(|bits| EventId(uuid::Uuid::from_u128(bits)))
}

fn component() -> impl Strategy<Value = ComponentName> {
    "\\PC{1,40}".prop_map(|text| ComponentName::new(text).unwrap())
}

fn data() -> impl Strategy<Value = EventData> {
    let changed = (component(), line(), proptest::collection::btree_map(".*", line(), 0..4))
        .prop_map(|(component, description, settings)| {
            ConfigurationChanged { component, description, settings }.into()
        });
    let anomaly = (component(), line(), any::<f64>(), vec(id(), 0..3), 1..1000u64).prop_map(
        |(component, detector, score, evidence, duration_ms)| {
            let score = NonNegative::new(score.abs()).unwrap_or_default();
            AnomalyDetected {
                component,
                window: Window { start: Timestamp::UNIX_EPOCH, duration_ms },
                detector,
                score,
                parts: vec![crate::catalogue::diagnosis::AnomalyPart {
                    signal: crate::catalogue::incident::Signal::Latency,
                    observed: Finite::new(-score.get()).unwrap(),
                    baseline: Finite::default(),
                    deviation: Finite::new(score.get() / 3.0).unwrap(),
                }],
                evidence,
            }
            .into()
        },
    );
    prop_oneof![changed, anomaly]
}

fn any_event() -> impl Strategy<Value = Event> {
    let optional = || proptest::option::of(line());
    let ids = (id(), proptest::option::of(id()));
    (ids, line(), optional(), time(), optional(), optional(), data()).prop_map(
        |((id, causation_id), source, subject, time, correlation_id, traceparent, data)| Event {
            id,
            source,
            subject,
            time,
            correlation_id,
            causation_id,
            traceparent,
            data,
        },
    )
}

fn parse(bytes: &[u8], salt: u64) -> Result<FrameView<'_>, String> {
    frame::check(bytes, salt).map(|stored| FrameView::of(&bytes[..stored]))
}

fn stored(events: &[Event], salt: u64, base: u64, before: &frame::Chain) -> (Vec<u8>, Vec<u32>) {
    let mut builder = FrameBuilder::new(vec![1, 2, 3]);
    for (event, position) in events.iter().zip(base..) {
        let mut draft = Draft::new(event, &stream("s"));
        builder.push(draft.place(salt, position, position * 2, Timestamp::UNIX_EPOCH));
    }
    let (bytes, offsets, _) = builder.finish(salt, base, before);
    (bytes, offsets)
}

proptest! {
    #[test]
    fn a_record_is_read_back_as_it_was_written(
        event in any_event(),
        stream_text in "\\PC{1,60}",
        (salt, position, revision) in any::<(u64, u64, u64)>(),
        recorded_at in time(),
        behind in vec(any::<u8>(), 0..10),
    ) {
        let stream = StreamId::new(stream_text).unwrap();
        let mut draft = Draft::new(&event, &stream);
        let mut bytes = draft.place(salt, position, revision, recorded_at).to_vec();
        prop_assert_eq!(bytes.len(), draft.len());
        bytes.extend(behind);
        let (view, length) = record::parse(&bytes, salt, position).unwrap();
        prop_assert_eq!(length, draft.len());
        let expected = RecordedEvent { event, stream, revision, position, recorded_at, pruned: None };
        prop_assert_eq!(view.decode(position).unwrap(), expected);
        prop_assert!(record::parse(&bytes, salt, position ^ 1).is_err());
        prop_assert!(record::parse(&bytes, salt ^ 1, position).is_err());
    }

    #[test]
    fn a_frame_is_read_back_as_it_was_written(
        events in vec(any_event(), 1..6),
        salt in any::<u64>(),
        base in 1..1_000_000u64,
        before in any::<[u8; 32]>(),
    ) {
        let (bytes, offsets) = stored(&events, salt, base, &before);
        let view = parse(&bytes, salt).unwrap();
        prop_assert_eq!((view.base, view.stored), (base, bytes.len()));
        let records = view.records(salt, &before).unwrap();
        prop_assert_eq!(records.len(), events.len());
        for (n, (offset, record)) in records.iter().enumerate() {
            let position = base + n as u64;
            prop_assert_eq!(*offset, offsets[n] as usize);
            prop_assert_eq!(record.revision, position * 2);
            prop_assert_eq!(&record.decode(position).unwrap().event, &events[n]);
        }
        let mut other = before;
        other[3] ^= 1;
        prop_assert!(view.records(salt, &other).is_err(), "the chain before does not matter");
    }

    #[test]
    fn a_changed_byte_is_never_taken_for_what_was_written(
        events in vec(any_event(), 1..4),
        salt in any::<u64>(),
        place in any::<prop::sample::Index>(),
        change in 1..=255u8,
    ) {
        let (mut bytes, _) = stored(&events, salt, 7, &frame::CHAIN_START);
        let at = place.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(parse(&bytes, salt).is_err(), "byte {at}");
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        bytes in vec(any::<u8>(), 0..300),
        salt in any::<u64>(),
    ) {
        prop_assert!(parse(&bytes, salt).is_err());
        prop_assert!(record::parse(&bytes, salt, 1).is_err());
    }

    #[test]
    fn a_header_is_read_back_and_a_changed_one_refused(
        base in any::<u64>(),
        salt in any::<u64>(),
        version in frame::VERSION..=frame::WITH_PRUNED,
        chain in any::<[u8; 32]>(),
        at in 0..frame::HEADER_BYTES,
        change in 1..=255u8,
    ) {
        let header = Header { version, base, salt, chain };
        let mut bytes = header.encode();
        prop_assert_eq!(Header::decode(&bytes), Ok(header));
        bytes[at] ^= change;
        prop_assert!(matches!(Header::decode(&bytes), Err(HeaderError::Damaged(_))));
    }
}

#[test]
fn a_record_moved_between_frames_breaks_the_chain() {
    let events = [discovered("left"), discovered("righ")];
    let chain = frame::CHAIN_START;
    let whole = stored(&events, 5, 1, &chain).0;
    let swapped = stored(&[events[1].clone(), events[0].clone()], 5, 1, &chain).0;
    // Every checksum is right, as an attacker would leave it; the stored chain is the old one.
    let mut forged = swapped.clone();
    forged[20..52].copy_from_slice(&whole[20..52]);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&5u64.to_le_bytes()), &forged[..4]);
    let crc = crc32c::crc32c_append(crc, &forged[8..]);
    forged[4..8].copy_from_slice(&crc.to_le_bytes());
    let view = parse(&forged, 5).unwrap();
    let what = view.records(5, &chain).unwrap_err();
    assert!(what.contains("hash chain"), "{what}");
}
