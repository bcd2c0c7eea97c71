//! The calls a client makes.

use std::sync::Arc;

use futures::stream::BoxStream;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::Node;
use super::faults::Fault;
use super::proto::streams::{self as wire, append_req, append_resp, streams_server::Streams};
use super::proto::{common, gossip, server_features};
use super::reading;
use super::state::{Expected, Proposed, Refused};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Streams for Node {
    type ReadStream = BoxStream<'static, Result<wire::ReadResp, Status>>;
    type BatchAppendStream = BoxStream<'static, Result<wire::BatchAppendResp, Status>>;

    async fn read(&self, request: Request<wire::ReadReq>) -> Answer<Self::ReadStream> {
        self.admit(request.metadata())?;
        let options = request.into_inner().options.ok_or_else(|| lacks("options"))?;
        let cluster = Arc::clone(&self.cluster);
        let cut = self.faults.cut_after().map(|after| (after, self.cutter()));
        Ok(Response::new(reading::answer(cluster, options, cut)?))
    }

    async fn append(
        &self,
        request: Request<Streaming<wire::AppendReq>>,
    ) -> Answer<wire::AppendResp> {
        let fault = self.faults.next();
        match fault {
            Some(Fault::CutBeforeWrite) => return self.cut_off().await,
            Some(Fault::Unavailable) => return Err(Status::unavailable("not now")),
            Some(Fault::NoLeader) => return Err(no_leader()),
            _ => {}
        }
        self.admit(request.metadata())?;
        let (stream, wire_expected, events) = proposed(request.into_inner()).await?;
        let expected = expected_of(wire_expected);
        if fault == Some(Fault::WrongVersion) {
            return Ok(Response::new(wrong_version(Some(u64::from(u32::MAX)), wire_expected)));
        }
        let written = self.cluster.append(&stream, expected, events);
        match fault {
            Some(Fault::CutAfterWrite) => return self.cut_off().await,
            Some(Fault::UnknownAfterWrite) => return Err(Status::unknown("lost track")),
            Some(Fault::EmptyAnswer) => {
                return Ok(Response::new(wire::AppendResp { result: None }));
            }
            Some(Fault::SlowAnswer(delay)) => tokio::time::sleep(delay).await,
            _ => {}
        }
        match written {
            Ok((revision, position)) => Ok(Response::new(success(revision, position))),
            Err(Refused::WrongVersion(actual)) => {
                Ok(Response::new(wrong_version(actual, wire_expected)))
            }
            Err(refused) => Err(self.status(refused, &stream)),
        }
    }

    async fn delete(&self, request: Request<wire::DeleteReq>) -> Answer<wire::DeleteResp> {
        self.admit(request.metadata())?;
        let options = request.into_inner().options.ok_or_else(|| lacks("options"))?;
        let stream = name(options.stream_identifier)?;
        let position = self.delete_stream(&stream, false)?;
        let position =
            wire::delete_resp::Position { commit_position: position, prepare_position: position };
        let position_option = Some(wire::delete_resp::PositionOption::Position(position));
        Ok(Response::new(wire::DeleteResp { position_option }))
    }

    async fn tombstone(&self, request: Request<wire::TombstoneReq>) -> Answer<wire::TombstoneResp> {
        self.admit(request.metadata())?;
        let options = request.into_inner().options.ok_or_else(|| lacks("options"))?;
        let stream = name(options.stream_identifier)?;
        let position = self.delete_stream(&stream, true)?;
        let position = wire::tombstone_resp::Position {
            commit_position: position,
            prepare_position: position,
        };
        let position_option = Some(wire::tombstone_resp::PositionOption::Position(position));
        Ok(Response::new(wire::TombstoneResp { position_option }))
    }

    /// Not offered, see the features.
    async fn batch_append(
        &self,
        _: Request<Streaming<wire::BatchAppendReq>>,
    ) -> Answer<Self::BatchAppendStream> {
        Err(Status::unimplemented("batches are not offered"))
    }
}

