//! Whatever anybody does: money is neither made nor lost, nobody owes any, a refusal changes nothing, and a snapshot
//! gives the same table back.

use craps::dice::Dice;
use craps::rules::{ComeOut, Rules, Vig};
use craps::seat::{Bets, Stake, Standing, Working};
use craps::spot::{SPOTS, Spot};
use craps::table::Table;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Move {
    Join(u64, i64),
    Leave(u64),
    Bet(u64, Spot, i64),
    Remove(u64, Spot, Option<i64>),
    Switch(u64, Spot, Working),
    Stand(u64, Vec<Standing>),
    Roll(Dice),
    Close,
}

fn player() -> impl Strategy<Value = u64> {
    1..=4_u64
}

fn spot() -> impl Strategy<Value = Spot> {
    (0..SPOTS).prop_map(|index| Spot::ALL[index])
}

/// Mostly sensible, sometimes as bad as a number can be.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        20 => 1..=60_i64,
        5 => (1..=50_i64).prop_map(|n| n * 20),
        1 => Just(0),
        1 => any::<i64>(),
        1 => Just(i64::MAX),
        1 => Just(i64::MIN),
    ]
}

fn dice() -> impl Strategy<Value = Dice> {
    (1..=6_u8, 1..=6_u8).prop_map(|(a, b)| Dice::new(a, b).expect("two dice"))
}

fn working() -> impl Strategy<Value = Working> {
    prop_oneof![Just(Working::Auto), Just(Working::On), Just(Working::Off)]
}

fn standing() -> impl Strategy<Value = Standing> {
    (spot(), amount()).prop_map(|(spot, amount)| Standing { spot, amount })
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        2 => (player(), prop_oneof![3 => 0..=5000_i64, 1 => any::<i64>()]).prop_map(|(p, b)| Move::Join(p, b)),
        1 => player().prop_map(Move::Leave),
        20 => (player(), spot(), amount()).prop_map(|(p, s, a)| Move::Bet(p, s, a)),
        5 => (player(), spot(), proptest::option::of(amount())).prop_map(|(p, s, a)| Move::Remove(p, s, a)),
        3 => (player(), spot(), working()).prop_map(|(p, s, w)| Move::Switch(p, s, w)),
        1 => (player(), proptest::collection::vec(standing(), 0..4)).prop_map(|(p, s)| Move::Stand(p, s)),
        10 => dice().prop_map(Move::Roll),
        1 => Just(Move::Close),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    (prop_oneof![Just(1_i64), Just(5)], any::<bool>(), any::<bool>()).prop_map(|(unit, on_win, come_out)| {
        Rules {
            unit,
            min_bet: unit,
            max_bet: 1000 * unit,
            vig: if on_win { Vig::OnWin } else { Vig::Upfront },
            come_out: if come_out { ComeOut::On } else { ComeOut::Off },
            ..Rules::default()
        }
    })
}

/// Plays a move; whether it was refused.
fn play(table: &mut Table, next: &Move) -> bool {
    match next.clone() {
        Move::Join(player, bankroll) => table.join(player, bankroll).is_err(),
        Move::Leave(player) => table.leave(player).is_err(),
        Move::Bet(player, spot, amount) => table.bet(player, spot, amount).is_err(),
        Move::Remove(player, spot, amount) => table.remove(player, spot, amount).is_err(),
        Move::Switch(player, spot, working) => table.switch(player, spot, working).is_err(),
        Move::Stand(player, standing) => table.stand(player, standing).is_err(),
        Move::Roll(dice) => {
            table.roll(dice, &mut |decision| {
                assert!(decision.paid >= 0 && decision.staked > 0, "{decision:?}");
            });
            false
        }
        Move::Close => {
            table.close();
            false
        }
    }
}

fn sound(table: &Table) -> Result<(), TestCaseError> {
    prop_assert_eq!(table.imbalance(), 0);
    prop_assert_eq!(table.shooter().is_none(), table.seats().is_empty());
    for seat in table.seats() {
        prop_assert!(seat.bankroll >= 0, "{seat:?}");
        for (spot, stake) in seat.bets.iter() {
            prop_assert!(stake.amount > 0 && stake.vig >= 0, "{spot:?} {stake:?}");
            if let Some(flat) = spot.flat() {
                prop_assert!(seat.bets.on(flat).amount > 0, "odds on nothing: {spot:?}");
            }
        }
        let box_is_empty = seat.bets.on(Spot::Come).amount == 0 && seat.bets.on(Spot::DontCome).amount == 0;
        prop_assert!(table.point().is_some() || box_is_empty, "a come bet in the box on the come-out");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn money_is_kept(rules in rules(), moves in proptest::collection::vec(a_move(), 1..200)) {
        let mut table = Table::new(rules).expect("good rules");
        table.join(1, 2000).expect("a free seat");
        table.join(2, 2000).expect("a free seat");
        for next in &moves {
            let before = table.clone();
            if play(&mut table, next) {
                prop_assert_eq!(&table, &before, "refused, and yet something changed: {:?}", next);
            }
            sound(&table)?;
        }
        let bytes = postcard::to_stdvec(&table).expect("a snapshot");
        let again: Table = postcard::from_bytes(&bytes).expect("the snapshot again");
        prop_assert_eq!(&again, &table);
        prop_assert_eq!(postcard::to_stdvec(&again).expect("a snapshot"), bytes);
    }

    #[test]
    fn the_richest_table_does_not_overflow(throws in proptest::collection::vec(dice(), 1..200)) {
        let rules = Rules {
            max_bet: craps::rules::BET_MAX,
            odds: [craps::rules::ODDS_MULTIPLE_MAX; 3],
            ..Rules::default()
        };
        let mut table = Table::new(rules).expect("good rules");
        table.join(1, craps::table::BUY_IN_MAX).expect("a free seat");
        for dice in throws {
            for spot in Spot::ALL {
                for amount in [craps::rules::BET_MAX * 200, craps::rules::BET_MAX * 100, craps::rules::BET_MAX] {
                    let _refused_or_not = table.bet(1, spot, amount);
                }
            }
            table.roll(dice, &mut |_| {});
            sound(&table)?;
        }
    }
}

#[test]
fn a_snapshot_with_a_place_that_does_not_exist_is_refused() {
    let stake = Stake { amount: 77, ..Stake::default() };
    let decode =
        |index: u8| postcard::from_bytes::<Bets>(&postcard::to_stdvec(&vec![(index, stake)]).expect("bytes"));
    assert_eq!(decode(1).expect("the second place").on(Spot::DontPass), stake);
    assert!(decode(SPOTS as u8 - 1).is_ok());
    assert!(decode(SPOTS as u8).is_err());
}
