//! Running a comparison: one side after the other, each on its own builder, round by round.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use tokio::task::JoinSet;

use super::build::{Built, Setup, Side};
use super::builder::Builder;
use super::figures::Pair;
use super::measure::Round;
use super::phases::{Phase, Workspace};
use super::services::Service;
use super::without::Without;
use crate::buildctl::Buildctl;
use crate::failure::{During as _, Failure};
use crate::registry::{self, Image, Platform, Source};
use crate::ui::Progress;

/// How the sides get their builders.
#[derive(Clone)]
pub(crate) enum Builders {
    /// Start one for each side; the configuration to copy, if there is one.
    Own(Option<PathBuf>),
    /// Use these, with whatever is in their caches.
    Given(Pair<String>),
}

/// What to run.
#[derive(Clone)]
pub(crate) struct Plan {
    /// What the builds have in common.
    pub(crate) setup: Arc<Setup>,
    /// buildctl, without an address.
    pub(crate) buildctl: Buildctl,
    /// Where to build.
    pub(crate) builders: Builders,
    /// What to build.
    pub(crate) services: Vec<Service>,
    /// In which rounds.
    pub(crate) phases: Vec<Phase>,
    /// Services at once.
    pub(crate) jobs: usize,
    /// What a changed requirement adds.
    pub(crate) requirement: String,
    /// Repetitions of the all-cached build.
    pub(crate) repetitions: usize,
    /// Which passes to leave out, in further cold rounds of plinth's side.
    pub(crate) without: Vec<Without>,
    /// The platforms that are built; the layers and labels of the first are shown.
    pub(crate) platforms: Vec<Platform>,
}

/// What came out.
pub(crate) struct Ran {
    /// The rounds of both sides.
    pub(crate) rounds: Pair<Vec<Round>>,
    /// Pairs of seconds of all-cached builds, plain and plinth.
    pub(crate) cached: Vec<(f64, f64)>,
    /// The cold rounds of plinth's side with passes left out.
    pub(crate) without: Vec<(Without, Round)>,
    /// What a reader has to know.
    pub(crate) notes: Vec<String>,
}

/// One side while it runs: where it builds, and from which directories.
struct Running {
    side: Side,
    buildctl: Buildctl,
    workspace: Workspace,
    // Stops the daemon and deletes its state when it goes.
    _own: Option<Builder>,
}

impl Plan {
    /// Runs all rounds on both sides. When the future is dropped, builds are ended and builders deleted.
    pub(crate) async fn run(&self, progress: &Progress) -> Result<Ran, Failure> {
        let mut notes = Vec::new();
        let everything: Vec<usize> = (0..self.services.len()).collect();
        let (plain, idle) = self.side(Side::Plain, &everything, progress, &mut notes).await?;
        // What the all-cached builds still need keeps running, idle; else one builder at a time has the machine.
        let idle = (self.repetitions > 0).then_some(idle);
        let built: Vec<usize> = plain.first().map(|r| r.images.keys().copied().collect()).unwrap_or_default();
        let (plinth, running) = self.side(Side::Plinth, &built, progress, &mut notes).await?;
        let rounds = Pair { plain, plinth };
        let mut cached = Vec::new();
        if let Some(idle) = &idle {
            // Services that failed in any round have no cache to speak of.
            let good = |service: &usize| {
                rounds.plain.iter().chain(&rounds.plinth).all(|r| r.images.contains_key(service))
            };
            let services: Vec<usize> = built.iter().copied().filter(good).collect();
            cached = self.overhead(idle, &running, &services, progress).await?;
        }
        // What is left to do has the machine for itself.
        drop((idle, running));
        let mut without = Vec::new();
        for left_out in &self.without {
            progress.say(&format!("once more, without {left_out}"));
            let plan = Self {
                setup: Arc::new(left_out.setup(&self.setup)),
                phases: vec![Phase::Cold],
                ..self.clone()
            };
            let (rounds, _) = plan.side(Side::Plinth, &built, progress, &mut notes).await?;
            without.extend(rounds.into_iter().map(|round| (left_out.clone(), round)));
        }
        notes.dedup();
        Ok(Ran { rounds, cached, without, notes })
    }

    async fn side(
        &self,
        side: Side,
        services: &[usize],
        progress: &Progress,
        notes: &mut Vec<String>,
    ) -> Result<(Vec<Round>, Running), Failure> {
        progress.now(&format!("starting the builder of the {} side", side.name()));
        let (own, addr) = match &self.builders {
            Builders::Own(config) => {
                let builder = Builder::start(&self.buildctl, config.as_deref()).await?;
                let addr = builder.addr().to_owned();
                (Some(builder), addr)
            }
            Builders::Given(addrs) => {
                (None, if side == Side::Plain { addrs.plain.clone() } else { addrs.plinth.clone() })
            }
        };
        let running = Running {
            side,
            buildctl: self.buildctl.at(addr),
            workspace: Workspace::new(&self.services, &self.phases)?,
            _own: own,
        };
        let mut services = services.to_vec();
        let mut rounds = Vec::new();
        for &phase in &self.phases {
            for &service in &services {
                if !running.workspace.change(service, phase, &self.requirement)? {
                    notes.push(format!(
                        "{}: nothing found to change for the round {}, built as it was",
                        self.services[service].name,
                        phase.name()
                    ));
                }
            }
            let round = self.round(&running, phase, &services, progress).await?;
            // What does not build is not built again.
            services.retain(|service| round.images.contains_key(service));
            rounds.push(round);
        }
        Ok((rounds, running))
    }