#[tonic::async_trait]
impl server_features::server_features_server::ServerFeatures for Node {
    async fn get_supported_methods(
        &self,
        _: Request<()>,
    ) -> Answer<server_features::SupportedMethods> {
        let methods = ["append", "read", "delete", "tombstone"].map(|method| {
            server_features::SupportedMethod {
                method_name: method.to_owned(),
                service_name: "event_store.client.streams.streams".to_owned(),
                features: Vec::new(),
            }
        });
        Ok(Response::new(server_features::SupportedMethods {
            methods: methods.into(),
            event_store_server_version: "24.10.0".to_owned(),
        }))
    }
}

#[tonic::async_trait]
impl gossip::gossip_server::Gossip for Node {
    async fn read(&self, _: Request<()>) -> Answer<gossip::ClusterInfo> {
        let leader = *self.cluster.leader.lock().expect("no holder panics");
        let nodes = self.cluster.nodes.lock().expect("no holder panics").clone();
        let members = nodes.into_iter().map(|address| gossip::MemberInfo {
            instance_id: Some(uuid(Uuid::now_v7(), true)),
            time_stamp: 0,
            state: match leader == Some(address) {
                true => gossip::member_info::VNodeState::Leader.into(),
                false => gossip::member_info::VNodeState::Follower.into(),
            },
            is_alive: true,
            http_end_point: Some(gossip::EndPoint {
                address: address.ip().to_string(),
                port: address.port().into(),
            }),
        });
        Ok(Response::new(gossip::ClusterInfo { members: members.collect() }))
    }
}

impl Node {
    /// Who may call, and whether this node answers.
    fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let header = |name| metadata.get(name).and_then(|value| value.to_str().ok());
        if let Some(expected) = &self.authorization
            && header("authorization") != Some(expected)
        {
            return Err(Status::unauthenticated("who are you?"));
        }
        let leader = *self.cluster.leader.lock().expect("no holder panics");
        if header("requires-leader") != Some("true") || leader == Some(self.address) {
            return Ok(());
        }
        let Some(leader) = leader else { return Err(no_leader()) };
        let mut trailers = MetadataMap::new();
        trailers.insert("exception", MetadataValue::from_static("not-leader"));
        for (name, value) in [
            ("leader-endpoint-host", leader.ip().to_string()),
            ("leader-endpoint-port", leader.port().to_string()),
        ] {
            trailers.insert(name, value.parse().expect("an address is ASCII"));
        }
        Err(Status::with_metadata(Code::NotFound, "Leader info available", trailers))
    }

    /// Cuts the connections and answers nothing.
    async fn cut_off<T>(&self) -> Answer<T> {
        self.cut();
        std::future::pending().await
    }

    fn delete_stream(&self, stream: &str, for_good: bool) -> Result<u64, Status> {
        let mut database = self.cluster.database.lock().expect("no holder panics");
        database.delete(stream, for_good).map_err(|refused| match refused {
            Refused::Deleted => deleted(stream),
            _ => Status::failed_precondition("no such stream"),
        })
    }

    fn status(&self, refused: Refused, stream: &str) -> Status {
        match refused {
            Refused::Deleted => deleted(stream),
            Refused::TooLarge => {
                let max = self.cluster.database.lock().expect("no holder panics").max_append();
                let mut trailers = MetadataMap::new();
                let exception = MetadataValue::from_static("maximum-append-size-exceeded");
                trailers.insert("exception", exception);
                trailers.insert("maximum-append-size", MetadataValue::from(max as u64));
                let message = format!("Maximum Append Size of {max} Exceeded.");
                Status::with_metadata(Code::InvalidArgument, message, trailers)
            }
            Refused::NoType => Status::invalid_argument("Required Metadata type is missing"),
            Refused::WrongVersion(_) => Status::failed_precondition("wrong expected version"),
        }
    }
}

fn lacks(what: &str) -> Status {
    Status::invalid_argument(format!("{what} is missing"))
}

fn no_leader() -> Status {
    Status::unavailable("No leader info available")
}

/// What a stream with a tombstone is answered.
pub fn deleted(stream: &str) -> Status {
    let mut trailers = MetadataMap::new();
    trailers.insert("exception", MetadataValue::from_static("stream-deleted"));
    let message = format!("Event stream '{stream}' is deleted.");
    Status::with_metadata(Code::FailedPrecondition, message, trailers)
}

