//! One history from one seed: a log on a disk that fails, closed, killed or crashed and opened
//! again a few times, and every crash on the way checked.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use super::super::super::recovery::Recovered;
use super::super::super::segment::Segments;
use super::super::*;
use super::disk::{Disk, Fault, Files, Image, OFFSETS, SEGMENTS, Watch};
use super::model::{Batch, Model};
use super::random::Random;
use crate::catalogue::telemetry::{MetricSnapshotRecorded, TelemetryKind, Window};

const STREAMS: [&str; 3] = ["a", "ab", "b"];
/// How often a log is opened anew.
const GENERATIONS: usize = 3;
/// Appends between two openings.
const STEPS: usize = 8;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Crashes, each recovered from and checked.
    pub crashes: usize,
    /// Of those, crashes during the recovery from another.
    pub in_recovery: usize,
    /// Files that were damaged otherwise.
    pub damaged: usize,
    /// Full segments that were compressed.
    pub packed: usize,
    /// Full segments that were pruned.
    pub pruned: usize,
}

fn assert_simulated(error: &std::io::Error) {
    let (expected, why) = (["simulated", "killed", "no storage space"], error.to_string());
    assert!(expected.iter().any(|expected| why.contains(expected)), "{why}");
}

pub struct Run {
    pub(super) random: Random,
    pub(super) model: Model,
    pub(super) count: Count,
    pub(super) sector: usize,
    options: Options,
}

/// How a generation begins.
struct Start {
    disk: Disk,
    /// What may have been appended.
    unknown: Option<Arc<Batch>>,
}

