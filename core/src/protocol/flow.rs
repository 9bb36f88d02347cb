//! A flow as JSON: flat, with the unit in every name.

use core::num::NonZeroU32;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::flow::{Conflate, Flow, Pace};

/// The JSON form of a [`Flow`]: `{}` is immediate, `{"throttle_ms": 1000}` and `{"debounce_ms": 300}` are paced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowSpec {
    /// A throttle's window, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle_ms: Option<u64>,
    /// A debounce's quiet time, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce_ms: Option<u64>,
    /// A debounce's longest wait, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait_ms: Option<u64>,
    /// Emit at the start of a burst. Default: true for a throttle, false for a debounce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leading: Option<bool>,
    /// Emit at the end of a window or burst. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trailing: Option<bool>,
    /// What happens to publications that wait. Default: latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflate: Option<ConflateSpec>,
    /// The most publications of a `collect` batch. Default: 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Send only what has changed, if that is shorter. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<bool>,
}

/// The name of a conflation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConflateSpec {
    /// [`Conflate::Latest`].
    Latest,
    /// [`Conflate::Merge`].
    Merge,
    /// [`Conflate::Sum`].
    Sum,
    /// [`Conflate::Collect`].
    Collect,
}

/// The size of a `collect` batch if none is requested.
const COLLECT_DEFAULT: NonZeroU32 = NonZeroU32::new(1000).unwrap();

/// A [`FlowSpec`] that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum FlowSpecError {
    /// Both paces were asked for.
    TwoPaces,
    /// `max_wait_ms` belongs to a debounce.
    MaxWaitWithoutDebounce,
    /// `leading` and `trailing` belong to a pace.
    EdgeWithoutPace,
    /// `max` belongs to `collect`.
    MaxWithoutCollect,
}

impl FlowSpecError {
    /// What is wrong, in words.
    pub const fn message(self) -> &'static str {
        match self {
            Self::TwoPaces => "a flow has either throttle_ms or debounce_ms, not both",
            Self::MaxWaitWithoutDebounce => "max_wait_ms needs debounce_ms",
            Self::EdgeWithoutPace => "leading and trailing need throttle_ms or debounce_ms",
            Self::MaxWithoutCollect => "max needs conflate: collect, and is at least 1",
        }
    }
}

impl TryFrom<FlowSpec> for Flow {
    type Error = FlowSpecError;

    fn try_from(spec: FlowSpec) -> Result<Self, FlowSpecError> {
        Ok(Self {
            pace: pace(&spec)?,
            conflate: conflate(&spec)?,
            delta: spec.delta.unwrap_or(false),
        })
    }
}

fn pace(spec: &FlowSpec) -> Result<Pace, FlowSpecError> {
    if spec.max_wait_ms.is_some() && spec.debounce_ms.is_none() {
        return Err(FlowSpecError::MaxWaitWithoutDebounce);
    }
    match (spec.throttle_ms, spec.debounce_ms) {
        (Some(_), Some(_)) => Err(FlowSpecError::TwoPaces),
        (Some(every), None) => Ok(Pace::Throttle {
            every: Duration::from_millis(every),
            leading: spec.leading.unwrap_or(true),
            trailing: spec.trailing.unwrap_or(true),
        }),
        (None, Some(quiet)) => Ok(Pace::Debounce {
            quiet: Duration::from_millis(quiet),
            max_wait: spec.max_wait_ms.map(Duration::from_millis),
            leading: spec.leading.unwrap_or(false),
            trailing: spec.trailing.unwrap_or(true),
        }),
        (None, None) if spec.leading.is_some() || spec.trailing.is_some() => {
            Err(FlowSpecError::EdgeWithoutPace)
        }
        (None, None) => Ok(Pace::Immediate),
    }
}

fn conflate(spec: &FlowSpec) -> Result<Conflate, FlowSpecError> {
    let collect = match spec.conflate {
        None | Some(ConflateSpec::Latest) => Conflate::Latest,
        Some(ConflateSpec::Merge) => Conflate::Merge,
        Some(ConflateSpec::Sum) => Conflate::Sum,
        Some(ConflateSpec::Collect) => {
            let max = match spec.max {
                Some(max) => NonZeroU32::new(max).ok_or(FlowSpecError::MaxWithoutCollect)?,
                None => COLLECT_DEFAULT,
            };
            return Ok(Conflate::Collect { max });
        }
    };
    match spec.max {
        Some(_) => Err(FlowSpecError::MaxWithoutCollect),
        None => Ok(collect),
    }
}

impl From<Flow> for FlowSpec {
    fn from(flow: Flow) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut spec = match flow.pace {
            Pace::Immediate => Self::default(),
            Pace::Throttle {
                every,
                leading,
                trailing,
            } => Self {
                throttle_ms: Some(millis(every)),
                leading: Some(leading),
                trailing: Some(trailing),
                ..Self::default()
            },
            Pace::Debounce {
                quiet,
                max_wait,
                leading,
                trailing,
            } => Self {
                debounce_ms: Some(millis(quiet)),
                max_wait_ms: max_wait.map(millis),
                leading: Some(leading),
                trailing: Some(trailing),
                ..Self::default()
            },
        };
        (spec.conflate, spec.max) = match flow.conflate {
            Conflate::Latest => (None, None),
            Conflate::Merge => (Some(ConflateSpec::Merge), None),
            Conflate::Sum => (Some(ConflateSpec::Sum), None),
            Conflate::Collect { max } => (Some(ConflateSpec::Collect), Some(max.get())),
        };
        spec.delta = flow.delta.then_some(true);
        spec
    }
}

impl Serialize for Flow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        FlowSpec::from(*self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Flow {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spec = FlowSpec::deserialize(deserializer)?;
        Self::try_from(spec).map_err(serde::de::Error::custom)
    }
}
