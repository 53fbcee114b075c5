//! How games come to rest when the supervisor ends as planned.
//!
//! ```text
//!  no session, or nowhere to keep one ─▶ unloaded: every session is closed with a turn
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
        let rests: Vec<Rest> = games.iter().map(|game| self.rest(game)).collect();
        let mut given_up = 0;
        for rest in rests {
            let left = grace.saturating_sub(begin.elapsed());
            let done = match rest {
                Rest::Unload(ending) => matches!(tokio::time::timeout(left, ending).await, Ok(Ok(Ok(_)))),
                Rest::Suspend(game, ending) => {
                    tokio::time::timeout(left, ending).await.is_ok() && !game.is_playing()
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