/// The name of a stream.
pub fn name(identifier: Option<common::StreamIdentifier>) -> Result<String, Status> {
    let name = identifier.ok_or_else(|| lacks("the stream"))?.stream_name;
    String::from_utf8(name.to_vec()).map_err(|_| Status::invalid_argument("no UTF-8"))
}

/// An id in either of its forms.
pub fn uuid(id: Uuid, structured: bool) -> common::Uuid {
    let (most, least) = id.as_u64_pair();
    let value = if structured {
        common::uuid::Value::Structured(common::uuid::Structured {
            most_significant_bits: most.cast_signed(),
            least_significant_bits: least.cast_signed(),
        })
    } else {
        common::uuid::Value::String(id.to_string())
    };
    common::Uuid { value: Some(value) }
}

fn id_of(id: Option<common::Uuid>) -> Result<Uuid, Status> {
    match id.and_then(|id| id.value).ok_or_else(|| lacks("the event's id"))? {
        common::uuid::Value::Structured(bits) => Ok(Uuid::from_u64_pair(
            bits.most_significant_bits.cast_unsigned(),
            bits.least_significant_bits.cast_unsigned(),
        )),
        common::uuid::Value::String(text) => {
            text.parse().map_err(|_| Status::invalid_argument("no UUID"))
        }
    }
}

type WireExpected = append_req::options::ExpectedStreamRevision;

/// The whole of an append: what it is for, then its events.
async fn proposed(
    mut messages: Streaming<wire::AppendReq>,
) -> Result<(String, WireExpected, Vec<Proposed>), Status> {
    let mut options = None;
    let mut events = Vec::new();
    while let Some(message) = messages.message().await? {
        match message.content.ok_or_else(|| lacks("the content"))? {
            append_req::Content::Options(given) => options = Some(given),
            append_req::Content::ProposedMessage(event) => events.push(Proposed {
                id: id_of(event.id)?,
                metadata: event.metadata,
                custom_metadata: event.custom_metadata,
                data: event.data,
            }),
        }
    }
    let options = options.ok_or_else(|| lacks("options"))?;
    let expected = options.expected_stream_revision.ok_or_else(|| lacks("the revision"))?;
    Ok((name(options.stream_identifier)?, expected, events))
}

fn expected_of(expected: WireExpected) -> Expected {
    match expected {
        WireExpected::Revision(revision) => Expected::Revision(revision),
        WireExpected::NoStream(()) => Expected::NoStream,
        WireExpected::Any(()) => Expected::Any,
        WireExpected::StreamExists(()) => Expected::Exists,
    }
}

fn success(revision: u64, position: u64) -> wire::AppendResp {
    use append_resp::success::{CurrentRevisionOption, PositionOption};
    let position = append_resp::Position { commit_position: position, prepare_position: position };
    let success = append_resp::Success {
        current_revision_option: Some(CurrentRevisionOption::CurrentRevision(revision)),
        position_option: Some(PositionOption::Position(position)),
    };
    wire::AppendResp { result: Some(append_resp::Result::Success(success)) }
}

fn wrong_version(actual: Option<u64>, expected: WireExpected) -> wire::AppendResp {
    use append_resp::wrong_expected_version::{CurrentRevisionOption, ExpectedRevisionOption};
    let current = match actual {
        Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
        None => CurrentRevisionOption::CurrentNoStream(()),
    };
    let expected = match expected {
        WireExpected::Revision(revision) => ExpectedRevisionOption::ExpectedRevision(revision),
        WireExpected::NoStream(()) => ExpectedRevisionOption::ExpectedNoStream(()),
        WireExpected::Any(()) => ExpectedRevisionOption::ExpectedAny(()),
        WireExpected::StreamExists(()) => ExpectedRevisionOption::ExpectedStreamExists(()),
    };
    let wrong = append_resp::WrongExpectedVersion {
        current_revision_option: Some(current),
        expected_revision_option: Some(expected),
        ..Default::default()
    };
    wire::AppendResp { result: Some(append_resp::Result::WrongExpectedVersion(wrong)) }
}