    async fn round(
        &self,
        running: &Running,
        phase: Phase,
        services: &[usize],
        progress: &Progress,
    ) -> Result<Round, Failure> {
        let side = running.side;
        progress.expect(services.len());
        let mut waiting: VecDeque<usize> = services.iter().copied().collect();
        let mut at_work: JoinSet<Result<(usize, Built), Failure>> = JoinSet::new();
        let mut round = Round { phase, builds: BTreeMap::new(), images: BTreeMap::new() };
        loop {
            while at_work.len() < self.jobs.max(1) {
                let Some(index) = waiting.pop_front() else { break };
                let service = running.workspace.services()[index].clone();
                let (setup, buildctl, progress) =
                    (Arc::clone(&self.setup), running.buildctl.clone(), progress.clone());
                at_work.spawn(async move {
                    let mut shown = String::new();
                    let watch = |trace: &crate::trace::Trace| {
                        if trace.latest() != shown {
                            shown = trace.latest().to_owned();
                            let text = format!("{} {} {}: {shown}", side.name(), phase.name(), service.name);
                            progress.now(&text);
                        }
                    };
                    let built = setup.build(&buildctl, side, &service, phase, watch).await?;
                    Ok((index, built))
                });
            }
            let Some(done) = at_work.join_next().await else { break };
            let (index, built) = done.during("wait for a build")??;
            progress.one_done();
            let end = if built.failure.is_some() { "FAILED after" } else { "built in" };
            progress.say(&format!(
                "{:<6} {} {}/{} {} {end} {:.1} s",
                side.name(),
                phase.name(),
                round.builds.len() + 1,
                services.len(),
                self.services[index].name,
                built.seconds
            ));
            round.builds.insert(index, built);
        }
        // Read outside of any measured time.
        for (&index, built) in &round.builds {
            if built.failure.is_none() {
                let image = self.read(side, index, phase).await?;
                round.images.insert(index, image);
            }
        }
        Ok(round)
    }

    async fn read(&self, side: Side, service: usize, phase: Phase) -> Result<Image, Failure> {
        let name = self.setup.image(side, &self.services[service].name, phase);
        let platform = self.platforms.first().cloned().unwrap_or_else(registry::host);
        let image = Source::open(&name, self.setup.plain_http).await?.image(&platform).await?;
        self.setup.remember(name, Some(image.digest.clone()));
        Ok(image)
    }

    async fn overhead(
        &self,
        plain: &Running,
        plinth: &Running,
        services: &[usize],
        progress: &Progress,
    ) -> Result<Vec<(f64, f64)>, Failure> {
        let phase = self.phases.last().copied().unwrap_or(Phase::Cold);
        progress.expect(services.len() * self.repetitions);
        let mut pairs = Vec::new();
        // The first of each service is not counted: it fills the kernel's caches again.
        for repetition in 0..=self.repetitions {
            for &index in services {
                progress.now(&format!("all-cached builds {repetition}/{}", self.repetitions));
                let mut seconds = [0.0; 2];
                // Which side goes first changes, so that neither always finds the machine warmed up.
                let order = if repetition % 2 == 0 { [plain, plinth] } else { [plinth, plain] };
                for running in order {
                    let service = &running.workspace.services()[index];
                    let built =
                        self.setup.build(&running.buildctl, running.side, service, phase, |_| {}).await?;
                    if let Some(log) = built.failure {
                        let name = &self.services[index].name;
                        let what =
                            format!("an all-cached build of `{name}` failed ({})", running.side.name());
                        return Err(Failure::new(what).detail(log));
                    }
                    seconds[usize::from(running.side == Side::Plinth)] = built.seconds;
                }
                if repetition > 0 {
                    pairs.push((seconds[0], seconds[1]));
                    progress.one_done();
                }
            }
        }
        Ok(pairs)
    }

    /// Deletes the images of this run, as far as the registry lets us. Returns why not.
    pub(crate) async fn forget(&self) -> Result<(), Failure> {
        let plain_http = self.setup.plain_http;
        let pushed = std::mem::take(&mut *self.setup.pushed.lock().unwrap_or_else(PoisonError::into_inner));
        let mut outcome = Ok(());
        // Digests first: the name of a deleted image stands for nothing any more.
        let (digests, names): (Vec<_>, Vec<_>) = pushed.into_iter().partition(|(_, digest)| digest.is_some());
        for (name, digest) in digests.into_iter().chain(names) {
            let digest = match digest {
                Some(digest) => Some(digest),
                // Nothing there: never pushed, or deleted by its digest. Built again later, it may be another one.
                None => Source::open(&name, plain_http).await?.digest().await.ok(),
            };
            if let Some(digest) = digest
                && let Err(cause) = Source::delete(&name, &digest, plain_http).await
            {
                outcome = Err(cause);
            }
        }
        outcome
    }
}
