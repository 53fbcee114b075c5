//! How games come to rest when the supervisor ends as planned.
//!
//! ```text
//!  no session, or nowhere to keep one ─▶ unloaded: every session is closed with a turn
//!  sessions of which nothing is kept ─▶ closed with a turn
//!  else ─▶ suspended: what is in flight is finished, what waits goes on waiting ─▶ parked: all that is in memory alone is on the disk
//!             └─ not within the grace: parked as it is; nobody was told of what is in flight, and it is sent again
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use croupier_core::Refusal;
use croupier_core::action::Answered;
use croupier_core::event::LiveSessions;
use tokio::sync::oneshot;

use super::Shared;
use crate::game::GameDriver;

/// How long the disk may take to get the sessions that are in memory alone.
const PARK_MAX: Duration = Duration::from_secs(5);

type Ending = oneshot::Receiver<Result<Answered, Refusal>>;

/// Pause between two looks at games that are on their way to rest.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is asked of a game.
enum Rest {
    /// To be gone.
    Unload(Ending),
    /// To play nothing new. One that is asked twice, or plays nothing anyway, refuses.
    Suspend(Arc<GameDriver>, Ending),
}

impl Shared {
    /// Lets what is in flight end. Says how many games did not.
    pub(super) async fn let_finish(&self, games: &[Arc<GameDriver>], grace: Duration) -> usize {
        let begin = Instant::now();
        if self.context.journal.is_some() {
            // A session that hangs is not to take all the time that others need to come to rest.
            close_stateless(games, grace / 2).await;
        }
        let rests: Vec<Rest> = games.iter().map(|game| self.rest(game)).collect();
        let mut given_up = 0;
        for rest in rests {
            let left = grace.saturating_sub(begin.elapsed());
            let done = match rest {
                Rest::Unload(ending) => matches!(tokio::time::timeout(left, ending).await, Ok(Ok(Ok(_)))),
                Rest::Suspend(game, ending) => {
                    tokio::time::timeout(left, come_to_rest(&game, ending)).await.is_ok()
                }
            };
            given_up += usize::from(!done);
        }
        given_up
    }

    fn rest(&self, game: &Arc<GameDriver>) -> Rest {
        let (done, ending) = oneshot::channel();
        let answerer = Box::new(move |answer| drop(done.send(answer)));
        match game.by_durability() {
            (0, 0) => game.unload(LiveSessions::Close, answerer),
            _ if self.context.journal.is_none() => game.unload(LiveSessions::Close, answerer),
            _ => {
                game.suspend(answerer);
                return Rest::Suspend(game.clone(), ending);
            }
        }
        Rest::Unload(ending)
    }

    /// Puts what is in memory alone on the disk. Says how many games it could not be done for.
    pub(super) async fn park(&self, games: &[Arc<GameDriver>]) -> usize {
        if self.context.journal.is_none() {
            return 0;
        }
        let begin = Instant::now();
        let parking: Vec<(&Arc<GameDriver>, usize, Ending)> = games
            .iter()
            .filter_map(|game| {
                let (in_memory, _) = game.by_durability();
                let (done, ending) = oneshot::channel();
                (in_memory > 0).then(|| {
                    game.park(Box::new(move |answer| drop(done.send(answer))));
                    (game, in_memory, ending)
                })
            })
            .collect();
        let mut given_up = 0;
        for (game, sessions, ending) in parking {
            let left = PARK_MAX.saturating_sub(begin.elapsed());
            if !matches!(tokio::time::timeout(left, ending).await, Ok(Ok(Ok(_)))) {
                let plugin = &game.plugin().name;
                tracing::error!(
                    plugin,
                    sessions,
                    "sessions in memory could not be put on the disk and are lost: see what the journal says"
                );
                given_up += 1;
            }
        }
        given_up
    }
}

/// Until nothing is in flight. A game that is suspended already refuses to be, at once, whether it has come to rest or not.
async fn come_to_rest(game: &GameDriver, ending: Ending) {
    let _ = ending.await;
    while game.is_playing() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Nothing of these could be parked, and their transcripts are to have an end. Those that do not get there within the time are lost.
async fn close_stateless(games: &[Arc<GameDriver>], patience: Duration) {
    let closing: Vec<&Arc<GameDriver>> = games.iter().filter(|game| game.has_stateless()).collect();
    closing.iter().for_each(|game| game.close_stateless());
    let closed = async {
        while closing.iter().any(|game| game.has_stateless()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(patience, closed).await.is_err() {
        tracing::warn!(
            "sessions of which nothing is kept could not all be closed in time; their transcripts have no end"
        );
    }
}