impl Run {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (seconds, salts) = (AtomicI64::new(0), Mutex::new(random.fork()));
        let clock =
            move || Timestamp::from_second(seconds.fetch_add(1, Ordering::Relaxed)).unwrap();
        let options = Options {
            clock: Arc::new(clock),
            salts: Arc::new(move || salts.lock().unwrap().next()),
            ..options()
        };
        let sector = random.pick(&[16, 64, 512]);
        Self { random, model: Model::new(), count: Count::default(), sector, options }
    }

    pub fn run(mut self) -> Count {
        let disk = Disk::with(Files::default(), self.sector, self.random.fork());
        let mut start = Start { disk, unknown: None };
        for _ in 0..GENERATIONS {
            start = self.generation(start);
        }
        self.settle(&start);
        self.damage(start.disk.seen());
        self.count
    }

    /// Opens a log on the disk, with the index of an earlier or the present moment, or none.
    fn open(&mut self, disk: &Disk) -> EmbeddedLog {
        let index = self.any_index(self.model.batches.len());
        self.open_with(disk, index)
    }

    fn open_with(&self, disk: &Disk, index: Index) -> EmbeddedLog {
        EmbeddedLog::open_parts(
            disk.folder(SEGMENTS),
            disk.folder(OFFSETS),
            index,
            File::open("/dev/null").unwrap(),
            self.options.clone(),
        )
        .unwrap_or_else(|error| panic!("after {} batches: {error}", self.model.batches.len()))
    }

    /// What is left of an index that is never synced: a beginning of what was written to it.
    fn any_index(&mut self, batches: usize) -> Index {
        let batches = match self.random.below(3) {
            0 => 0,
            1 => batches,
            _ => self.random.below(batches + 1),
        };
        self.model.index(batches)
    }

    /// A life of a process, from opening the log to the end of it, however it ends.
    fn generation(&mut self, start: Start) -> Start {
        let Start { disk, unknown } = start;
        disk.revive();
        disk.set_watch(Some(Watch {
            random: self.random.fork(),
            images: Vec::new(),
            acknowledged: self.model.batches.len(),
            in_flight: unknown.clone(),
            every: 2,
            tear: false,
        }));
        let log = self.open(&disk);
        let unknown = self.steps(&disk, &log, unknown);
        drop(log);
        let images = disk.set_watch(None).expect("it was set").images;
        for image in images {
            self.crash(image, 0);
        }
        match self.random.below(2) {
            0 => Start { disk, unknown },
            _ => {
                let files = disk.crash();
                let disk = Disk::with(files, self.sector, self.random.fork());
                Start { disk, unknown }
            }
        }
    }

    /// Appends until something fails; what may have been appended then.
    fn steps(
        &mut self,
        disk: &Disk,
        log: &EmbeddedLog,
        unknown: Option<Arc<Batch>>,
    ) -> Option<Arc<Batch>> {
        if let Some(batch) = unknown
            && !self.append(disk, log, &batch)
        {
            return Some(batch);
        }
        self.set_fault(disk);
        let torn = self.random.below(STEPS);
        for step in 0..STEPS {
            if self.random.one_in(6) {
                self.try_in_vain(log);
            }
            if self.random.one_in(8) {
                disk.set_room(Some(self.random.below(5)));
            }
            if self.random.one_in(3) {
                self.pack(log);
            }
            if self.random.one_in(4) {
                self.prune(log);
            }
            disk.watched(|watch| watch.tear = step == torn);
            let batch = self.new_batch();
            if !self.append(disk, log, &batch) {
                return Some(batch);
            }
        }
        None
    }

    /// Compresses a full segment, as the thread behind the writer would at some moment. It may
    /// fail like everything else, and nothing may depend on it.
    fn pack(&mut self, log: &EmbeddedLog) {
        let all = log.segments.all();
        let Some(full) = all.len().checked_sub(1).filter(|full| *full > 0) else { return };
        let segment = &all[self.random.below(full)];
        match log.segments.pack(segment.header.base, 1, &|| false) {
            Ok(()) => self.count.packed += 1,
            Err(error) => assert_simulated(&error),
        }
    }

    /// Prunes up to some position, with some events pinned. A crash leaves each segment as it was
    /// or pruned.
    fn prune(&mut self, log: &EmbeddedLog) {
        let until = self.random.below(log.head() as usize + 1) as u64;
        let mut pruning = Pruning::default();
        pruning.until.insert(TelemetryKind::Metrics, until);
        for (_, event) in self.model.batches.iter().flat_map(|batch| &batch.events) {
            match self.random.one_in(4) {
                true => pruning.pinned.insert(event.id),
                false => self.model.prunable.insert(event.id),
            };
        }
        match log.prune(&pruning, &|| false, &mut |_| ()) {
            Ok(pruned) => self.count.pruned += pruned.segments,
            Err(PruneError::Write { source, .. }) => assert_simulated(&source),
            Err(other) => panic!("{other}"),
        }
    }

    fn set_fault(&mut self, disk: &Disk) {
        let kinds = [Fault::Killed, Fault::Write, Fault::Sync, Fault::Folder];
        if !self.random.one_in(4) {
            disk.set_fault(self.random.below(4 * STEPS), self.random.pick(&kinds));
        }
    }

    /// For one stream, and each third time for several.
    fn new_batch(&mut self) -> Arc<Batch> {
        let to = self.random.below(STREAMS.len());
        let count = 1 + self.random.below(4);
        let apart = usize::from(self.model.batches.len() % 3 == 2);
        let to = |n: usize| stream(STREAMS[(to + n * apart) % STREAMS.len()]);
        let events = (0..count).map(|n| (to(n), self.event())).collect();
        self.model.batch(events)
    }

    fn event(&mut self) -> Event {
        let id = uuid::Uuid::from_u64_pair(self.random.next(), self.random.next());
        let name = "c".repeat(1 + self.random.below(60));
        let mut event = discovered(&name);
        if self.random.one_in(2) {
            let requests = Some(self.random.next() >> 1);
            event.data = MetricSnapshotRecorded {
                component: ComponentName::new(name).unwrap(),
                window: Window { start: Timestamp::UNIX_EPOCH, duration_ms: 1000 },
                requests,
                errors: None,
                latency: None,
                saturation: None,
                cpu_cores: None,
                memory_bytes: None,
                extras: [].into(),
            }
            .into();
        }
        Event { id: crate::id::EventId(id), ..event }
    }

    /// Appends a batch, again after a full disk got room; whether it is known to be there now.
    fn append(&mut self, disk: &Disk, log: &EmbeddedLog, batch: &Arc<Batch>) -> bool {
        let expected = match (self.random.below(2), batch.places[0].revision.checked_sub(1)) {
            (0, _) => ExpectedRevision::Any,
            (_, Some(last)) => ExpectedRevision::Exact(last),
            (_, None) => ExpectedRevision::NoStream,
        };
        loop {
            disk.watched(|watch| watch.in_flight = Some(Arc::clone(batch)));
            let answer = async {
                match batch.of_one_stream() {
                    Some((stream, events)) => log.append(stream, expected, events).await,
                    None => offer(log, batch).await,
                }
            };
            match futures::executor::block_on(answer) {
                Ok(places) => {
                    // EL-3, EL-4: the next places, or those that it got before a crash.
                    assert_eq!(places, batch.places);
                    self.acknowledged(disk, batch);
                    return true;
                }
                Err(AppendError::DiskFull) => {
                    assert_eq!(log.head(), self.model.head());
                    disk.watched(|watch| watch.in_flight = None);
                    disk.set_room(None);
                }
                Err(AppendError::Poisoned(why)) => {
                    assert!(why.contains("simulated") || why.contains("killed"), "{why}");
                    return false;
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn acknowledged(&mut self, disk: &Disk, batch: &Arc<Batch>) {
        let seen = Disk::with(disk.seen(), self.sector, self.random.fork());
        let (recovered, index, segments) = self.recover(&seen, 0);
        let known = self.model.batches.len();
        let (head, chain) = (recovered.head, recovered.chain);
        assert!(self.model.compare(known, Some(batch), head, chain, &index, &segments));
        self.model.acknowledge(Arc::clone(batch), chain);
        disk.watched(|watch| {
            watch.acknowledged += 1;
            watch.in_flight = None;
        });
    }

    /// What changes nothing: EL-4 and EL-5.
    fn try_in_vain(&mut self, log: &EmbeddedLog) {
        if let Some(known) = self.model.batches.len().checked_sub(1) {
            let known = Arc::clone(&self.model.batches[self.random.below(known + 1)]);
            let again = async {
                match known.of_one_stream() {
                    Some((to, events)) => log.append(to, ExpectedRevision::NoStream, events).await,
                    None => offer(log, &known).await,
                }
            };
            match futures::executor::block_on(again) {
                Ok(places) => assert_eq!(places, known.places),
                Err(AppendError::Poisoned(_)) => return,
                Err(other) => panic!("{other}"),
            }
        }
        let to = stream(self.random.pick(&STREAMS));
        let actual = self.model.revision(&to);
        let stale = ExpectedRevision::Exact(actual.map_or(0, |last| last + 1));
        let events = vec![self.event()];
        let refusal = futures::executor::block_on(log.append(to, stale, events));
        match refusal {
            Err(AppendError::WrongExpectedRevision { actual: told, .. }) => {
                assert_eq!(told, actual);
            }
            Err(AppendError::Poisoned(_)) => {}
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    /// Opens what a disk holds, with an index that saw at most `batches`.
    pub(super) fn recover(&mut self, disk: &Disk, batches: usize) -> (Recovered, Index, Segments) {
        let index = self.any_index(batches);
        let (storage, offsets) = (disk.folder(SEGMENTS), disk.folder(OFFSETS));
        let recovered = Recovery {
            storage: &storage,
            offsets: &offsets,
            applied: index.applied().unwrap(),
            index: &index,
            options: &self.options,
        }
        .run();
        let recovered =
            recovered.unwrap_or_else(|error| panic!("{batches} batches were there: {error}"));
        let segments = Segments::new(storage, offsets, recovered.segments.clone());
        (recovered, index, segments)
    }

    /// EL-1, EL-6: recovers from a crash, sometimes from another one in the middle of that.
    fn crash(&mut self, image: Image, depth: usize) {
        let Image { files, acknowledged, in_flight } = image;
        self.count.crashes += 1;
        self.count.in_recovery += depth;
        let disk = Disk::with(files, self.sector, self.random.fork());
        if depth == 0 && self.random.one_in(8) {
            disk.set_watch(Some(Watch {
                random: self.random.fork(),
                images: Vec::new(),
                acknowledged,
                in_flight: in_flight.clone(),
                every: 1,
                tear: false,
            }));
        }
        let (recovered, index, segments) = self.recover(&disk, acknowledged);
        let (head, chain) = (recovered.head, recovered.chain);
        self.model.compare(acknowledged, in_flight.as_ref(), head, chain, &index, &segments);
        if self.random.one_in(32) {
            // Nothing is left that only `verify` would find.
            let log = self.open_with(&disk, index);
            log.verify(&mut |_| ()).unwrap();
        }
        for image in disk.set_watch(None).into_iter().flat_map(|watch| watch.images) {
            self.crash(image, 1);
        }
    }

    /// Opens the log without a fault, brings in what was unknown, and reads everything.
    fn settle(&mut self, start: &Start) {
        start.disk.revive();
        let log = self.open(&start.disk);
        if let Some(batch) = &start.unknown {
            assert!(self.append(&start.disk, &log, batch));
        }
        let batch = self.new_batch();
        assert!(self.append(&start.disk, &log, &batch));
        let verified = log.verify(&mut |_| ()).unwrap();
        assert_eq!(verified.position, self.model.head());
    }
}

/// Offers events of several streams, which the log takes, or has already and declines.
async fn offer(log: &EmbeddedLog, batch: &Batch) -> Result<Vec<Appended>, AppendError> {
    match log.append_new(batch.events.clone()).await? {
        Offered::Appended(places) => Ok(places),
        Offered::Declined(_) => {
            let index = log.index.read().unwrap();
            let known = batch.places.iter().filter_map(|at| {
                let (position, revision) = index.as_ref().unwrap().find(at.id).unwrap()?;
                Some(Appended { id: at.id, revision, position })
            });
            Ok(known.collect())
        }
    }
}
